//! Uses all processor time, and says how long it had none: `gap SEQ MAX_US at NS`, the longest gap of each second.

use std::hint;

use crate::{clock::Clock, console::say};

/// How often a line is printed.
const REPORT_NS: u64 = 1_000_000_000;
/// Shorter gaps are the clock's own and an interrupt's: the grain.
const GRAIN_NS: u64 = 1_000_000;

/// Spins for ever.
pub(crate) fn run() {
    let mut clock = Clock::new();
    let mut before_ns = clock.now_ns();
    let mut gaps = Gaps::new(before_ns);
    let mut number = 0u64;
    loop {
        let now_ns = clock.now_ns();
        if let Some(Gap { length_ns, at_ns }) = gaps.look(before_ns, now_ns) {
            say!("gap {number} {} at {at_ns}", length_ns / 1000);
            number += 1;
            // Printing takes time too, which is no gap.
            before_ns = clock.now_ns();
        } else {
            before_ns = now_ns;
        }
        hint::spin_loop();
    }
}

/// A stretch without the processor.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Gap {
    length_ns: u64,
    /// When it began.
    at_ns: u64,
}

/// The longest gap since the last report.
#[derive(Debug)]
struct Gaps {
    longest: Gap,
    report_ns: u64,
}

impl Gaps {
    fn new(now_ns: u64) -> Self {
        Self { longest: Gap::default(), report_ns: now_ns + REPORT_NS }
    }

    /// Takes note of two readings in a row; returns the longest gap where it is time to tell. One below the grain counts as none.
    fn look(&mut self, before_ns: u64, now_ns: u64) -> Option<Gap> {
        let length_ns = now_ns.saturating_sub(before_ns);
        if length_ns >= GRAIN_NS && length_ns > self.longest.length_ns {
            self.longest = Gap { length_ns, at_ns: before_ns };
        }
        if now_ns < self.report_ns {
            return None;
        }
        self.report_ns = now_ns + REPORT_NS;
        Some(std::mem::take(&mut self.longest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_the_longest_gap_of_each_second() {
        let mut gaps = Gaps::new(0);
        assert_eq!(gaps.look(0, GRAIN_NS - 1), None);
        assert_eq!(gaps.look(10, 10 + 3 * GRAIN_NS), None);
        assert_eq!(gaps.look(20, 20 + 2 * GRAIN_NS), None);
        let longest = Gap { length_ns: 3 * GRAIN_NS, at_ns: 10 };
        assert_eq!(gaps.look(REPORT_NS - 1, REPORT_NS), Some(longest));
        assert_eq!(gaps.look(REPORT_NS, REPORT_NS + 1), None);
        assert_eq!(gaps.look(2 * REPORT_NS, 2 * REPORT_NS + 1), Some(Gap::default()));
    }
}
