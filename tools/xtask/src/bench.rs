//! Runs a benchmark in release.

use std::path::{self, PathBuf};

use anyhow::{Context, Result};
use clap::Args;

use crate::process;

/// What to measure and what to do with the figures.
#[derive(Args)]
pub(crate) struct Options {
    /// Which benchmark: `frames`
    name: String,
    /// Write the figures as `{"metrics": {id: number}}`
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Fail on a bound that is missed
    #[arg(long)]
    check: bool,
    /// Only the rows that do not depend on this machine's speed
    #[arg(long)]
    only_counts: bool,
}

/// Builds and runs the benchmark.
pub(crate) fn run(options: &Options) -> Result<()> {
    let mut command = process::cargo();
    command.args(["run", "--locked", "--quiet", "--release", "-p", "godwit-bench", "--", &options.name]);
    if let Some(file) = &options.json {
        // The benchmark runs in the repository's root; the file is meant from here.
        command.arg("--json").arg(path::absolute(file).context("--json")?);
    }
    command.args(options.check.then_some("--check"));
    command.args(options.only_counts.then_some("--only-counts"));
    process::run(&mut command)
}
