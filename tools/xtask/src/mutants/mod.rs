//! `cargo xtask mutants`: whether named tests find errors that are made on purpose.

mod list;
mod scratch;
mod verdict;

use std::{
    collections::HashSet,
    fs,
    path::Path,
    process::{Command, ExitCode},
    time::Instant,
};

use anyhow::{Context, Result, ensure};
use clap::Args;

use crate::{process, setup, workspace};
use list::{Mutant, Test};
use scratch::Scratch;
use verdict::Verdict;

/// The mutants, from the repository's root.
const FILE: &str = "tests/mutants.toml";

/// Which mutants.
#[derive(Args)]
pub(crate) struct Options {
    /// Only this one (may be repeated)
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
    /// Say which there are, and the test that must find each
    #[arg(long)]
    list: bool,
    /// How long building and one test may take together, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 900)]
    limit: u64,
}

/// Tries the mutants and says what came of each; fails unless every one is caught.
///
/// # Errors
/// The mutants or the copy cannot be made.
pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    let path = workspace::root().join(FILE);
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut mutants = list::parse(&text).with_context(|| path.display().to_string())?;
    if let Some(unknown) = options.only.iter().find(|name| mutants.iter().all(|mutant| mutant.name != **name))
    {
        anyhow::bail!("no mutant is called {unknown}; --list says which there are");
    }
    mutants.retain(|mutant| options.only.is_empty() || options.only.contains(&mutant.name));
    let width = mutants.iter().map(|mutant| mutant.name.len()).max().unwrap_or(0);
    if options.list {
        mutants.iter().for_each(|mutant| println!("{:width$}  {}", mutant.name, mutant.test.name));
        return Ok(ExitCode::SUCCESS);
    }
    setup::ensure()?;
    let scratch = Scratch::open()?;
    let mut intact = HashSet::new();
    let mut caught = 0;
    for mutant in &mutants {
        let started = Instant::now();
        let verdict = match judge(&scratch, mutant, options.limit, &mut intact) {
            Ok(verdict) => verdict,
            Err(error) => Verdict::Broken(format!("{error:#}")),
        };
        caught += usize::from(verdict == Verdict::Caught);
        let seconds = started.elapsed().as_secs();
        println!("{:width$}  {seconds:>4} s  {verdict}  ({})", mutant.name, mutant.test.name);
    }
    println!("{caught} of {} mutants are caught", mutants.len());
    Ok(if caught == mutants.len() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Makes the error, runs the test, and takes the error back. A test counts only if it passes without the error; `intact` remembers which
/// do.
fn judge(scratch: &Scratch, mutant: &Mutant, limit_s: u64, intact: &mut HashSet<Test>) -> Result<Verdict> {
    let file = Path::new(&mutant.file);
    let path = workspace::root().join(file);
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let mutated = mutant.apply(&text)?;
    if !intact.contains(&mutant.test) {
        let verdict = try_test(scratch, &mutant.test, limit_s)?;
        ensure!(verdict == Verdict::Survived, "without the error its test does not pass: {verdict}");
        intact.insert(mutant.test.clone());
    }
    scratch.write(file, mutated.as_bytes())?;
    let verdict = try_test(scratch, &mutant.test, limit_s);
    scratch.restore(file)?;
    verdict
}

/// Runs one test in the copy, and builds the image before it where it boots that.
fn try_test(scratch: &Scratch, test: &Test, limit_s: u64) -> Result<Verdict> {
    if test.target == "scenarios" {
        let (status, output) = process::capture(&mut bounded(scratch, limit_s, &["xtask", "build"]), |_| ())?;
        if !status.success() {
            return Ok(Verdict::read(status, &output, "cargo xtask build"));
        }
    }
    let mut arguments = vec!["test", "--locked", "-p", &test.package];
    match test.target.as_str() {
        "lib" => arguments.push("--lib"),
        target => arguments.extend(["--test", target]),
    }
    arguments.extend([&test.name, "--", "--exact"]);
    let (status, output) = process::capture(&mut bounded(scratch, limit_s, &arguments), |_| ())?;
    Ok(Verdict::read(status, &output, &test.name))
}

/// Cargo in the copy, ended with all that it started when the time is over.
fn bounded(scratch: &Scratch, limit_s: u64, arguments: &[&str]) -> Command {
    let mut command = Command::new("timeout");
    command.args(["--kill-after=10", &limit_s.to_string()]);
    command.arg(process::cargo().get_program()).args(arguments).current_dir(scratch.root());
    // What is meant for this repository's own files would reach the copy's tests.
    for variable in ["GODWIT_IMAGE", "CARGO_TARGET_DIR"] {
        command.env_remove(variable);
    }
    command
}
