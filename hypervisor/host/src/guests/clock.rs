//! A guest's clocks over the host's.

use core::sync::atomic::{AtomicU64, Ordering};

use godwit_devices::{GuestTime, Now};

use crate::machine::{Instant, Machine};

/// What to add to the host's clocks to get the guest's. A pause does not change it: guests' clocks go on, and step forward by
/// as long as the pause took.
#[derive(Debug)]
pub struct GuestClock {
    /// Added to the host's nanoseconds, wrapping.
    time_offset: u64,
    /// Added to the host's time stamp counter, wrapping: the same for all virtual CPUs.
    tsc_offset: AtomicU64,
}

impl GuestClock {
    /// Clocks that show `then` at this moment of the host.
    pub fn showing(machine: &dyn Machine, then: Now) -> Self {
        Self {
            time_offset: then.time.0.wrapping_sub(machine.now().as_nanoseconds()),
            tsc_offset: AtomicU64::new(then.tsc.wrapping_sub(machine.tsc())),
        }
    }

    /// What the guest's clocks show now.
    pub fn now(&self, machine: &dyn Machine) -> Now {
        Now {
            time: GuestTime(machine.now().as_nanoseconds().wrapping_add(self.time_offset)),
            tsc: machine.tsc().wrapping_add(self.tsc_offset()),
        }
    }

    /// When it will be `time` for a guest whose clock shows `now`, on the host's clock; `None` for the time that means
    /// never. What is over already is due now.
    pub fn host_instant(&self, time: GuestTime, now: Now) -> Option<Instant> {
        let host_now_ns = now.time.0.wrapping_sub(self.time_offset);
        let left_ns = time.0.saturating_sub(now.time.0);
        (time.0 < u64::MAX).then(|| Instant::from_nanoseconds(host_now_ns.saturating_add(left_ns)))
    }

    /// The guest wrote its time stamp counter.
    pub fn set_tsc_offset(&self, offset: u64) {
        self.tsc_offset.store(offset, Ordering::Release);
    }

    /// What a virtual CPU adds to the host's time stamp counter.
    pub fn tsc_offset(&self) -> u64 {
        self.tsc_offset.load(Ordering::Acquire)
    }
}
