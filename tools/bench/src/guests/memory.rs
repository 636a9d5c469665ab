//! What a guest's memory is mapped with, whether it ever faults, and what the guest costs its host beside it.

use anyhow::Result;
use godwit_lab::RunningHost;

use super::{Files, bed, progress};
use crate::metrics::{Bound, Metrics};

/// What a virtual CPU may cost beside the memory.
const ALLOWED_PER_VCPU: u64 = 256 << 10;

/// Takes these figures on hosts of 6 GiB, unfragmented: one host for all guests, which take turns.
pub(super) fn take(files: &Files, metrics: &mut Metrics) -> Result<()> {
    progress(format_args!("mappings: guests of 256 MiB, 1 GiB and 3 GiB on a host of 6 GiB"));
    let host = bed::boot(&bed::spec(files, "bench", "6GiB")?)?;
    overhead(&host, metrics)?;
    let mut shares = Vec::new();
    let mut faults = 0;
    for (guest, size) in [("small", "256 MiB"), ("medium", "1 GiB"), ("large", "3 GiB")] {
        bed::start_guest(&host, guest)?;
        if guest == "small" {
            bed::watch_console(&host, guest, "the fill", |line| line.starts_with("fill 0 ok"))?;
        } else {
            let user_space = |line: &str| line.starts_with("godwit-guest: user space ");
            bed::watch_console(&host, guest, "user space", user_space)?;
        }
        let report = bed::report(&host, guest)?;
        anyhow::ensure!(
            report.bytes() == report.memory_bytes,
            "not all memory of {guest} is mapped: {report:?}"
        );
        let share = report.bytes_on_largest() as f64 / report.bytes() as f64 * 100.0;
        shares.push(share);
        faults += report.exits.get("nested-fault").copied().unwrap_or(u64::MAX);
        let gib = report.bytes_on(18) >> 30;
        let in_all: u64 = report.exits.values().sum();
        progress(format_args!("  {size}: {share} % on the largest leaves, {gib} x 1 GiB; {in_all} exits"));
        host.command(&format!("stop {guest}"), bed::ANSWER)?;
    }
    let least = shares.into_iter().fold(100.0, f64::min);
    metrics.bounded(
        "guests.nested_faults_on_ram",
        faults as f64,
        Bound::AtMost(0.0),
        "three guests, after start",
    );
    metrics.bounded("guests.huge_share_percent", least, Bound::AtLeast(100.0), "least of three guests");
    Ok(())
}

/// Starts a guest of 256 MiB and compares what the host uses before and afterwards.
fn overhead(host: &RunningHost, metrics: &mut Metrics) -> Result<()> {
    // The first start makes what stays for later ones.
    bed::start_guest(host, "small")?;
    host.command("stop small", bed::ANSWER)?;
    let before = bed::bytes_used(host)?;
    bed::start_guest(host, "small")?;
    let with = bed::bytes_used(host)?;
    let ram = bed::report(host, "small")?.memory_bytes;
    host.command("stop small", bed::ANSWER)?;
    let frames = with.frames.saturating_sub(before.frames).saturating_sub(ram);
    let heap = with.heap.saturating_sub(before.heap);
    let beyond = (frames + heap) as f64 - ALLOWED_PER_VCPU as f64;
    let percent = (beyond / ram as f64 * 100.0).max(0.0);
    metrics.bounded("guests.overhead_percent", percent, Bound::AtMost(0.3), "beyond 256 KiB for the vCPU");
    metrics.shown(
        "guests.overhead_bytes",
        (frames + heap) as f64,
        format!("{frames} in frames, {heap} of the heap"),
    );
    Ok(())
}
