//! Hosts that run the measured guests, and what they are asked.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use godwit_lab::{HostSpec, MemorySize, RawFrames, RunningHost};

use super::{Files, report::GuestReport};

/// How long a host may take to boot, and to answer a command. Giving a guest 3 GiB makes all of it zero.
pub(crate) const BOOT: Duration = Duration::from_secs(180);
pub(crate) const ANSWER: Duration = Duration::from_secs(180);
/// How long a guest may take to do what its command line says.
pub(crate) const GUEST: Duration = Duration::from_secs(300);

/// A host of one CPU, as the peer's is, with the measured guests in its boot module.
pub(crate) fn spec(files: &Files, name: &str, memory: &str) -> Result<HostSpec> {
    let memory: MemorySize = memory.parse()?;
    Ok(HostSpec { memory, module: Some(files.bundle.clone()), ..HostSpec::new(name, &files.image)? })
}

/// Boots a host up to its prompt.
pub(crate) fn boot(spec: &HostSpec) -> Result<RunningHost> {
    let host = RunningHost::start(spec)?;
    host.wait_ready(BOOT)?;
    Ok(host)
}

/// Starts a guest; when this returns it runs.
pub(crate) fn start_guest(host: &RunningHost, name: &str) -> Result<()> {
    let said = host.command(&format!("start {name}"), ANSWER)?;
    ensure!(said.lines().any(|line| line == format!("{name} runs")), "{name} was not started:\n{said}");
    Ok(())
}

/// Looks at the console of a guest until a line satisfies `wanted`, and leaves it again. Answers with every whole line that was
/// shown; output that is kept from before is shown again.
pub(crate) fn watch_console(
    host: &RunningHost,
    name: &str,
    what: &str,
    wanted: impl FnMut(&str) -> bool,
) -> Result<Vec<String>> {
    host.type_line(&format!("console {name}"))?;
    host.expect_line("the console", |line| line.starts_with(&format!("console of {name}; ")), ANSWER)?;
    let found = host.expect_line(what, wanted, GUEST)?;
    let rest = leave_console(host)?;
    let mut lines: Vec<_> = found.before.lines().map(str::to_owned).collect();
    lines.push(found.text);
    let mut rest: Vec<_> = rest.lines().map(str::to_owned).collect();
    let left = rest.iter().position(|line| line.starts_with("left the console of ")).unwrap_or(0);
    // Leaving cuts the line before.
    rest.truncate(left.saturating_sub(1));
    lines.append(&mut rest);
    Ok(lines)
}

/// Leaves a guest's console; what was shown until the prompt.
pub(crate) fn leave_console(host: &RunningHost) -> Result<String> {
    // Ctrl-].
    host.type_bytes(b"\x1d")?;
    host.wait_prompt(ANSWER)
}

/// Stops a guest, whatever it does.
pub(crate) fn stop_guest(host: &RunningHost, name: &str) -> Result<()> {
    host.command(&format!("stop {name}"), ANSWER).map(|_| ())
}

/// What the host says about a guest.
pub(crate) fn report(host: &RunningHost, name: &str) -> Result<GuestReport> {
    GuestReport::parse(&host.command(&format!("guest {name} raw"), ANSWER)?)
        .with_context(|| format!("host {}: guest {name}", host.name()))
}

/// Bytes that the host has in use: frames of its allocator, and its heap.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct BytesUsed {
    pub(crate) frames: u64,
    pub(crate) heap: u64,
}

/// Asks for [`BytesUsed`].
pub(crate) fn bytes_used(host: &RunningHost) -> Result<BytesUsed> {
    let said = host.command("frames raw", ANSWER)?;
    let frames = RawFrames::parse(&said)?;
    let heap = said.lines().find_map(|line| line.strip_prefix("heap raw 1 used_bytes="));
    let heap = heap.context("`frames raw` does not say what of the heap is used")?.trim();
    let heap = heap.parse().with_context(|| format!("no number: `{heap}`"))?;
    Ok(BytesUsed { frames: (frames.total_frames - frames.free_frames) * RawFrames::FRAME_BYTES, heap })
}
