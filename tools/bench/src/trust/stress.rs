//! Three Linux guests on two host CPUs that write, check and spin for three minutes: nothing may be lost.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, ensure};
use godwit_lab::{GuestLine, HostSpec};

use super::{HOST_CPUS, Trust};
use crate::{
    guests::{bed, progress},
    metrics::{Bound, Metrics},
};

/// The guests of the bundle: a heartbeat, the writer and the spinner in each.
const GUESTS: [&str; 3] = ["stress-1", "stress-2", "stress-3"];
/// How long each of them goes on, by its own clock.
const LENGTH_NS: u64 = 180_000_000_000;

/// What a guest has said so far. Its console shows lines again that it keeps: each counts once.
#[derive(Debug, Default)]
struct Heard {
    /// Lines that say that something is wrong.
    bad: BTreeSet<String>,
    /// When each beat was.
    beats: BTreeMap<u64, u64>,
    /// The latest round in which all pages were right.
    round: Option<u64>,
}

impl Heard {
    fn hear(&mut self, line: &str) {
        match GuestLine::parse(line) {
            Some(GuestLine::Bad(text)) => _ = self.bad.insert(text),
            Some(GuestLine::Beat { number, ns }) => _ = self.beats.insert(number, ns),
            Some(GuestLine::PagesOk { round }) => self.round = self.round.max(Some(round)),
            _ => {}
        }
    }

    /// What is wrong: bad lines, beats that are missing, and beats that came earlier than the one before.
    fn wrong(&self) -> Vec<String> {
        let mut wrong: Vec<_> = self.bad.iter().cloned().collect();
        for ((before, before_ns), (beat, ns)) in self.beats.iter().zip(self.beats.iter().skip(1)) {
            if *beat != before + 1 {
                wrong.push(format!("no beat between {before} and {beat}"));
            }
            if ns <= before_ns {
                wrong.push(format!("beat {beat} is not after beat {before}"));
            }
        }
        wrong
    }

    /// How far the clock has come since the first beat.
    fn ns(&self) -> u64 {
        let (first, last) = (self.beats.values().min(), self.beats.values().max());
        first.zip(last).map_or(0, |(first, last)| last - first)
    }
}

/// Takes the figure.
pub(super) fn take(trust: &mut Trust, metrics: &mut Metrics) -> Result<()> {
    progress(format_args!("stress: three guests on {HOST_CPUS} CPUs for {} s", LENGTH_NS / 1_000_000_000));
    let host = bed::boot(&HostSpec { cpus: HOST_CPUS, ..bed::spec(&trust.files, "bench", "1GiB")? })?;
    let booted = host.transcript().len();
    for guest in GUESTS {
        bed::start_guest(&host, guest)?;
    }
    let mut heard: BTreeMap<&str, Heard> = GUESTS.map(|guest| (guest, Heard::default())).into();
    // All consoles in turns: one is looked at until its writer has come round once more, so that a guest that stands still shows.
    while heard.values().any(|heard| heard.ns() < LENGTH_NS) {
        for (guest, heard) in &mut heard {
            let (round, beat) = (heard.round, heard.beats.last_key_value().map(|(number, _)| *number));
            let (mut is_written, mut has_beaten) = (false, false);
            let lines = bed::watch_console(&host, guest, "another round and a beat", |line| {
                match GuestLine::parse(line) {
                    Some(GuestLine::PagesOk { round: now }) => is_written |= Some(now) > round,
                    Some(GuestLine::Beat { number, .. }) => has_beaten |= Some(number) > beat,
                    // What is wrong is counted, and the guest goes on.
                    Some(GuestLine::Bad(_)) => (is_written, has_beaten) = (true, true),
                    _ => {}
                }
                is_written && has_beaten
            })
            .with_context(|| format!("{guest} no longer does its work"))?;
            lines.iter().for_each(|line| heard.hear(line));
        }
    }
    let mut wrong = host_warnings(host.transcript().get(booted..).unwrap_or_default());
    for (guest, heard) in &heard {
        let (round, beats) = (heard.round.unwrap_or(0), heard.beats.len());
        progress(format_args!(
            "  {guest}: {} s, {round} rounds of the writer, {beats} beats",
            heard.ns() / 1_000_000_000
        ));
        wrong.extend(heard.wrong().into_iter().map(|text| format!("{guest}: {text}")));
    }
    ensure!(heard.values().all(|heard| heard.round > Some(0)), "a writer never came round: {heard:?}");
    wrong.iter().for_each(|text| progress(format_args!("  {text}")));
    metrics.bounded(
        "trust.stress",
        wrong.len() as f64,
        Bound::AtMost(0.0),
        "bad pages, clock steps back, host warnings",
    );
    Ok(())
}

/// Lines of the host's log that warn, such as `[   12.345678] cpu0 warn  …`.
fn host_warnings(transcript: &str) -> Vec<String> {
    let warns = |line: &&str| {
        let after_time = line.strip_prefix('[').and_then(|line| line.split_once("] cpu"));
        let level = after_time.and_then(|(_, rest)| rest.split_whitespace().nth(1));
        matches!(level, Some("warn" | "error"))
    };
    transcript.lines().filter(warns).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(lines: &[&str]) -> Heard {
        let mut heard = Heard::default();
        lines.iter().for_each(|line| heard.hear(line));
        heard
    }

    #[test]
    fn what_goes_well_counts_nothing_however_often_it_is_shown() {
        let lines = ["beat 0 1000", "pages 3 ok 4096 7", "beat 1 2000", "gap 0 4000 at 5"];
        let again: Vec<_> = lines.iter().chain(&lines).copied().collect();
        let heard = heard(&again);
        assert_eq!((heard.wrong().len(), heard.ns(), heard.round), (0, 1000, Some(3)));
    }

    #[test]
    fn bad_pages_lost_beats_and_clocks_that_go_back_count_once_each() {
        let bad = "BAD PAGE 3 word 0 expected 0x2 found 0x1";
        let lines =
            [bad, "CLOCK BACK 5 4", bad, "pages 3 BAD 1 99", "beat 0 2000", "beat 1 1000", "beat 3 4000"];
        assert_eq!(heard(&lines).wrong().len(), 5);
    }

    #[test]
    fn warnings_of_the_host_are_found_among_other_lines() {
        let log = "[    1.000001] cpu0 info  guest a starts\n[    2.000000] cpu1 warn  guest a: odd\n\
            [    0.000000] Linux warn\nwarn\n[    3.5] cpu0 error it is\n    warn of a second line\n";
        assert_eq!(host_warnings(log).len(), 2);
    }
}
