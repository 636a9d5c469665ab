//! Four busy virtual CPUs on two host CPUs, with weights: how near each comes to its share.

use anyhow::{Context, Result, ensure};
use godwit_lab::{HostSpec, RunningHost};

use super::{HOST_CPUS, Trust};
use crate::{
    guests::{bed, progress},
    metrics::{Bound, Metrics},
};

/// The guests of the bundle, and their weights there in relation to each other.
const GUESTS: [(&str, f64); 4] = [("share-1", 1.0), ("share-2", 1.0), ("share-3", 2.0), ("share-4", 4.0)];
/// For how long it is measured, by a guest's own clock, in microseconds.
const WINDOW_US: u64 = 10_000_000;
/// How much faster or slower a guest may have counted than the host says that it ran. Two CPUs of an emulated host are two
/// threads of a machine that others use too: what they count differs more than what they were given.
const COUNTED_PERCENT: f64 = 25.0;

/// A guest at one moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Sample {
    /// What the host says that its virtual CPU ran.
    ran_ns: u64,
    /// What the guest counted, and when by its own clock.
    count: Count,
}

/// What became more between two samples.
#[derive(Clone, Copy, PartialEq, Debug)]
struct Grown {
    ran_ns: u64,
    /// For each second of the guest's own clock: guests are looked at one after the other, and count on meanwhile.
    turns_per_s: f64,
}

impl Grown {
    fn between(before: &Sample, after: &Sample) -> Self {
        let us = after.count.us.saturating_sub(before.count.us);
        let turns = after.count.turns.saturating_sub(before.count.turns);
        Self {
            ran_ns: after.ran_ns.saturating_sub(before.ran_ns),
            turns_per_s: turns as f64 * 1e6 / us as f64,
        }
    }
}

/// Takes the figure.
pub(super) fn take(trust: &mut Trust, metrics: &mut Metrics) -> Result<()> {
    progress(format_args!("shares: four busy guests on {HOST_CPUS} CPUs, for {} s", WINDOW_US / 1_000_000));
    let host = bed::boot(&HostSpec { cpus: HOST_CPUS, ..bed::spec(&trust.files, "bench", "512MiB")? })?;
    for (guest, _) in GUESTS {
        bed::start_guest(&host, guest)?;
    }
    // All of them run before anything is measured.
    for (guest, _) in GUESTS {
        next_count(&host, guest)?;
    }
    let before = samples(&host)?;
    let end_us = before[0].count.us + WINDOW_US;
    count_until(&host, GUESTS[0].0, |count| count.us >= end_us)?;
    let after = samples(&host)?;
    let grown: Vec<_> =
        before.iter().zip(&after).map(|(before, after)| Grown::between(before, after)).collect();
    let ran = errors(&grown, |grown| grown.ran_ns as f64)?;
    let counted = errors(&grown, |grown| grown.turns_per_s)?;
    for (((guest, weight), grown), (ran, counted)) in GUESTS.iter().zip(&grown).zip(ran.iter().zip(&counted))
    {
        progress(format_args!(
            "  {guest}, weight {weight}: ran {} ms ({ran:+.1} % of its share), counted {:.0}/s ({counted:+.1} %)",
            grown.ran_ns / 1_000_000,
            grown.turns_per_s
        ));
    }
    agree(&grown)?;
    metrics.bounded(
        "trust.fair_share_error_percent",
        largest(&ran),
        Bound::AtMost(5.0),
        "of run time, weights 1:1:2:4 on 2 CPUs",
    );
    metrics.shown("trust.fair_share_counted_error_percent", largest(&counted), "by what the guests counted");
    Ok(())
}

/// How far each guest is from its share, in percent of that share.
fn errors(grown: &[Grown], of: impl Fn(&Grown) -> f64) -> Result<Vec<f64>> {
    let all: f64 = grown.iter().map(&of).sum();
    ensure!(grown.len() == GUESTS.len() && all > 0.0, "nothing ran: {grown:?}");
    let weights: f64 = GUESTS.iter().map(|(_, weight)| weight).sum();
    let error = |(grown, (_, weight)): (&Grown, &(&str, f64))| {
        let (share, expected) = (of(grown) / all, weight / weights);
        (share - expected) / expected * 100.0
    };
    Ok(grown.iter().zip(&GUESTS).map(error).collect())
}

fn largest(errors: &[f64]) -> f64 {
    // Not a number is no small error.
    let larger = |a: f64, b: f64| if b.abs() <= a { a } else { b.abs() };
    errors.iter().copied().fold(0.0, larger)
}

/// Fails where a guest counted so much more or less that the host cannot have given it what it says.
fn agree(grown: &[Grown]) -> Result<()> {
    let all = |of: fn(&Grown) -> f64| grown.iter().map(of).sum::<f64>();
    let usual = all(|grown| grown.turns_per_s) / all(|grown| grown.ran_ns as f64);
    for (of, (guest, _)) in grown.iter().zip(GUESTS) {
        let off = (of.turns_per_s / of.ran_ns as f64 / usual - 1.0) * 100.0;
        ensure!(
            off.abs() <= COUNTED_PERCENT,
            "{guest} counted {off:+.0} % of what all did in the time that the host says it ran: {grown:?}"
        );
    }
    Ok(())
}

/// All guests, one after the other.
fn samples(host: &RunningHost) -> Result<Vec<Sample>> {
    let counts = GUESTS.iter().map(|(guest, _)| next_count(host, guest)).collect::<Result<Vec<_>>>()?;
    // What the host says is asked for all at once: that takes milliseconds, a count takes a second.
    let sample = |((guest, _), count): (&(&str, f64), Count)| {
        let report = bed::report(host, guest)?;
        let vcpu = report.vcpus.get(&0).with_context(|| format!("the host says nothing of {guest}'s CPU"))?;
        Ok(Sample { ran_ns: vcpu.ran_ns, count })
    };
    GUESTS.iter().zip(counts).map(sample).collect()
}

/// A line of the micro guest's trial `count`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Count {
    number: u64,
    turns: u64,
    us: u64,
}

impl Count {
    /// Reads `count NUMBER turns=N us=N`.
    fn parse(line: &str) -> Option<Self> {
        let mut words = line.trim_end().strip_prefix("count ")?.split(' ');
        let number = words.next()?.parse().ok()?;
        let turns = words.next()?.strip_prefix("turns=")?.parse().ok()?;
        let us = words.next()?.strip_prefix("us=")?.parse().ok()?;
        Some(Self { number, turns, us })
    }
}

/// A count that the guest prints from about now on.
fn next_count(host: &RunningHost, guest: &str) -> Result<Count> {
    // What was kept is shown at once: its last line says which ones are new.
    let shown = bed::watch_console(host, guest, "a count", |line| Count::parse(line).is_some())?;
    let old = shown.iter().rev().find_map(|line| Count::parse(line)).map_or(0, |count| count.number);
    count_until(host, guest, |count| count.number > old + 1)
}

/// The first count that `wanted` takes.
fn count_until(host: &RunningHost, guest: &str, wanted: impl Fn(Count) -> bool) -> Result<Count> {
    let mut found = None;
    bed::watch_console(host, guest, "another count", |line| {
        found = Count::parse(line).filter(|count| wanted(*count));
        found.is_some()
    })?;
    found.context("a count came and was not understood")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grown(parts: [(u64, u64); 4]) -> Vec<Grown> {
        parts.map(|(ran_ns, turns)| Grown { ran_ns, turns_per_s: turns as f64 }).into()
    }

    #[test]
    fn the_error_is_relative_to_each_share() {
        let fair = grown([(250, 1), (250, 1), (500, 2), (1000, 4)]);
        assert_eq!(errors(&fair, |grown| grown.ran_ns as f64).unwrap(), [0.0; 4]);
        // A tenth of the smallest share, which the largest one got.
        let unfair = grown([(225, 1), (250, 1), (500, 2), (1025, 4)]);
        let errors = errors(&unfair, |grown| grown.ran_ns as f64).unwrap();
        assert!((largest(&errors) - 10.0).abs() < 1e-9 && (errors[3] - 2.5).abs() < 1e-9, "{errors:?}");
        assert!(super::errors(&grown([(0, 0); 4]), |grown| grown.ran_ns as f64).is_err());
    }

    #[test]
    fn a_host_that_tells_of_time_that_no_guest_had_is_found_out() {
        assert!(agree(&grown([(250, 10), (250, 10), (500, 20), (1000, 40)])).is_ok());
        let error = agree(&grown([(250, 10), (250, 5), (500, 20), (1000, 45)])).unwrap_err().to_string();
        assert!(error.contains("share-2 counted"), "{error}");
    }

    #[test]
    fn counts_are_read_whole() {
        let count = Count { number: 3, turns: 12, us: 300_001 };
        assert_eq!(Count::parse("count 3 turns=12 us=300001\r"), Some(count));
        for line in ["count 3 turns=12", "count 3 turns=12 us=", "micro count begins", "count x turns=1 us=1"]
        {
            assert_eq!(Count::parse(line), None, "{line}");
        }
    }
}
