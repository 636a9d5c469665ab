//! Times, in turns with the peer: what a CPUID exit costs, and how long a guest boots.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use godwit_lab::{GuestLine, HostSpec, StampedLine};
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
/// Memory of the guests that boot.
pub(crate) const GUEST_MEMORY: &str = "256MiB";
/// The host's memory: as much as the peer's.
const HOST_MEMORY: &str = "2560MiB";

/// Takes the ratios.
pub(super) fn take(files: &Files, metrics: &mut Metrics) -> Result<()> {
    let peer = start_peer(files, 1)?;
    boot_ratio(
        ["guests", "boot"],
        [&mut || boot_seconds(files, 1, "boot", 1), &mut || peer.boot_seconds(GUEST_MEMORY.parse()?, 1)],
        metrics,
    )?;
    cpuid_exit_ratio("guests", files, &peer, metrics)
}

/// Boots the peer's host, as large as Godwit's.
pub(crate) fn start_peer(files: &Files, cpus: u32) -> Result<Peer> {
    let peer = Peer::start(&files.peer, cpus)?;
    progress(format_args!(
        "the peer, a host of {cpus} CPUs and {HOST_MEMORY} as Godwit's: {}",
        peer.description()
    ));
    Ok(peer)
}

/// `GROUP.cpuid_exit_ratio`: what a CPUID exit of the guest `exits` costs.
pub(crate) fn cpuid_exit_ratio(group: &str, files: &Files, peer: &Peer, metrics: &mut Metrics) -> Result<()> {
    let [ours, theirs] = in_turns(
        "CPUID exit, µs",
        [&mut || Ok(cpuid_exit_ns(files)? / 1000.0), &mut || Ok(peer.cpuid_exit_ns(EXITS)? as f64 / 1000.0)],
    )?;
    metrics.bounded(
        &format!("{group}.cpuid_exit_ratio"),
        ours / theirs,
        Bound::AtMost(0.2),
        "a CPUID exit / the peer's",
    );
    metrics.shown(format!("{group}.cpuid_exit_us"), ours, "round trip, median");
    metrics.shown(format!("{group}.peer_cpuid_exit_us"), theirs, "");
    Ok(())
}

/// `GROUP.WHAT_ratio`: how long a guest takes to user space.
pub(crate) fn boot_ratio(
    [group, what]: [&str; 2],
    sides: [Side<'_>; 2],
    metrics: &mut Metrics,
) -> Result<()> {
    let [ours, theirs] = in_turns("boot, s", sides)?;
    metrics.bounded(
        &format!("{group}.{what}_ratio"),
        ours / theirs,
        Bound::AtMost(1.0),
        "to user space, 256 MiB / the peer's",
    );
    metrics.shown(format!("{group}.{what}_s"), ours, "first instruction to user space, median");
    metrics.shown(format!("{group}.peer_{what}_s"), theirs, "");
    Ok(())
}

/// One of two that are measured.
pub(crate) type Side<'m> = &'m mut dyn FnMut() -> Result<f64>;

/// Has both sides take turns; the median of each.
fn in_turns(what: &str, sides: [Side<'_>; 2]) -> Result<[f64; 2]> {
    let mut taken = [vec![], vec![]];
    let [ours, theirs] = sides;
    for turn in 1..=TURNS {
        let pair = [ours()?, theirs()?];
        progress(format_args!("  {turn}: {what}: {:.2}, the peer {:.2}", pair[0], pair[1]));
        taken.iter_mut().zip(pair).for_each(|(of, value)| of.push(value));
    }
    Ok(taken.map(median))
}

/// Runs a guest that ends by itself, on a host of its own with `host_cpus` CPUs; every line from its start on. It must have `cpus`.
fn run(files: &Files, host_cpus: u32, name: &str, cpus: u32) -> Result<Vec<StampedLine>> {
    let host = bed::boot(&HostSpec { cpus: host_cpus, ..bed::spec(files, "bench", HOST_MEMORY)? })?;
    bed::start_guest(&host, name)?;
    host.type_line(&format!("console {name}"))?;
    let ended = format!("{name}: it switched itself off");
    host.expect_line("the end of the guest", |line| line == ended, bed::GUEST)?;
    let mut lines = host.stamped_lines();
    let start = format!("guest {name} starts ");
    let first = lines.iter().position(|line| line.text.contains(&start)).context("it was never started")?;
    let lines = lines.split_off(first);
    let mut counted = None;
    for line in &lines {
        match GuestLine::parse(&line.text) {
            Some(GuestLine::Bad(text)) => bail!("the guest {name} reports: {text}"),
            Some(GuestLine::Cpus { count }) => counted = Some(count),
            _ => {}
        }
    }
    ensure!(counted == Some(cpus), "the guest {name} has {counted:?} CPUs, not {cpus}");
    Ok(lines)
}

/// From the host's line just before the first instruction of the guest `name` to its first line of user space, both stamped by the
/// lab.
pub(crate) fn boot_seconds(files: &Files, host_cpus: u32, name: &str, cpus: u32) -> Result<f64> {
    let lines = run(files, host_cpus, name, cpus)?;
    let start = lines.first().context("it was never started")?.at;
    let is_user_space =
        |line: &&StampedLine| matches!(GuestLine::parse(&line.text), Some(GuestLine::UserSpace { .. }));
    let user_space = lines.iter().find(is_user_space).context("it did not come to user space")?;
    let took: Duration = user_space.at.saturating_duration_since(start);
    Ok(took.as_secs_f64())
}

/// Nanoseconds of a CPUID exit: the median of what the guest measures.
fn cpuid_exit_ns(files: &Files) -> Result<f64> {
    let measured: Vec<f64> = run(files, 1, "exits", 1)?
        .iter()
        .filter_map(|line| match GuestLine::parse(&line.text) {
            Some(GuestLine::CpuidExit { ns, .. }) => Some(ns as f64),
            _ => None,
        })
        .collect();
    ensure!(!measured.is_empty(), "the guest measured nothing");
    Ok(median(measured))
}
