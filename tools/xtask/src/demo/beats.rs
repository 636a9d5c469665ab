//! The guest's heartbeats: its own account of the time in which it ran.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Result, bail, ensure};
use godwit_lab::GuestLine;

/// Heartbeats as a console showed them: when each was, by the guest's CLOCK_MONOTONIC in ns.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Beats {
    times_ns: BTreeMap<u64, u64>,
}

/// Two beats that follow each other, with the longest time between them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct LongestGap {
    /// The number of the beat after it.
    pub(super) before_beat: u64,
    pub(super) gap: Duration,
}

impl Beats {
    /// Takes note of a line, if it is a heartbeat; the same line may come again.
    pub(super) fn hear(&mut self, line: &str) {
        if let Some(GuestLine::Beat { number, ns }) = GuestLine::parse(line) {
            self.times_ns.insert(number, ns);
        }
    }

    /// The number of the last one.
    pub(super) fn last(&self) -> Option<u64> {
        self.times_ns.keys().next_back().copied()
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.times_ns.len()
    }

    /// How many came after the one with `number`.
    pub(super) fn count_after(&self, number: u64) -> usize {
        self.times_ns.range(number..).filter(|(beat, _)| **beat > number).count()
    }

    /// The beats from `number` on, each as a line for people.
    pub(super) fn lines_from(&self, number: u64) -> impl Iterator<Item = (u64, String)> {
        self.times_ns.range(number..).map(|(number, ns)| {
            let ms = ns / 1_000_000;
            (*number, format!("beat {number} at {}.{:03} s by the guest's clock", ms / 1000, ms % 1000))
        })
    }

    /// The longest time between two beats that follow each other, from `number` on.
    pub(super) fn longest_gap_from(&self, number: u64) -> Option<LongestGap> {
        let beats = self.times_ns.range(number..);
        let pairs = beats.clone().zip(beats.skip(1));
        let gaps = pairs.map(|((_, then), (before_beat, now))| LongestGap {
            before_beat: *before_beat,
            gap: Duration::from_nanos(now.saturating_sub(*then)),
        });
        gaps.max_by_key(|gap| gap.gap)
    }

    /// Checks that no beat is missing between the first and the last, and that the clock never went back.
    ///
    /// # Errors
    /// Which beat is missing, or came too early.
    pub(super) fn check(&self) -> Result<()> {
        ensure!(!self.times_ns.is_empty(), "the guest said no beat");
        for ((number, ns), (next, next_ns)) in self.times_ns.iter().zip(self.times_ns.iter().skip(1)) {
            if *next != number + 1 {
                bail!("beat {next} follows beat {number}: one is missing");
            }
            if next_ns <= ns {
                bail!("beat {next} came at {next_ns} ns, beat {number} at {ns} ns: the clock went back");
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn beats(lines: &[&str]) -> Beats {
        let mut beats = Beats::default();
        lines.iter().for_each(|line| beats.hear(line));
        beats
    }

    #[test]
    fn beats_without_a_gap_are_fine() {
        let beats = beats(&["noise", "beat 3 1000000", "beat 4 2000000", "beat 4 2000000", "beat 5 9000000"]);
        beats.check().unwrap();
        assert_eq!((beats.last(), beats.count_after(3)), (Some(5), 2));
        assert_eq!(
            beats.longest_gap_from(3),
            Some(LongestGap { before_beat: 5, gap: Duration::from_millis(7) })
        );
        assert_eq!(beats.longest_gap_from(5), None);
        let lines: Vec<_> = beats.lines_from(5).collect();
        assert_eq!(lines, [(5, "beat 5 at 0.009 s by the guest's clock".to_owned())]);
    }

    #[test]
    fn a_missing_beat_and_a_clock_that_goes_back_are_found() {
        for (lines, word) in [
            (&[][..], "no beat"),
            (&["beat 1 10", "beat 3 20"], "one is missing"),
            (&["beat 1 10", "beat 2 10"], "went back"),
        ] {
            let error = beats(lines).check().unwrap_err().to_string();
            assert!(error.contains(word), "{error}");
        }
    }
}
