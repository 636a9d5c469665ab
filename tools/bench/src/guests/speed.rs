//! Times, in turns with the peer: what a CPUID exit costs, and how long a guest boots.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use godwit_lab::{GuestLine, MemorySize, StampedLine};
use godwit_peer_kvm::Peer;

use super::{Files, bed, progress};
use crate::{
    frames::median,
    metrics::{Bound, Metrics},
};

/// How often each side takes its turn.
const TURNS: usize = 3;
/// Exits that the guest measures at a time, as in the bundle's command line.
const EXITS: u32 = 2000;
/// The host's memory: as much as the peer's.
const HOST_MEMORY: &str = "2560MiB";

/// Takes the ratios.
pub(super) fn take(files: &Files, metrics: &mut Metrics) -> Result<()> {
    progress(format_args!(
        "times, in {TURNS} turns: Godwit and the peer, hosts of one CPU and {HOST_MEMORY}"
    ));
    let peer = Peer::start(&files.peer)?;
    progress(format_args!("  the peer: {}", peer.description()));
    let memory = MemorySize::from_mib(256)?;
    let (mut boots, mut exits) = ([vec![], vec![]], [vec![], vec![]]);
    for turn in 1..=TURNS {
        let pair = [boot_seconds(files)?, peer.boot_seconds(memory)?];
        progress(format_args!("  {turn}: boot {:.2} s, the peer {:.2} s", pair[0], pair[1]));
        boots.iter_mut().zip(pair).for_each(|(of, value)| of.push(value));
        let pair = [cpuid_exit_ns(files)? / 1000.0, peer.cpuid_exit_ns(EXITS)? as f64 / 1000.0];
        progress(format_args!("  {turn}: CPUID exit {:.2} µs, the peer {:.2} µs", pair[0], pair[1]));
        exits.iter_mut().zip(pair).for_each(|(of, value)| of.push(value));
    }
    let [ours, theirs] = exits.map(median);
    metrics.bounded(
        "guests.cpuid_exit_ratio",
        ours / theirs,
        Bound::AtMost(0.2),
        "a CPUID exit / the peer's",
    );
    metrics.shown("guests.cpuid_exit_us", ours, "round trip, median");
    metrics.shown("guests.peer_cpuid_exit_us", theirs, "");
    let [ours, theirs] = boots.map(median);
    metrics.bounded(
        "guests.boot_ratio",
        ours / theirs,
        Bound::AtMost(1.0),
        "to user space, 256 MiB / the peer's",
    );
    metrics.shown("guests.boot_s", ours, "first instruction to user space, median");
    metrics.shown("guests.peer_boot_s", theirs, "");
    Ok(())
}

/// Runs a guest that ends by itself, on a host of its own; every line from its start on.
fn run(files: &Files, name: &str) -> Result<Vec<StampedLine>> {
    let host = bed::boot(&bed::spec(files, "bench", HOST_MEMORY)?)?;
    bed::start_guest(&host, name)?;
    host.type_line(&format!("console {name}"))?;
    let ended = format!("{name}: it switched itself off");
    host.expect_line("the end of the guest", |line| line == ended, bed::GUEST)?;
    let mut lines = host.stamped_lines();
    let start = format!("guest {name} starts with ");
    let first = lines.iter().position(|line| line.text.contains(&start)).context("it was never started")?;
    let lines = lines.split_off(first);
    for line in &lines {
        if let Some(GuestLine::Bad(text)) = GuestLine::parse(&line.text) {
            bail!("the guest {name} reports: {text}");
        }
    }
    Ok(lines)
}

/// From the host's line just before the first instruction to the guest's first line of user space, both stamped by the lab.
fn boot_seconds(files: &Files) -> Result<f64> {
    let lines = run(files, "boot")?;
    let start = lines.first().context("it was never started")?.at;
    let is_user_space =
        |line: &&StampedLine| matches!(GuestLine::parse(&line.text), Some(GuestLine::UserSpace { .. }));
    let user_space = lines.iter().find(is_user_space).context("it did not come to user space")?;
    let took: Duration = user_space.at.saturating_duration_since(start);
    Ok(took.as_secs_f64())
}

/// Nanoseconds of a CPUID exit: the median of what the guest measures.
fn cpuid_exit_ns(files: &Files) -> Result<f64> {
    let measured: Vec<f64> = run(files, "exits")?
        .iter()
        .filter_map(|line| match GuestLine::parse(&line.text) {
            Some(GuestLine::CpuidExit { ns, .. }) => Some(ns as f64),
            _ => None,
        })
        .collect();
    anyhow::ensure!(!measured.is_empty(), "the guest measured nothing");
    Ok(median(measured))
}
