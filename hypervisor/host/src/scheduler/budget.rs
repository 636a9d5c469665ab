//! Caps: how much CPU time the tasks of one group get in each period.

use core::time::Duration;

use godwit_guest::description::Cap;

use crate::machine::Instant;

/// How often a group's CPU time is given out anew.
pub(super) const PERIOD: Duration = Duration::from_millis(100);

/// The CPU time of a group with a cap.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Budget {
    /// Nanoseconds of CPU time in each period.
    quota_ns: u64,
    /// What is left of this period's; less than nothing where a turn took longer than was left, which the next period pays.
    left_ns: i64,
    /// When the next period begins.
    renewal: Instant,
}

impl Budget {
    /// A full budget from `now` on.
    pub(super) fn new(cap: Cap, now: Instant) -> Self {
        let quota_ns = PERIOD.as_nanos() as u64 * u64::from(cap.percent()) / 100;
        Self { quota_ns, left_ns: quota_ns as i64, renewal: now.after(PERIOD) }
    }

    /// Begins the periods that are due. What was not used is gone.
    pub(super) fn renew(&mut self, now: Instant) {
        if now < self.renewal {
            return;
        }
        let late_ns = now.since(self.renewal).as_nanos() as u64;
        let periods = 1 + late_ns / PERIOD.as_nanos() as u64;
        let given = self.quota_ns.saturating_mul(periods).min(i64::MAX as u64) as i64;
        self.left_ns = self.left_ns.saturating_add(given).min(self.quota_ns as i64);
        self.renewal = self.renewal.after(PERIOD.saturating_mul(u32::try_from(periods).unwrap_or(u32::MAX)));
    }

    /// Takes what a turn used.
    pub(super) fn charge(&mut self, used: Duration) {
        let used_ns = i64::try_from(used.as_nanos()).unwrap_or(i64::MAX);
        self.left_ns = self.left_ns.saturating_sub(used_ns);
    }

    /// What is left, or `None` where there is nothing.
    pub(super) fn left(&self) -> Option<Duration> {
        u64::try_from(self.left_ns).ok().filter(|&left| left > 0).map(Duration::from_nanos)
    }

    /// When there is more.
    pub(super) fn renewal(&self) -> Instant {
        self.renewal
    }
}
