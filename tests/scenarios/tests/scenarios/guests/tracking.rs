//! Which memory a running guest writes.

use std::{collections::BTreeSet, time::Duration};

use anyhow::{Context, Result, ensure};
use godwit_guest::description::{GuestDescription, Processors, VcpuCount};
use godwit_scenarios::{
    ANSWER,
    guests::{Bundle, GuestHost, MICRO, micro},
    sized_spec,
};

/// The frames that the guest writes: two of its 2 MiB leaves, of eight.
const FIRST: u64 = 2048;
const FRAMES: u64 = 1024;
/// How far the next frame lies behind the last.
const STEP: u64 = 389;
/// Frames of a leaf of 2 MiB.
const LEAF: u64 = 512;
/// What the guest's image takes, and whatever else it writes, lies in leaves below this frame.
const OWN: u64 = 1024;
/// Looks at what was written while the guest writes.
const LOOKS: usize = 6;
/// How long each CPU of the guest may take for its next frames.
const PROGRESS: Duration = MICRO;

fn host(cpus: u64) -> Result<GuestHost> {
    let line = format!("test=writes first={FIRST} frames={FRAMES} step={STEP} cpus={cpus} us=8000 ms=40");
    let processors = Processors { count: VcpuCount::new(cpus)?, ..Processors::default() };
    let mut bundle = Bundle::new();
    bundle.micro(GuestDescription { processors, ..micro("web-1", &line)? })?;
    bundle.boot(&sized_spec("north", 2, "128MiB")?)
}

/// How the guest is mapped, line by line.
fn leaves(host: &GuestHost) -> Result<Vec<String>> {
    let said = host.command("guest web-1 raw", ANSWER)?;
    let tells = |line: &&str| ["leaves ", "stretch ", "tables "].iter().any(|key| line.starts_with(key));
    Ok(said.lines().filter(tells).map(|line| line.trim_end().to_owned()).collect())
}

/// The numbers of the leaves of 2 MiB that are split.
fn split(leaves: &[String]) -> Result<BTreeSet<u64>> {
    let mut split = BTreeSet::new();
    for line in leaves.iter().filter_map(|line| line.strip_prefix("stretch 0 ")) {
        let (start, count) = line.split_once(' ').context("where and how many")?;
        let (start, count): (u64, u64) = (start.parse()?, count.parse()?);
        split.extend((start..start + count).map(|frame| frame / LEAF));
    }
    Ok(split)
}

/// The frames that the host says were written since the last look.
fn written(host: &GuestHost) -> Result<BTreeSet<u64>> {
    let said = host.command("tracking web-1 raw", ANSWER)?;
    let mut frames = BTreeSet::new();
    for line in said.lines().filter_map(|line| line.trim_end().strip_prefix("written ")) {
        let (start, count) = line.split_once(' ').with_context(|| said.clone())?;
        let (start, count): (u64, u64) = (start.parse()?, count.parse()?);
        frames.extend(start..start + count);
    }
    ensure!(said.contains(&format!("frames {}", frames.len())) && said.contains("end"), "{said}");
    Ok(frames)
}

/// The frame that a CPU of the guest writes as its `number`th.
fn frame(cpus: u64, cpu: u64, number: u64) -> u64 {
    FIRST + (number * cpus + cpu) * STEP % FRAMES
}

/// How many frames each CPU has written, as the guest says, once that is more than `before` for each that writes.
fn progress(host: &GuestHost, cpus: u64, before: [u64; 2]) -> Result<[u64; 2]> {
    let counts = |line: &str| -> Option<[u64; 2]> {
        let (own, other) = line.trim_end().strip_prefix("wrote ")?.split_once(' ')?;
        Some([own.parse().ok()?, other.parse().ok()?])
    };
    let is_more = |[own, other]: [u64; 2]| own > before[0] && (cpus == 1 || other > before[1]);
    host.enter_console("web-1")?;
    let line = host.expect_line("progress", |line| counts(line).is_some_and(is_more), PROGRESS)?;
    host.leave_console("web-1")?;
    counts(&line.text).context("counts")
}

/// Whether what was found of each CPU's frames is what it writes first: nothing is missing before anything else.
fn ensure_whole(cpus: u64, found: &BTreeSet<u64>, said: [u64; 2]) -> Result<()> {
    let strange: Vec<_> =
        found.iter().filter(|frame| **frame >= OWN && !(FIRST..FIRST + FRAMES).contains(*frame)).collect();
    ensure!(strange.is_empty(), "nobody wrote {strange:?}");
    for (cpu, said) in (0..cpus).zip(said) {
        let each = FRAMES / cpus;
        let first_missing = (0..each).find(|number| !found.contains(&frame(cpus, cpu, *number)));
        let until = first_missing.unwrap_or(each);
        ensure!(until >= said.min(each), "CPU {cpu} wrote {said} frames, and number {until} was not found");
        let behind = (until..each).find(|number| found.contains(&frame(cpus, cpu, *number)));
        ensure!(behind.is_none(), "CPU {cpu}: number {until} was not found, and {behind:?} was");
    }
    Ok(())
}

fn every_write_is_found(cpus: u64) -> Result<()> {
    let host = host(cpus)?;
    host.start("web-1")?;
    host.enter_console("web-1")?;
    host.expect_line("its begin", |line| line.trim_end() == "micro writes begins", MICRO)?;
    host.leave_console("web-1")?;
    let before = leaves(&host)?;
    ensure!(before.iter().any(|line| line == "leaves 9 8"), "{before:?}");
    host.command("tracking web-1 on", ANSWER)?;
    let mut found = written(&host)?;
    ensure!(!found.iter().any(|frame| *frame >= OWN), "it has written nothing yet");

    host.enter_console("web-1")?;
    host.type_bytes(b"g")?;
    host.leave_console("web-1")?;
    let mut said = [0, 0];
    for _ in 0..LOOKS {
        said = progress(&host, cpus, said)?;
        found.extend(written(&host)?);
        ensure_whole(cpus, &found, said)?;
    }
    ensure!(said[0] < FRAMES / cpus, "it was through before the last look: {said:?}");

    // The leaves that it wrote to are split, and no others.
    let touched: BTreeSet<u64> = found.iter().map(|frame| frame / LEAF).collect();
    let now = leaves(&host)?;
    ensure!(split(&now)? == touched, "it wrote to leaves {touched:?} of 2 MiB: {now:?}");
    // One exit for each leaf and CPU at most.
    let faults = host.guest("web-1")?.exits.get("nested-fault").copied().unwrap_or_default();
    let most = touched.len() as u64 * cpus;
    ensure!((touched.len() as u64..=most).contains(&faults), "{faults} faults, {touched:?}, {cpus} CPUs");
    host.tell("tracking", "web-1 off", "the writes of web-1 are not tracked any more")?;
    let after = leaves(&host)?;
    ensure!(after == before, "before {before:?}, after {after:?}");
    // It runs on.
    progress(&host, cpus, said)?;
    host.tell("stop", "web-1", "is stopped")
}

#[test]
fn every_frame_that_a_cpu_writes_is_found() -> Result<()> {
    every_write_is_found(1)
}

#[test]
fn every_frame_that_two_cpus_write_at_once_is_found() -> Result<()> {
    every_write_is_found(2)
}
