//! Runs fuzz targets, compiled so that a sum that overflows is a crash.

use std::{
    path::{self, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};
use clap::Args;

use crate::process;

/// What to fuzz, and for how long.
#[derive(Args)]
pub(crate) struct Options {
    /// Only this target (may be repeated)
    #[arg(long, value_name = "NAME")]
    target: Vec<String>,
    /// Other inputs than the usual ones
    #[arg(long)]
    seed: Option<u64>,
    /// Executions of each target
    #[arg(long, value_name = "COUNT")]
    executions: Option<u64>,
    /// How long each target runs, instead of so many executions
    #[arg(long, value_name = "SECONDS")]
    seconds: Option<u64>,
    /// Run this input of one target
    #[arg(long, value_name = "HEX")]
    input: Option<String>,
    /// Targets that run at once
    #[arg(long, value_name = "COUNT")]
    jobs: Option<usize>,
    /// How long a target may say nothing before it counts as endless
    #[arg(long, value_name = "SECONDS")]
    patience: Option<u64>,
    /// Write the figures as `{"metrics": {id: number}}`
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Say which targets there are
    #[arg(long)]
    list: bool,
}

/// Builds the targets and runs them.
///
/// # Errors
/// One of them crashed, or they cannot be built.
pub(crate) fn run(options: &Options) -> Result<()> {
    let mut command = targets();
    command.args(options.target.iter().flat_map(|target| ["--target", target]));
    let mut give = |name: &str, value: Option<String>| {
        command.args(value.map(|value| format!("--{name}={value}")));
    };
    give("seed", options.seed.map(|seed| seed.to_string()));
    give("executions", options.executions.map(|executions| executions.to_string()));
    give("seconds", options.seconds.map(|seconds| seconds.to_string()));
    give("input", options.input.clone());
    give("jobs", options.jobs.map(|jobs| jobs.to_string()));
    give("patience", options.patience.map(|patience| patience.to_string()));
    if let Some(file) = &options.json {
        // The targets run in the repository's root; the file is meant from here.
        command.arg("--json").arg(path::absolute(file).context("--json")?);
    }
    command.args(options.list.then_some("--list"));
    process::run(&mut command)
}

/// The command that runs every target, each with the executions that it has in continuous integration.
pub(crate) fn targets() -> Command {
    let mut command = process::cargo();
    command.args(["run", "--locked", "--quiet", "--profile", "fuzz", "-p", "godwit-fuzz", "--"]);
    command
}
