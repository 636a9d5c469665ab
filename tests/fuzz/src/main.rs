//! Runs fuzz targets: `cargo xtask fuzz`.
#![forbid(unsafe_code)]

use std::{
    path::PathBuf,
    process::ExitCode,
    sync::Mutex,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use clap::{Args, Parser, Subcommand};
use godwit_fuzz::{
    Target,
    harness::{
        DEFAULT_SEED, hex, report,
        supervise::{self, Outcome},
        worker::{self, Work},
    },
    targets,
};

/// Runs fuzz targets with inputs that follow from a seed.
#[derive(Parser)]
#[command(name = "cargo xtask fuzz", args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(flatten)]
    options: Options,
    #[command(subcommand)]
    inner: Option<Inner>,
}

#[derive(Args)]
struct Options {
    /// Only this target (may be repeated)
    #[arg(long, value_name = "NAME", value_parser = targets::by_name)]
    target: Vec<&'static Target>,
    /// Other inputs than the usual ones
    #[arg(long, default_value_t = DEFAULT_SEED)]
    seed: u64,
    /// Executions of each target
    #[arg(long, value_name = "COUNT")]
    executions: Option<u64>,
    /// How long each target runs, instead of so many executions
    #[arg(long, value_name = "SECONDS")]
    seconds: Option<u64>,
    /// Runs this input of one target
    #[arg(long, value_name = "HEX")]
    input: Option<String>,
    /// Targets that run at once
    #[arg(long, value_name = "COUNT")]
    jobs: Option<usize>,
    /// How long a target may say nothing
    #[arg(long, value_name = "SECONDS", default_value_t = supervise::PATIENCE.as_secs())]
    patience: u64,
    /// Write the figures as `{"metrics": {id: number}}`
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Say which targets there are
    #[arg(long)]
    list: bool,
}

#[derive(Subcommand)]
enum Inner {
    /// Runs a target in this process
    #[command(hide = true)]
    Worker(WorkerOptions),
}

#[derive(Args)]
struct WorkerOptions {
    #[arg(long, value_parser = targets::by_name)]
    target: &'static Target,
    #[arg(long)]
    input: Option<String>,
    #[arg(long, default_value_t = DEFAULT_SEED)]
    seed: u64,
    #[arg(long, default_value_t = 0)]
    from: u64,
    #[arg(long, default_value_t = 0)]
    executions: u64,
    #[arg(long)]
    milliseconds: Option<u64>,
    #[arg(long)]
    each: bool,
}

fn main() -> ExitCode {
    let Arguments { options, inner } = Arguments::parse();
    let result = match inner {
        Some(Inner::Worker(options)) => work(&options).map(|()| true),
        None if options.list => {
            list();
            Ok(true)
        }
        None => match &options.input {
            Some(input) => replay(&options, input),
            None => run(&options),
        },
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn work(options: &WorkerOptions) -> Result<()> {
    if let Some(input) = &options.input {
        return worker::run_input(options.target, &bytes(input)?);
    }
    let time = options.milliseconds.map(Duration::from_millis);
    let &WorkerOptions { seed, from, executions, each, .. } = options;
    worker::work(options.target, &Work { seed, from, executions, time, each })
}

fn bytes(input: &str) -> Result<Vec<u8>> {
    hex::decode(input).context("--input takes bytes in hexadecimal, two digits each")
}

fn list() {
    for target in targets::all() {
        println!("{:<15} {:>9} executions unless told otherwise", target.name, target.executions);
    }
}

/// Runs one input; whether the target survived.
fn replay(options: &Options, input: &str) -> Result<bool> {
    let [target] = options.target[..] else { bail!("--input needs exactly one --target") };
    let death = supervise::run_input(target, &bytes(input)?, Duration::from_secs(options.patience))?;
    match &death {
        None => println!("{}: ends well", target.name),
        Some(death) => println!("{}: {}\n{}", target.name, death.cause, death.words),
    }
    Ok(death.is_none())
}

/// Runs targets, several at once; whether none crashed.
fn run(options: &Options) -> Result<bool> {
    let started = Instant::now();
    let chosen: Vec<&'static Target> =
        if options.target.is_empty() { targets::all().collect() } else { options.target.clone() };
    let jobs = options.jobs.or_else(|| thread::available_parallelism().ok().map(usize::from)).unwrap_or(1);
    let waiting = Mutex::new(chosen.iter().copied());
    let finished: Mutex<Vec<(&Target, Outcome)>> = Mutex::default();
    let next = || waiting.lock().ok().and_then(|mut waiting| waiting.next());
    let serve = || -> Result<()> {
        while let Some(target) = next() {
            let work = Work {
                seed: options.seed,
                from: 0,
                executions: match (options.executions, options.seconds) {
                    (Some(executions), _) => executions,
                    (None, Some(_)) => u64::MAX,
                    (None, None) => target.executions,
                },
                time: options.seconds.map(Duration::from_secs),
                each: false,
            };
            let outcome = supervise::run(target, &work, Duration::from_secs(options.patience))?;
            println!("{}", report::line(target, &outcome));
            if let Some(crash) = &outcome.crash {
                println!("{}", report::crash(target, options.seed, crash));
            }
            if let Ok(mut finished) = finished.lock() {
                finished.push((target, outcome));
            }
        }
        Ok(())
    };
    let results: Vec<Result<()>> = thread::scope(|scope| {
        let threads: Vec<_> = (0..jobs.clamp(1, chosen.len())).map(|_| scope.spawn(serve)).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|_| bail!("a supervisor died")))
            .collect()
    });
    let outcomes = finished.into_inner().unwrap_or_default();
    let (guest, all) = report::sums(&outcomes);
    let crashes = outcomes.iter().filter(|(_, outcome)| outcome.crash.is_some()).count();
    let seconds = started.elapsed().as_secs_f32();
    println!(
        "{all} executions of {} targets in {seconds:.1} s, {guest} of them of devices and decoder (seed {}); {crashes} crashed",
        outcomes.len(),
        options.seed
    );
    if let Some(file) = &options.json {
        std::fs::write(file, report::json(&outcomes))
            .with_context(|| format!("cannot write {}", file.display()))?;
    }
    results.into_iter().collect::<Result<()>>()?;
    Ok(crashes == 0)
}
