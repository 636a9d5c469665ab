//! Measures Godwit beside its baselines: one run, side by side, a table for people and JSON for tools.
#![forbid(unsafe_code)]

mod baselines;
mod frames;
mod metrics;
mod pool;
mod random;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, Parser, Subcommand};

use metrics::Metrics;

/// Measures Godwit beside its baselines.
#[derive(Parser)]
struct Command {
    #[command(subcommand)]
    bench: Bench,
}

#[derive(Subcommand)]
enum Bench {
    /// The frame allocator: fragmentation under churn, time per call, scaling, metadata.
    Frames(Options),
}

#[derive(Args)]
struct Options {
    /// Write the figures as `{"metrics": {id: number}}` to this file.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Fail where a figure misses its bound.
    #[arg(long)]
    check: bool,
    /// Only figures that do not depend on the speed of the machine.
    #[arg(long)]
    only_counts: bool,
}

fn main() -> anyhow::Result<ExitCode> {
    let Command { bench: Bench::Frames(options) } = Command::parse();
    let mut metrics = Metrics::default();
    frames::run(options.only_counts, &mut metrics);
    print!("{metrics}");
    if let Some(path) = &options.json {
        std::fs::write(path, metrics.to_json())
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    let missed = metrics.missed();
    for line in &missed {
        eprintln!("missed: {line}");
    }
    Ok(if options.check && !missed.is_empty() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
