//! Watches the process that runs a target, and finds out what it died of.

use std::{
    env,
    io::{BufRead, BufReader, Read},
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

use super::{
    Generator, hex, shrink,
    worker::{BLOCK, Slowest, Work},
};
use crate::Target;

/// A worker that says nothing for so long hangs, where nothing else is asked: a block of executions takes a fraction of a second.
pub const PATIENCE: Duration = Duration::from_secs(20);
/// Shorter inputs that are tried of one that fails; each is a process.
const TRIES: usize = 400;
/// Lines that a dying worker's last words are cut to.
const LAST_WORDS: usize = 12;
/// Characters that each of these lines is cut to.
const LINE_CHARACTERS: usize = 2000;

/// What came of a target.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Executions that ended well.
    pub executions: u64,
    /// How long they took.
    pub elapsed: Duration,
    /// The one that took longest, where all ended well.
    pub slowest: Slowest,
    /// The first that did not.
    pub crash: Option<Crash>,
}

/// An execution that a target did not survive.
#[derive(Clone, Debug)]
pub struct Crash {
    /// Its number.
    pub number: u64,
    /// What the process died of.
    pub death: Death,
    /// Its input, shrunk.
    pub input: Vec<u8>,
    /// Bytes of the input before it was shrunk.
    pub bytes: usize,
}

/// How a worker died.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Death {
    /// Where it panicked, or how else it ended: the same for the same bug.
    pub cause: String,
    /// What it said at last.
    pub words: String,
}

/// Runs `work` on `target`.
///
/// # Errors
/// A worker cannot be started, or died without a reason that can be found again.
pub fn run(target: &Target, work: &Work, patience: Duration) -> Result<Outcome> {
    let started = Instant::now();
    let Watched { reached, slowest, death } = watch(&mut worker(target, work)?, patience)?;
    // Not how long it took to find out what was wrong.
    let elapsed = started.elapsed();
    let Some(death) = death else {
        return Ok(Outcome { executions: reached - work.from, elapsed, slowest, crash: None });
    };
    // One by one, to find which of the block it was.
    let again = Work { from: reached, executions: BLOCK, each: true, time: None, ..*work };
    let watched = watch(&mut worker(target, &again)?, patience)?;
    let number = watched.reached;
    let Some(found) = watched.death else {
        bail!(
            "{}: died near execution {reached}, and not again: {}\n{}",
            target.name,
            death.cause,
            death.words
        );
    };
    let input = Generator::new(target, work.seed).input(number);
    // Each try of a shorter input that hangs takes all the patience there is.
    let tries = if found.cause == HANGS { 0 } else { TRIES };
    let shrunk = shrink(
        &input,
        tries,
        &mut |candidate| matches!(run_input(target, candidate, patience), Ok(Some(death)) if death.cause == found.cause),
    );
    let crash = Crash { number, death: found, bytes: input.len(), input: shrunk };
    Ok(Outcome { executions: number - work.from, elapsed, slowest, crash: Some(crash) })
}

/// Runs one input in a process of its own: what it died of, if it did.
///
/// # Errors
/// It cannot be started.
pub fn run_input(target: &Target, input: &[u8], patience: Duration) -> Result<Option<Death>> {
    let mut command = this_program()?;
    command.args(["worker", "--target", target.name, "--input", &hex::encode(input)]);
    let mut child = start(&mut command)?;
    watch(&mut child, patience).map(|watched| watched.death)
}

const HANGS: &str = "it does not end";

fn worker(target: &Target, work: &Work) -> Result<Child> {
    let mut command = this_program()?;
    command.args(["worker", "--target", target.name]);
    command.arg(format!("--seed={}", work.seed));
    command.arg(format!("--from={}", work.from));
    command.arg(format!("--executions={}", work.executions));
    command.args(work.time.map(|time| format!("--milliseconds={}", time.as_millis())));
    command.args(work.each.then_some("--each"));
    start(&mut command)
}

fn this_program() -> Result<Command> {
    Ok(Command::new(env::current_exe().context("cannot find this program's file")?))
}

fn start(command: &mut Command) -> Result<Child> {
    // The line where it panicked says enough, and is there at once.
    command.env("RUST_BACKTRACE", "0").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().context("cannot start a worker")
}

/// What was seen of a worker.
struct Watched {
    /// The execution that it said it was at, or that it ended before.
    reached: u64,
    slowest: Slowest,
    /// What it died of.
    death: Option<Death>,
}

/// Follows a worker to its end.
fn watch(child: &mut Child, patience: Duration) -> Result<Watched> {
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let (Some(out), Some(mut err)) = (out, err) else { bail!("a worker has no output") };
    let words = thread::spawn(move || {
        let mut words = Vec::new();
        // What could be read is what there is.
        let _ = err.read_to_end(&mut words);
        String::from_utf8_lossy(&words).into_owned()
    });
    let (sender, lines) = mpsc::channel();
    thread::spawn(move || {
        BufReader::new(out).lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
    });
    let (mut reached, mut slowest) = (0, Slowest::default());
    let hangs = loop {
        match lines.recv_timeout(patience) {
            Ok(line) => {
                let mut numbers = line.split(' ').skip(1).map_while(|number| number.parse().ok());
                reached = numbers.next().unwrap_or(reached);
                slowest.microseconds = numbers.next().unwrap_or(0);
                slowest.number = numbers.next().unwrap_or(0);
            }
            Err(RecvTimeoutError::Timeout) => break true,
            Err(RecvTimeoutError::Disconnected) => break false,
        }
    };
    if hangs {
        child.kill().context("cannot end a worker that hangs")?;
    }
    let status = child.wait().context("cannot wait for a worker")?;
    let words = words.join().unwrap_or_default();
    if status.success() && !hangs {
        return Ok(Watched { reached, slowest, death: None });
    }
    let cause = if hangs { HANGS.to_owned() } else { cause(status, &words) };
    let words: Vec<String> = words.lines().take(LAST_WORDS).map(cut).collect();
    let words = words.join("\n").trim().to_owned();
    Ok(Watched { reached, slowest, death: Some(Death { cause, words }) })
}

/// A line that is not too long to read.
fn cut(line: &str) -> String {
    let cut: String = line.chars().take(LINE_CHARACTERS).collect();
    if cut.len() < line.len() { cut + " …" } else { cut }
}

/// Where it panicked, or else how it ended.
fn cause(status: ExitStatus, words: &str) -> String {
    let panic = words.lines().find_map(|line| line.split_once(" panicked at ").map(|(_, place)| place));
    panic.map_or_else(|| status.to_string(), |place| format!("panicked at {}", place.trim_end_matches(':')))
}
