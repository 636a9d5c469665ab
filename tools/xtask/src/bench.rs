//! Runs a benchmark in release.

use std::{
    path::{self, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};

use crate::{build, bundle, linux, process, setup, workspace};

/// What to measure and what to do with the figures.
#[derive(Args)]
pub(crate) struct Options {
    /// Which benchmark
    bench: Bench,
    /// Write the figures as `{"metrics": {id: number}}`
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Fail on a bound that is missed
    #[arg(long)]
    check: bool,
    /// Only the rows that do not depend on this machine's speed
    #[arg(long)]
    only_counts: bool,
    /// Only this figure, of `guests` (may be repeated)
    #[arg(long, value_name = "ID")]
    only: Vec<String>,
}

/// The benchmarks.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum Bench {
    /// The frame allocator beside others
    Frames,
    /// Guests beside Linux KVM with QEMU
    Guests,
}

/// Builds and runs the benchmark.
pub(crate) fn run(options: &Options) -> Result<()> {
    let mut command = match options.bench {
        Bench::Frames => frames(),
        Bench::Guests => {
            setup::ensure()?;
            build::image()?;
            let linux = linux::kernel(&mut |line| println!("{line}"))?;
            let initramfs = linux::initramfs(&linux)?;
            if !options.only_counts {
                linux::peer(&linux, &initramfs)?;
            }
            pack_guests()?;
            guests()
        }
    };
    if let Some(file) = &options.json {
        // The benchmark runs in the repository's root; the file is meant from here.
        command.arg("--json").arg(path::absolute(file).context("--json")?);
    }
    command.args(options.check.then_some("--check"));
    command.args(options.only_counts.then_some("--only-counts"));
    command.args(options.only.iter().flat_map(|id| ["--only", id]));
    process::run(&mut command)
}

/// The command that measures the frame allocator.
pub(crate) fn frames() -> Command {
    let mut command = process::cargo();
    command.args(["run", "--locked", "--quiet", "--release", "-p", "godwit-bench", "--", "frames"]);
    command
}

/// The command that measures guests. The image, the Linux guest and [`pack_guests`] come before it; for more than counts, the
/// peer as well.
pub(crate) fn guests() -> Command {
    let mut command = process::cargo();
    command.args(["run", "--locked", "--quiet", "--release", "-p", "godwit-bench", "--", "guests"]);
    command.arg("--files").arg(workspace::output());
    command
}

/// Packs the guests that are measured.
pub(crate) fn pack_guests() -> Result<()> {
    let guests = workspace::root().join("tools/bench/guests.toml");
    bundle::write(&guests, &workspace::output().join("bench-guests.bundle")).map(|_| ())
}
