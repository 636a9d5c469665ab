//! The layout of the clock's pages, and how a TSC becomes nanoseconds in them.

use bitflags::bitflags;
use godwit_guest::{GuestAddress, GuestMemory};

use super::NANOSECONDS_PER_SECOND;
use crate::refused::Refused;
use crate::time::GuestTime;

bitflags! {
    /// What a time page says beside the time.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub(super) struct Flags: u8 {
        /// The TSCs of all CPUs agree.
        const TSC_STABLE = 1 << 0;
        /// The guest stood still; the guest clears it.
        const GUEST_STOPPED = 1 << 1;
    }
}

/// How many nanoseconds a tick takes: `multiplier` × 2^(`shift` - 32).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Scale {
    pub(super) multiplier: u32,
    pub(super) shift: i8,
}

impl Scale {
    /// The scale for a TSC of `hz` ticks a second (0 counts as 1), with all 32 bits of the multiplier in use.
    pub(super) fn new(hz: u64) -> Self {
        let nanoseconds =
            |shift: i32| (u128::from(NANOSECONDS_PER_SECOND) << (32 - shift)) / u128::from(hz.max(1));
        // 2^31 <= multiplier < 2^32. For 1 Hz that is a shift of 30, for 2^64 Hz one of -34.
        let mut shift = -34;
        while nanoseconds(shift) > u128::from(u32::MAX) {
            shift += 1;
        }
        Self { multiplier: nanoseconds(shift) as u32, shift: shift as i8 }
    }

    /// Nanoseconds of so many ticks, as the guest computes them.
    pub(super) fn nanoseconds(self, ticks: u64) -> u64 {
        let distance = u32::from(self.shift.unsigned_abs());
        let shifted = if self.shift < 0 {
            ticks.checked_shr(distance).unwrap_or(0)
        } else {
            ticks.checked_shl(distance).unwrap_or(0)
        };
        ((u128::from(shifted) * u128::from(self.multiplier)) >> 32) as u64
    }
}

/// What the page of `struct pvclock_vcpu_time_info` says, without its version.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct TimePage {
    pub(super) tsc_timestamp: u64,
    pub(super) system_time: GuestTime,
    pub(super) scale: Scale,
    pub(super) flags: Flags,
}

impl TimePage {
    /// The time that a guest reads at `tsc`.
    pub(super) fn time_at(&self, tsc: u64) -> GuestTime {
        self.system_time.after(self.scale.nanoseconds(tsc.saturating_sub(self.tsc_timestamp)))
    }

    /// The 28 bytes behind the version: padding, TSC, time, multiplier, shift, flags, padding.
    pub(super) fn body(&self) -> [u8; 28] {
        let mut body = [0; 28];
        put(&mut body, 4, &self.tsc_timestamp.to_le_bytes());
        put(&mut body, 12, &self.system_time.0.to_le_bytes());
        put(&mut body, 20, &self.scale.multiplier.to_le_bytes());
        put(&mut body, 24, &self.scale.shift.to_le_bytes());
        put(&mut body, 25, &[self.flags.bits()]);
        body
    }
}

/// The 8 bytes behind the version of `struct pvclock_wall_clock`: seconds, nanoseconds.
pub(super) fn wall_clock(seconds: u32) -> [u8; 8] {
    let mut body = [0; 8];
    put(&mut body, 0, &seconds.to_le_bytes());
    body
}

/// Writes a page by its protocol: while the version is odd, what stands behind it is not to be believed.
pub(super) fn write(
    memory: &dyn GuestMemory,
    at: GuestAddress,
    version: u32,
    body: &[u8],
) -> Result<(), Refused> {
    let behind = GuestAddress(at.0.checked_add(4).ok_or(Refused)?);
    let write = |at, bytes: &[u8]| memory.write(at, bytes).map_err(|_| Refused);
    write(at, &version.wrapping_sub(1).to_le_bytes())?;
    write(behind, body)?;
    write(at, &version.to_le_bytes())
}

/// Copies `bytes` to `at`, which the callers above keep within the body.
fn put(body: &mut [u8], at: usize, bytes: &[u8]) {
    for (to, from) in body.iter_mut().skip(at).zip(bytes) {
        *to = *from;
    }
}
