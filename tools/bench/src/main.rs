//! Measures Godwit beside its baselines: one run, side by side, a table for people and JSON for tools.
#![forbid(unsafe_code)]

mod baselines;
mod frames;
mod groups;
mod guests;
mod metrics;
mod pool;
mod random;
mod trust;

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::Context;
use clap::{Args, Parser, Subcommand};

use groups::Wanted;
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
    Guests(GuestOptions),
    /// Guests to trust: micro guests here and elsewhere, fair shares, several virtual CPUs, load.
    Trust(GuestOptions),
}

#[derive(Args)]
struct GuestOptions {
    #[command(flatten)]
    options: Options,
    /// Where the image, the guests' bundles and the peer's files were built.
    #[arg(long, value_name = "DIRECTORY")]
    files: PathBuf,
    /// Only these figures (may be repeated).
    #[arg(long, value_name = "ID")]
    only: Vec<String>,
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

impl GuestOptions {
    /// Takes the figures of one benchmark.
    fn run(
        self,
        bench: fn(&Path, &Wanted, &mut Metrics) -> anyhow::Result<()>,
        metrics: &mut Metrics,
    ) -> anyhow::Result<Options> {
        let wanted = Wanted { only_counts: self.options.only_counts, only: self.only };
        bench(&self.files, &wanted, metrics)?;
        Ok(self.options)
    }
}

fn main() -> anyhow::Result<ExitCode> {
    let mut metrics = Metrics::default();
    let options = match Command::parse().bench {
        Bench::Frames(options) => {
            frames::run(options.only_counts, &mut metrics);
            options
        }
        Bench::Guests(guests) => guests.run(guests::run, &mut metrics)?,
        Bench::Trust(guests) => guests.run(trust::run, &mut metrics)?,
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
