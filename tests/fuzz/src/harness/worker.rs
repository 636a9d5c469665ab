//! The process that runs a target, and dies of what is wrong.

use std::{
    fmt,
    io::{self, Write},
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::Generator;
use crate::Target;

/// Executions between two words to the supervisor.
pub const BLOCK: u64 = 1024;
/// Address space of a worker: a length that is believed before it is checked ends here.
const MEMORY_BYTES: u64 = 1 << 30;

/// What a worker is to run.
#[derive(Clone, Copy, Debug)]
pub struct Work {
    /// The seed of the run.
    pub seed: u64,
    /// The first execution.
    pub from: u64,
    /// How many.
    pub executions: u64,
    /// Stop earlier, after so long.
    pub time: Option<Duration>,
    /// A word to the supervisor before each execution, not before each [`BLOCK`] of them.
    pub each: bool,
}

/// The execution that took longest.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct Slowest {
    /// How long.
    pub microseconds: u64,
    /// Which.
    pub number: u64,
}

/// Runs `work`. Says `at N` before it goes on with execution N, and `end N M S` behind the last one, where S was the slowest
/// and took M microseconds.
///
/// # Errors
/// The supervisor is gone.
pub fn work(target: &Target, work: &Work) -> Result<()> {
    limit_process()?;
    let started = Instant::now();
    let generator = Generator::new(target, work.seed);
    let mut out = io::stdout().lock();
    let mut say = |words: fmt::Arguments<'_>| {
        writeln!(out, "{words}").and_then(|()| out.flush()).context("nobody listens any more")
    };
    let end = work.from.saturating_add(work.executions);
    let mut number = work.from;
    let mut slowest = Slowest::default();
    while number < end {
        if work.each || (number - work.from).is_multiple_of(BLOCK) {
            if work.time.is_some_and(|time| started.elapsed() >= time) {
                break;
            }
            say(format_args!("at {number}"))?;
        }
        let input = generator.input(number);
        let began = Instant::now();
        (target.run)(&input);
        slowest = slowest.max(Slowest { microseconds: began.elapsed().as_micros() as u64, number });
        number += 1;
    }
    say(format_args!("end {number} {} {}", slowest.microseconds, slowest.number))
}

/// Runs one input.
///
/// # Errors
/// This process cannot be limited.
pub fn run_input(target: &Target, input: &[u8]) -> Result<()> {
    limit_process()?;
    (target.run)(input);
    Ok(())
}

/// Little memory, and no file of it when the process dies.
fn limit_process() -> Result<()> {
    for (resource, most) in [(Resource::As, MEMORY_BYTES), (Resource::Core, 0)] {
        let maximum = getrlimit(resource).maximum;
        let current = Some(maximum.map_or(most, |maximum| maximum.min(most)));
        setrlimit(resource, Rlimit { current, maximum }).context("cannot limit this process")?;
    }
    Ok(())
}
