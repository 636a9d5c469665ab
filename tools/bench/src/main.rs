//! Measures Godwit beside its baselines: one run, side by side, a table for people and JSON for tools.
#![forbid(unsafe_code)]

mod baselines;
mod frames;
mod guests;
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
    /// Guests beside Linux KVM with QEMU: exits, boot, mappings, what a guest costs, moves.
    Guests {
        #[command(flatten)]
        options: Options,
        /// Where the image, the guests' bundle and the peer's files were built.
        #[arg(long, value_name = "DIRECTORY")]
        files: PathBuf,
        /// Only these figures (may be repeated).
        #[arg(long, value_name = "ID")]
        only: Vec<String>,
    },
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
    let mut metrics = Metrics::default();
    let options = match Command::parse().bench {
        Bench::Frames(options) => {
            frames::run(options.only_counts, &mut metrics);
            options
        }
        Bench::Guests { options, files, only } => {
            guests::run(&guests::Files::in_output(&files), options.only_counts, &only, &mut metrics)?;
            options
        }
    };
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
