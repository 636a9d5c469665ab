//! Runs a benchmark in release.

use std::{
    fmt::Write,
    fs,
    path::{self, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};
use godwit_lab::micro_trials;

use crate::{build, bundle, guests, linux, process, setup, workspace};

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
    /// Only this figure, of `guests` or `trust` (may be repeated)
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
    /// Guests to trust: micro guests here and elsewhere, fair shares, several virtual CPUs, load
    Trust,
}

impl Options {
    /// Whether this figure may be wanted.
    fn takes(&self, id: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|only| only == id)
    }
}

/// The image and the Linux test guest; for more than counts, the peer as well.
fn build_for_guests(options: &Options) -> Result<()> {
    setup::ensure()?;
    build::image()?;
    let linux = linux::kernel(&mut |line| println!("{line}"))?;
    let initramfs = linux::initramfs(&linux)?;
    if !options.only_counts {
        linux::peer(&linux, &initramfs)?;
    }
    Ok(())
}

/// Builds and runs the benchmark.
pub(crate) fn run(options: &Options) -> Result<()> {
    let mut command = match options.bench {
        Bench::Frames => frames(),
        Bench::Guests => {
            build_for_guests(options)?;
            pack_guests()?;
            guests()
        }
        Bench::Trust => {
            build_for_guests(options)?;
            guests::build_micro()?;
            pack_micro()?;
            if !options.only_counts {
                pack_trust()?;
            }
            if options.takes("trust.fuzz_executions_ci") && !options.only_counts {
                process::run(&mut fuzz())?;
            }
            trust()
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

/// Has the fuzz targets run as often as in every test run, and counts it for [`trust`].
fn fuzz() -> Command {
    let mut command = process::cargo();
    command.args(["xtask", "fuzz", "--json"]).arg(workspace::output().join("fuzz.json"));
    command
}

/// The command that measures whether guests can be trusted. The image, the micro guests and [`pack_micro`] come before it; for more
/// than counts, the Linux guest, [`pack_trust`], the fuzz targets and the peer as well.
pub(crate) fn trust() -> Command {
    let mut command = process::cargo();
    command.args(["run", "--locked", "--quiet", "--release", "-p", "godwit-bench", "--", "trust"]);
    command.arg("--files").arg(workspace::output());
    command
}

/// Packs a guest for each trial of the micro guests, by its place among them: `trial-0` and so on.
pub(crate) fn pack_micro() -> Result<()> {
    let kernel = workspace::output().join("micro.elf");
    let mut guests = String::new();
    for (place, trial) in micro_trials(&kernel)?.iter().enumerate() {
        writeln!(guests, "[[guest]]\nname = \"trial-{place}\"\nmemory = \"16MiB\"\nkernel = \"micro.elf\"")?;
        writeln!(guests, "cmdline = \"test={trial}\"\nautostart = false\n")?;
    }
    let file = workspace::output().join("bench-trust-micro.toml");
    fs::write(&file, guests).with_context(|| format!("cannot write {}", file.display()))?;
    bundle::write(&file, &file.with_extension("bundle")).map(|_| ())
}

/// Packs the other guests of [`trust`].
pub(crate) fn pack_trust() -> Result<()> {
    let guests = workspace::root().join("tools/bench/trust-guests.toml");
    bundle::write(&guests, &workspace::output().join("bench-trust.bundle")).map(|_| ())
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
