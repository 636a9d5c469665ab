//! One line for each step: what it does while it runs, and what came of it.

use std::{
    io::{self, IsTerminal, Write},
    time::{Duration, Instant},
};

use super::Outcome;

/// Columns for what a step is doing.
const ACTIVITY_COLUMNS: usize = 50;
/// How often a terminal is rewritten at most.
const REDRAW: Duration = Duration::from_millis(50);

/// The line of one step.
pub(super) struct Progress {
    head: String,
    started: Instant,
    drawn: Option<Instant>,
    /// A log file gets the line in two parts, a terminal also what happens between.
    terminal: bool,
}

impl Progress {
    /// Begins the line of step `number` of `steps`.
    pub(super) fn start(number: usize, steps: usize, name: &str) -> Self {
        let head = format!("[{number:>2}/{steps}] {name:<13}");
        let progress =
            Self { head, started: Instant::now(), drawn: None, terminal: io::stdout().is_terminal() };
        print!("{}", progress.head);
        progress.flush();
        progress
    }

    /// Shows what the step is doing.
    pub(super) fn show(&mut self, activity: &str) {
        if !self.terminal || self.drawn.is_some_and(|drawn| drawn.elapsed() < REDRAW) {
            return;
        }
        let activity: String =
            activity.trim().chars().filter(|c| !c.is_control()).take(ACTIVITY_COLUMNS).collect();
        print!("\r{} {:>6.1} s  {activity}\x1b[K", self.head, self.started.elapsed().as_secs_f32());
        self.flush();
        self.drawn = Some(Instant::now());
    }

    /// Ends the line.
    pub(super) fn finish(self, outcome: &Outcome) {
        let verdict = if outcome.failures.is_empty() { "ok" } else { "FAILED" };
        let mut counts = Vec::new();
        for (count, what) in
            [(outcome.passed, "passed"), (outcome.failed, "failed"), (outcome.skipped.len(), "skipped")]
        {
            if count > 0 {
                counts.push(format!("{count} {what}"));
            }
        }
        let again = if self.terminal { format!("\r\x1b[K{}", self.head) } else { String::new() };
        println!(
            "{again} {:>6.1} s  {verdict:<6}  {}",
            self.started.elapsed().as_secs_f32(),
            counts.join(", ")
        );
    }

    fn flush(&self) {
        // Nobody reads: nothing is lost.
        let _ = io::stdout().flush();
    }
}
