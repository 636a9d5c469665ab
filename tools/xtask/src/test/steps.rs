//! The steps of `cargo xtask test`, in their order.

use std::process::Command;

use anyhow::Result;
use clap::ValueEnum;

use super::{Outcome, libtest, progress::Progress, status::Exceptions};
use crate::{bench, build, fuzz, guests, lints, linux, process, workspace};

/// Cheap checks first: a slip shows in seconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(super) enum Step {
    /// Every file is formatted
    Format,
    /// House lints
    Lints,
    /// Clippy on every target of the workspace, warnings are errors
    Clippy,
    /// Clippy on the image and the micro guests, warnings are errors
    ClippyImage,
    /// Tests and documentation tests on this machine
    Tests,
    /// Documentation builds without a broken link
    Docs,
    /// Every interleaving of the code that CPUs share
    Loom,
    /// Devices, decoder and parsers under random and broken input, a counted number of times
    Fuzz,
    /// Bounds of the benchmarks that do not depend on this machine's speed
    Bench,
    /// The bootable image and the micro guests
    Image,
    /// The Linux test guest's kernel and initramfs
    Linux,
    /// Bounds of the guests' benchmark that do not depend on this machine's speed
    BenchGuests,
    /// Boots of whole hosts in QEMU
    Scenarios,
}

impl Step {
    /// The steps to run: all, or those asked for and what they need.
    pub(super) fn chosen(only: &[Self]) -> Vec<Self> {
        let wanted = |step: &Self| {
            only.is_empty() || only.contains(step) || only.iter().any(|other| other.needs().contains(step))
        };
        Self::value_variants().iter().copied().filter(wanted).collect()
    }

    /// The name as it is typed.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Format => "format",
            Self::Lints => "lints",
            Self::Clippy => "clippy",
            Self::ClippyImage => "clippy-image",
            Self::Tests => "tests",
            Self::Docs => "docs",
            Self::Loom => "loom",
            Self::Fuzz => "fuzz",
            Self::Bench => "bench",
            Self::Image => "image",
            Self::Linux => "linux",
            Self::BenchGuests => "bench-guests",
            Self::Scenarios => "scenarios",
        }
    }

    /// The steps whose success this one needs.
    pub(super) fn needs(self) -> &'static [Self] {
        match self {
            Self::BenchGuests | Self::Scenarios => &[Self::Image, Self::Linux],
            _ => &[],
        }
    }

    /// Runs the step.
    ///
    /// # Errors
    /// It could not be started at all.
    pub(super) fn run(self, exceptions: &Exceptions, progress: &mut Progress) -> Result<Outcome> {
        match self {
            Self::Format => check(process::cargo().args(["fmt", "--all", "--check"]), progress),
            Self::Lints => house_lints(),
            Self::Clippy => check(
                process::cargo().args([
                    "clippy",
                    "--locked",
                    "--keep-going",
                    "--workspace",
                    "--all-targets",
                    "--",
                    "-Dwarnings",
                ]),
                progress,
            ),
            Self::ClippyImage => {
                for (package, binary) in [("godwit-image", "godwit"), ("godwit-micro", "micro")] {
                    let outcome = check(
                        process::cargo()
                            .args(["clippy", "--locked", "-p", package, "--features", "kernel"])
                            .args(["--bin", binary, "--", "-Dwarnings"]),
                        progress,
                    )?;
                    if !outcome.failures.is_empty() {
                        return Ok(outcome);
                    }
                }
                Ok(Outcome::pass())
            }
            Self::Tests => tests(
                process::cargo().args([
                    "test",
                    "--locked",
                    "--workspace",
                    "--exclude",
                    "godwit-scenarios",
                    "--no-fail-fast",
                ]),
                exceptions,
                progress,
            ),
            Self::Docs => check(
                process::cargo()
                    .args([
                        "doc",
                        "--locked",
                        "--keep-going",
                        "--workspace",
                        "--no-deps",
                        "--document-private-items",
                    ])
                    .env("RUSTDOCFLAGS", "-Dwarnings"),
                progress,
            ),
            Self::Loom => tests(
                process::cargo()
                    .args(["test", "--locked", "--release", "-p", "godwit-frames", "--test", "loom"])
                    .args(["--target-dir", "target/loom"])
                    .env("RUSTFLAGS", "--cfg loom"),
                exceptions,
                progress,
            ),
            Self::Fuzz => check(&mut fuzz::targets(), progress),
            Self::Bench => check(bench::frames().args(["--only-counts", "--check"]), progress),
            Self::Image => {
                let outcome = check(&mut build::cargo_build(), progress)?;
                if !outcome.failures.is_empty() {
                    return Ok(outcome);
                }
                build::embed_symbols()?;
                let outcome = check(&mut guests::cargo_build_micro(), progress)?;
                if outcome.failures.is_empty() {
                    guests::place_micro()?;
                }
                Ok(outcome)
            }
            Self::Linux => {
                let files = linux::kernel(&mut |line| progress.show(line))?;
                progress.show("the initramfs");
                linux::initramfs(&files)?;
                Ok(Outcome::pass())
            }
            Self::BenchGuests => {
                bench::pack_guests()?;
                check(bench::guests().args(["--only-counts", "--check"]), progress)
            }
            // Selected from the whole workspace, as in the step before: other features would build everything again.
            Self::Scenarios => tests(
                process::cargo()
                    .args(["test", "--locked", "--workspace", "--no-fail-fast", "--test", "scenarios"])
                    .env("GODWIT_IMAGE", workspace::image()),
                exceptions,
                progress,
            ),
        }
    }
}

/// Runs a command that passes or fails as a whole.
fn check(command: &mut Command, progress: &mut Progress) -> Result<Outcome> {
    let (status, output) = process::capture(command, |line| progress.show(line))?;
    if status.success() {
        return Ok(Outcome::pass());
    }
    Ok(Outcome::failure(format!("$ {}\n{}", process::shown(command), libtest::relevant(&output))))
}

/// Runs a command that prints libtest's results.
fn tests(command: &mut Command, exceptions: &Exceptions, progress: &mut Progress) -> Result<Outcome> {
    let (status, output) = process::capture(command, |line| progress.show(line))?;
    Ok(libtest::outcome(status, &output, exceptions))
}

fn house_lints() -> Result<Outcome> {
    let report = lints::check(&workspace::root())?;
    if report.findings.is_empty() {
        return Ok(Outcome::pass());
    }
    let lines: Vec<_> = report.findings.iter().map(ToString::to_string).collect();
    let head = format!("{} findings in {} files\n", lines.len(), report.files);
    Ok(Outcome::failure(head + &lines.join("\n")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_what_is_typed() {
        for step in Step::value_variants() {
            assert_eq!(Step::from_str(step.name(), false).as_ref(), Ok(step));
        }
    }

    #[test]
    fn a_step_brings_what_it_needs() {
        assert_eq!(Step::chosen(&[]).len(), Step::value_variants().len());
        assert_eq!(
            Step::chosen(&[Step::Scenarios, Step::Format]),
            [Step::Format, Step::Image, Step::Linux, Step::Scenarios]
        );
        assert_eq!(Step::chosen(&[Step::Lints]), [Step::Lints]);
    }
}
