//! What every scenario stands on: the image, hosts that boot it, and what they are asked.
//!
//! A scenario fails where there is no image: it never passes by not running.
#![forbid(unsafe_code)]

pub mod guests;
pub mod linux;
pub mod pair;
pub mod random;

use std::{
    env,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Result, ensure};
use godwit_lab::{FaultReport, HostSpec, MemorySize, RunningHost};

/// How long a host may take from power-on to its prompt.
pub const BOOT: Duration = Duration::from_secs(120);
/// How long a host may take for one command.
pub const ANSWER: Duration = Duration::from_secs(60);

/// A small host that boots the image: q35, one CPU, 128 MiB.
///
/// # Errors
/// There is no image.
pub fn spec(name: &str) -> Result<HostSpec> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let built = || here.ancestors().nth(2).unwrap_or(here).join("target/godwit/godwit.elf");
    let image = env::var_os("GODWIT_IMAGE").map_or_else(built, PathBuf::from);
    ensure!(image.is_file(), "no image at {}: run `cargo xtask build`", image.display());
    HostSpec::new(name, image)
}

/// As [`spec`], with `cpus` CPUs and `memory`, such as `1GiB`.
///
/// # Errors
/// There is no image, or `memory` is no amount of memory.
pub fn sized_spec(name: &str, cpus: u32, memory: &str) -> Result<HostSpec> {
    let memory: MemorySize = memory.parse()?;
    Ok(HostSpec { cpus, memory, ..spec(name)? })
}

/// Boots a host up to its prompt; returns it and its banner.
///
/// # Errors
/// It did not come that far.
pub fn boot(spec: &HostSpec) -> Result<(RunningHost, String)> {
    let host = RunningHost::start(spec)?;
    let banner = host.wait_ready(BOOT)?;
    Ok((host, banner))
}

/// Waits for a fault report and reads it.
///
/// # Errors
/// None came, or it is not understood.
pub fn fault_report(host: &RunningHost) -> Result<FaultReport> {
    host.expect_line("the end of a fault report", FaultReport::is_end, ANSWER)?;
    FaultReport::parse(&host.transcript())
}

/// How many CPUs the monitor's `cpus` lists as running.
///
/// # Errors
/// The host does not answer.
pub fn running_cpus(host: &RunningHost) -> Result<usize> {
    let table = host.command("cpus", ANSWER)?;
    let is_running = |line: &&str| {
        let mut words = line.split_whitespace();
        words
            .next()
            .is_some_and(|cpu| cpu.strip_prefix("cpu").is_some_and(|number| number.parse::<u32>().is_ok()))
            && words.any(|word| word == "running")
    };
    Ok(table.lines().filter(is_running).count())
}

/// `text` with every stretch of blanks and line ends as one blank: paragraphs are wrapped where the terminal ends.
pub fn unwrapped(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Fails unless `text`, unwrapped, contains every one of `parts`.
///
/// # Errors
/// The first part that is not there, and the whole text.
pub fn ensure_says(text: &str, parts: &[&str]) -> Result<()> {
    let unwrapped = unwrapped(text);
    for part in parts {
        ensure!(unwrapped.contains(part), "`{part}` is not in:\n{text}");
    }
    Ok(())
}
