//! The guest's heartbeats: its own account of the time in which it ran.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Result, bail, ensure};

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
    /// Takes note of a beat; whether it is new, since a console may show one again.
    pub(super) fn hear(&mut self, number: u64, ns: u64) -> bool {
        self.times_ns.insert(number, ns).is_none()
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

    /// The beats from `number` on: their numbers, and when they were in ns.
    pub(super) fn from(&self, number: u64) -> impl Iterator<Item = (u64, u64)> {
        self.times_ns.range(number..).map(|(number, ns)| (*number, *ns))
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

    /// The time between two beats as it usually is: the median.
    pub(super) fn usual_gap(&self) -> Duration {
        let pairs = self.times_ns.values().zip(self.times_ns.values().skip(1));
        let mut gaps_ns: Vec<_> = pairs.map(|(then, now)| now.saturating_sub(*then)).collect();
        gaps_ns.sort_unstable();
        Duration::from_nanos(gaps_ns.get(gaps_ns.len() / 2).copied().unwrap_or(0))
    }

    /// Checks that no beat is missing from 0 to the last, and that the clock never went back.
    ///
    /// # Errors
    /// Which beat is missing, or came too early.
    pub(super) fn check(&self) -> Result<()> {
        let first = self.times_ns.keys().next();
        ensure!(first == Some(&0), "beat 0 is missing");
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

    fn beats(heard: &[(u64, u64)]) -> Beats {
        Beats { times_ns: heard.iter().copied().collect() }
    }

    #[test]
    fn beats_without_a_gap_are_fine() {
        let mut beats = beats(&[(0, 1_000_000), (1, 2_000_000)]);
        assert!(!beats.hear(1, 2_000_000));
        assert!(beats.hear(2, 9_000_000));
        beats.check().unwrap();
        assert_eq!((beats.last(), beats.count_after(0)), (Some(2), 2));
        assert_eq!(
            beats.longest_gap_from(0),
            Some(LongestGap { before_beat: 2, gap: Duration::from_millis(7) })
        );
        assert_eq!(beats.longest_gap_from(2), None);
        assert_eq!(beats.usual_gap(), Duration::from_millis(7));
        assert!(beats.hear(3, 10_000_000));
        assert_eq!(beats.usual_gap(), Duration::from_millis(1));
        assert_eq!(beats.from(3).collect::<Vec<_>>(), [(3, 10_000_000)]);
    }

    #[test]
    fn a_missing_beat_and_a_clock_that_goes_back_are_found() {
        for (heard, word) in [
            (&[][..], "beat 0 is missing"),
            (&[(1, 10)], "beat 0 is missing"),
            (&[(0, 10), (2, 20)], "one is missing"),
            (&[(0, 10), (1, 10)], "went back"),
        ] {
            let error = beats(heard).check().unwrap_err().to_string();
            assert!(error.contains(word), "{error}");
        }
    }
}
