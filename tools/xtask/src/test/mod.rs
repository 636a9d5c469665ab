//! `cargo xtask test`: every check and every test, one after the other, with a verdict at the end.

mod libtest;
mod progress;
mod status;
mod steps;

use std::{process::ExitCode, time::Instant};

use anyhow::Result;
use clap::Args;

use crate::{setup, workspace};
use progress::Progress;
use status::Exceptions;
use steps::Step;

/// What to run.
#[derive(Args)]
pub(crate) struct Options {
    /// Run only this step, and what it needs (may be repeated)
    #[arg(long, value_name = "STEP")]
    only: Vec<Step>,
}

/// What came of a step.
#[derive(Default, Debug)]
struct Outcome {
    passed: usize,
    /// Tests that the step did not run, each with its reason.
    skipped: Vec<(String, String)>,
    /// What failed, each with what a person needs to see.
    failures: Vec<String>,
    /// How many tests those failures are: one report may hold several.
    failed: usize,
}

/// Runs the steps, all of them whatever fails, and sums up.
///
/// # Errors
/// What the tests need is missing and may not be installed.
pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    let started = Instant::now();
    setup::ensure()?;
    let exceptions = Exceptions::read(&workspace::root().join("docs/STATUS.md"))?;
    let steps = Step::chosen(&options.only);
    let mut outcomes: Vec<(Step, Outcome)> = Vec::new();
    for (index, step) in steps.iter().enumerate() {
        let mut progress = Progress::start(index + 1, steps.len(), step.name());
        let unmet = step.needs().iter().find(|needed| {
            outcomes.iter().any(|(done, outcome)| done == *needed && !outcome.failures.is_empty())
        });
        let outcome = match unmet {
            Some(needed) => Outcome::failure(format!("not run: the step `{}` failed", needed.name())),
            None => step
                .run(&exceptions, &mut progress)
                .unwrap_or_else(|error| Outcome::failure(format!("{error:#}"))),
        };
        progress.finish(&outcome);
        outcomes.push((*step, outcome));
    }
    report(&outcomes, started);
    let passed = outcomes.iter().all(|(_, outcome)| outcome.failures.is_empty());
    Ok(if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Shows each failure, each skipped test, and the sums.
fn report(outcomes: &[(Step, Outcome)], started: Instant) {
    for (step, outcome) in outcomes {
        for failure in &outcome.failures {
            println!("\n---- {} failed ----\n{}", step.name(), failure.trim_end());
        }
    }
    println!();
    for (name, reason) in outcomes.iter().flat_map(|(_, outcome)| &outcome.skipped) {
        println!("skipped {name}: {reason}");
    }
    let sum =
        |count: fn(&Outcome) -> usize| outcomes.iter().map(|(_, outcome)| count(outcome)).sum::<usize>();
    let plural = if outcomes.len() == 1 { "" } else { "s" };
    println!("{} step{plural} in {:.0} s", outcomes.len(), started.elapsed().as_secs_f32());
    println!(
        "{} passed, {} failed, {} skipped",
        sum(|outcome| outcome.passed),
        sum(|outcome| outcome.failed),
        sum(|outcome| outcome.skipped.len())
    );
}

impl Outcome {
    /// One check that passed.
    fn pass() -> Self {
        Self { passed: 1, ..Self::default() }
    }

    /// One check that failed.
    fn failure(shown: String) -> Self {
        Self { failures: vec![shown], failed: 1, ..Self::default() }
    }
}
