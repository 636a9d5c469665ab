//! Counter ticks to nanoseconds without a division.

/// A fixed-point factor: nanoseconds = ticks × `factor` / 2^32.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Scale {
    factor: u64,
}

impl Scale {
    /// The scale of a counter at `hz` ticks a second; a frequency of 0 counts as 1 GHz.
    pub fn from_hz(hz: u64) -> Self {
        let hz = if hz == 0 { 1_000_000_000 } else { hz };
        let factor = (1_000_000_000_u128 << 32) / u128::from(hz);
        Self { factor: u64::try_from(factor).unwrap_or(u64::MAX) }
    }

    /// Nanoseconds in `ticks`, saturating.
    pub fn nanoseconds(self, ticks: u64) -> u64 {
        let product = u128::from(ticks) * u128::from(self.factor);
        u64::try_from(product >> 32).unwrap_or(u64::MAX)
    }
}

/// Ticks at `hz` in `nanoseconds`, rounded up, saturating.
pub fn ticks(hz: u64, nanoseconds: u64) -> u64 {
    let product = u128::from(hz) * u128::from(nanoseconds);
    u64::try_from(product.div_ceil(1_000_000_000)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hour_is_exact_to_a_microsecond_at_common_frequencies() {
        for hz in [1_000_000_000, 2_400_000_000, 3_579_545, 62_500_000] {
            let hour = Scale::from_hz(hz).nanoseconds(hz * 3600);
            assert!(hour.abs_diff(3_600_000_000_000) < 4_000, "{hz} Hz: {hour} ns");
        }
    }

    #[test]
    fn nothing_overflows() {
        assert_eq!(Scale::from_hz(1).nanoseconds(u64::MAX), u64::MAX);
        assert_eq!(Scale::from_hz(0).nanoseconds(7), 7);
        assert_eq!(ticks(u64::MAX, u64::MAX), u64::MAX);
    }

    #[test]
    fn ticks_round_up_so_that_a_deadline_is_never_early() {
        assert_eq!(ticks(1_000_000_000, 1), 1);
        assert_eq!(ticks(3, 1), 1);
        assert_eq!(ticks(1_000_000, 1_500), 2);
    }
}
