//! The clock goes forward and wakes who waits for it.

use alloc::format;
use core::time::Duration;

use super::{Check, CheckStep};
use crate::{machine::Instant, state::HostState};

const READINGS: u32 = 10_000;
const SLEEP: Duration = Duration::from_millis(5);
/// Late by more than this is wrong even on a loaded emulator.
const MAX_LATE: Duration = Duration::from_secs(2);

/// Reads the clock often, then sleeps once.
#[derive(Default)]
pub(super) struct ClockCheck {
    /// When the sleep began.
    asleep_since: Option<Instant>,
}

impl Check for ClockCheck {
    fn step(&mut self, state: &mut HostState<'_, '_>) -> CheckStep {
        let Some(since) = self.asleep_since else { return self.read_often(state) };
        let slept = state.machine.now().since(since);
        if slept < SLEEP {
            // Something else woke the CPU.
            return CheckStep::WaitUntil(since.after(SLEEP));
        }
        let (slept_us, wanted_us) = (slept.as_micros(), SLEEP.as_micros());
        if slept > SLEEP + MAX_LATE {
            return CheckStep::Failed(format!("a sleep of {wanted_us} us took {slept_us} us"));
        }
        CheckStep::Passed(format!(
            "{READINGS} readings in order, a sleep of {wanted_us} us took {slept_us} us"
        ))
    }
}

impl ClockCheck {
    fn read_often(&mut self, state: &mut HostState<'_, '_>) -> CheckStep {
        let first = state.machine.now();
        let mut last = first;
        for reading in 1..=READINGS {
            let now = state.machine.now();
            if now < last {
                let back_ns = last.since(now).as_nanos();
                return CheckStep::Failed(format!(
                    "reading {reading} was {back_ns} ns before the one before it"
                ));
            }
            last = now;
        }
        if last == first {
            return CheckStep::Failed(format!("the clock stood still over {READINGS} readings"));
        }
        self.asleep_since = Some(last);
        CheckStep::WaitUntil(last.after(SLEEP))
    }
}
