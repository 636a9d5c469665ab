//! Hosts that run the measured guests, and what they are asked.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use godwit_lab::{HostSpec, MemorySize, RawFrames, RunningHost};

use super::{Files, report::GuestReport};

/// How long a host may take to boot, and to answer a command. Giving a guest 3 GiB makes all of it zero.
pub(super) const BOOT: Duration = Duration::from_secs(180);
pub(super) const ANSWER: Duration = Duration::from_secs(180);
/// How long a guest may take to do what its command line says.
pub(super) const GUEST: Duration = Duration::from_secs(300);

/// A host of one CPU, as the peer's is, with the measured guests in its boot module.
pub(super) fn spec(files: &Files, name: &str, memory: &str) -> Result<HostSpec> {
    let memory: MemorySize = memory.parse()?;
    Ok(HostSpec { memory, module: Some(files.bundle.clone()), ..HostSpec::new(name, &files.image)? })
}

/// Boots a host up to its prompt.
pub(super) fn boot(spec: &HostSpec) -> Result<RunningHost> {
    let host = RunningHost::start(spec)?;
    host.wait_ready(BOOT)?;
    Ok(host)
}

/// Starts a guest; when this returns it runs.
pub(super) fn start_guest(host: &RunningHost, name: &str) -> Result<()> {
    let said = host.command(&format!("start {name}"), ANSWER)?;
    ensure!(said.lines().any(|line| line == format!("{name} runs")), "{name} was not started:\n{said}");
    Ok(())
}

/// Looks at the console of a guest until a line satisfies `wanted`, and leaves it again.
pub(super) fn watch_console(
    host: &RunningHost,
    name: &str,
    what: &str,
    wanted: impl FnMut(&str) -> bool,
) -> Result<()> {
    host.type_line(&format!("console {name}"))?;
    host.expect(&format!("console of {name}"), ANSWER)?;
    host.expect_line(what, wanted, GUEST)?;
    // Ctrl-], which leaves it.
    host.type_bytes(b"\x1d")?;
    host.wait_prompt(ANSWER)?;
    Ok(())
}

/// What the host says about a guest.
pub(super) fn report(host: &RunningHost, name: &str) -> Result<GuestReport> {
    GuestReport::parse(&host.command(&format!("guest {name} raw"), ANSWER)?)
        .with_context(|| format!("host {}: guest {name}", host.name()))
}

/// Bytes that the host has in use: frames of its allocator, and its heap.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct BytesUsed {
    pub(super) frames: u64,
    pub(super) heap: u64,
}

/// Asks for [`BytesUsed`].
pub(super) fn bytes_used(host: &RunningHost) -> Result<BytesUsed> {
    let said = host.command("frames raw", ANSWER)?;
    let frames = RawFrames::parse(&said)?;
    let heap = said.lines().find_map(|line| line.strip_prefix("heap raw 1 used_bytes="));
    let heap = heap.context("`frames raw` does not say what of the heap is used")?.trim();
    let heap = heap.parse().with_context(|| format!("no number: `{heap}`"))?;
    Ok(BytesUsed { frames: (frames.total_frames - frames.free_frames) * RawFrames::FRAME_BYTES, heap })
}
