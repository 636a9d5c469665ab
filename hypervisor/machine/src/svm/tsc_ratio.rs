//! How fast a guest's time stamp counter runs beside the processor's (APM vol. 2, 15.30.5).

/// Bits behind the point.
const FRACTION_BITS: u32 = 32;
/// Bits before it: the register's others are reserved.
const WHOLE_BITS: u32 = 8;

/// A ratio as the register TSC_RATIO holds it: 8 bits, the point, 32 bits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(transparent)]
pub struct TscRatio(u64);

impl TscRatio {
    /// Both run alike.
    pub const ONE: Self = Self(1 << FRACTION_BITS);

    /// The ratio of `guest_hz` to `host_hz`, rounded to the nearest; `None` where the register cannot hold it, or either is zero.
    pub fn new(guest_hz: u64, host_hz: u64) -> Option<Self> {
        let (guest, host) = (u128::from(guest_hz) << FRACTION_BITS, u128::from(host_hz));
        let ratio = (guest + host / 2).checked_div(host)?;
        let fits = ratio != 0 && ratio >> (FRACTION_BITS + WHOLE_BITS) == 0;
        u64::try_from(ratio).ok().filter(|_| fits).map(Self)
    }

    /// The register's value.
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// What the guest's counter shows where the processor's shows `ticks`, its offset aside.
    pub const fn scale(self, ticks: u64) -> u64 {
        ((ticks as u128 * self.0 as u128) >> FRACTION_BITS) as u64
    }
}

impl Default for TscRatio {
    fn default() -> Self {
        Self::ONE
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::TscRatio;

    #[test]
    fn ratios_are_fixed_point() {
        assert_eq!(TscRatio::new(1_000_000_000, 1_000_000_000), Some(TscRatio::ONE));
        assert_eq!(TscRatio::new(3, 2).map(TscRatio::bits), Some(0x1_8000_0000));
        assert_eq!(TscRatio::new(1, 3).map(TscRatio::bits), Some(0x5555_5555));
        assert_eq!(TscRatio::new(2, 3).map(TscRatio::bits), Some(0xaaaa_aaab), "to the nearest");
    }

    #[test]
    fn what_the_register_cannot_hold_is_refused() {
        for (guest_hz, host_hz) in [(0, 1), (1, 0), (0, 0), (256, 1), (u64::MAX, 1), (1, 1 << 34)] {
            assert_eq!(TscRatio::new(guest_hz, host_hz), None, "{guest_hz} / {host_hz}");
        }
        assert_eq!(TscRatio::new(255, 1).map(TscRatio::bits), Some(255 << 32));
    }

    #[test]
    fn long_uptimes_do_not_overflow() {
        let ratio = TscRatio::new(3_000_000_000, 2_000_000_000).expect("3/2");
        assert_eq!(ratio.scale(1 << 62), (1 << 62) + (1 << 61));
        assert_eq!(TscRatio::ONE.scale(u64::MAX), u64::MAX);
    }

    proptest! {
        #[test]
        fn a_second_of_the_host_is_a_second_of_the_guest(
            guest_hz in 100_000_000..6_000_000_000u64,
            host_hz in 500_000_000..6_000_000_000u64,
        ) {
            let ratio = TscRatio::new(guest_hz, host_hz).expect("less than 256");
            let ticks = ratio.scale(host_hz);
            // Half a unit of the ratio's last place for each tick of the host, and rounding.
            prop_assert!(ticks.abs_diff(guest_hz) <= 2, "{ticks} ticks, {guest_hz} Hz");
        }
    }
}
