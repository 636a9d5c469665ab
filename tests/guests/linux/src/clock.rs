//! CLOCK_MONOTONIC, under suspicion.

use rustix::time::{ClockId, clock_gettime};

use crate::console::say;

/// One thread's view of the clock. A step back is reported as `CLOCK BACK FROM_NS TO_NS`.
#[derive(Debug, Default)]
pub(crate) struct Clock {
    last_ns: u64,
}

impl Clock {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Nanoseconds since boot.
    pub(crate) fn now_ns(&mut self) -> u64 {
        let now = clock_gettime(ClockId::Monotonic);
        // Neither field is ever negative: the clock starts at zero.
        let now_ns = now.tv_sec.unsigned_abs() * 1_000_000_000 + now.tv_nsec.unsigned_abs();
        if let Some((from, to)) = self.step(now_ns) {
            say!("CLOCK BACK {from} {to}");
        }
        now_ns
    }

    /// Takes note of a reading; returns a step back.
    fn step(&mut self, now_ns: u64) -> Option<(u64, u64)> {
        let before = std::mem::replace(&mut self.last_ns, now_ns);
        (now_ns < before).then_some((before, now_ns))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notices_every_step_back() {
        let mut clock = Clock::new();
        assert_eq!(clock.step(5), None);
        assert_eq!(clock.step(5), None);
        assert_eq!(clock.step(4), Some((5, 4)));
        assert_eq!(clock.step(6), None);
    }

    #[test]
    fn reads_the_clock() {
        let mut clock = Clock::new();
        let first = clock.now_ns();
        assert!(first > 0 && clock.now_ns() >= first);
    }
}
