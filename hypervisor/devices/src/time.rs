//! The only time that devices know: what the caller read off the guest's clocks.

use serde::{Deserialize, Serialize};

/// Nanoseconds of a second.
pub(crate) const NANOSECONDS_PER_SECOND: u64 = 1_000_000_000;

/// Nanoseconds since the guest's start, as the guest lived them. The end of the range means never.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Hash, Serialize, Deserialize)]
pub struct GuestTime(pub u64);

impl GuestTime {
    /// Nanoseconds from `earlier` to here, zero where `earlier` is later.
    pub const fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    /// The point `nanoseconds` later, saturating.
    pub const fn after(self, nanoseconds: u64) -> Self {
        Self(self.0.saturating_add(nanoseconds))
    }
}

/// Readings of both of the guest's clocks, taken together.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Now {
    /// Time since the guest's start.
    pub time: GuestTime,
    /// The guest's time stamp counter.
    pub tsc: u64,
}

/// A counter that has counted at a fixed rate, in ticks a second, since the guest's start.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rate(pub(crate) u32);

impl Rate {
    /// Whole ticks up to `time`. For rates up to 10^9, as all here are, they fit into 64 bits.
    pub(crate) const fn ticks_at(self, time: GuestTime) -> u64 {
        (time.0 as u128 * self.0 as u128 / NANOSECONDS_PER_SECOND as u128) as u64
    }

    /// The first nanosecond at which `tick` has been counted, saturating.
    pub(crate) const fn time_of(self, tick: u64) -> GuestTime {
        let nanoseconds = (tick as u128 * NANOSECONDS_PER_SECOND as u128).div_ceil(self.0 as u128);
        GuestTime(if nanoseconds > u64::MAX as u128 { u64::MAX } else { nanoseconds as u64 })
    }
}

/// The earlier of two times of which either may not exist.
pub(crate) fn earliest(a: Option<GuestTime>, b: Option<GuestTime>) -> Option<GuestTime> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}
