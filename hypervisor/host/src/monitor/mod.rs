//! The serial monitor: a person at a terminal asks the host what it is and does.
//!
//! It is served once per turn of the first CPU's loop and never waits: bytes become keys ([`keys`]), keys edit a line
//! ([`mod@line`], [`history`], [`mod@complete`]), which is drawn ([`view`]) and, once entered, run ([`commands`]). A command that
//! takes long becomes a [`Job`] in steps; what is typed meanwhile is kept for afterwards, except Ctrl-C, which stops it.

mod commands;
mod complete;
mod history;
mod keys;
mod line;
mod view;

use alloc::{boxed::Box, string::String, vec::Vec};
use core::fmt::{self, Write};

use arrayvec::ArrayVec;

use crate::{
    console::Console,
    job::{Job, Step},
    machine::Instant,
    round::CpuSet,
    state::HostState,
};
use complete::{Completion, Space, complete};
use history::History;
use keys::{Key, KeyDecoder};
use line::Line;
use view::View;

/// Bytes of input that one turn takes at most.
const BYTES_PER_TURN: usize = 64;
/// Bytes that are kept while a job runs.
const MAX_TYPED_AHEAD: usize = 256;
/// Ctrl-C.
const CANCEL_BYTE: u8 = 0x03;
/// Cursor home, then erase the display (ECMA-48 8.3.21, 8.3.39).
pub(crate) const CLEAR_SCREEN: &str = "\x1b[H\x1b[2J";

/// What the monitor wants of the loop.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Wish {
    /// Another turn at once.
    Turn,
    /// A turn when something comes in, at the latest at that time.
    Sleep(Option<Instant>),
}

/// The monitor of one console.
pub(crate) struct Monitor<'a, 'm> {
    decoder: KeyDecoder,
    line: Line,
    history: History,
    view: View,
    job: Option<Box<dyn Job<'a, 'm> + 'a>>,
    typed_ahead: ArrayVec<u8, MAX_TYPED_AHEAD>,
    /// Log lines that were on the console when the line was last drawn.
    disturbances: u64,
}

impl<'a, 'm> Monitor<'a, 'm> {
    /// The monitor of the host called `host`. It shows nothing until [`Self::open`] or [`Self::begin_job`].
    pub(crate) fn new(host: &str) -> Self {
        Self {
            decoder: KeyDecoder::default(),
            line: Line::default(),
            history: History::default(),
            view: View::new(host),
            job: None,
            typed_ahead: ArrayVec::new(),
            disturbances: 0,
        }
    }

    /// Starts a job as if it had been entered.
    pub(crate) fn begin_job(&mut self, job: Box<dyn Job<'a, 'm> + 'a>) {
        self.job = Some(job);
    }

    /// Whether a job runs.
    pub(crate) fn is_busy(&self) -> bool {
        self.job.is_some()
    }

    /// Shows the prompt.
    pub(crate) fn open(&mut self, state: &HostState<'a, 'm>, out: &mut Console<'a>) -> fmt::Result {
        self.disturbances = state.machine.console_disturbances();
        self.view.begin(out, &self.line)
    }

    /// Does the job's next step. Answers [`Step::Done`] once there is none any more.
    pub(crate) fn step_job(
        &mut self,
        state: &mut HostState<'a, 'm>,
        out: &mut Console<'a>,
    ) -> Result<Step, fmt::Error> {
        if self.job.as_ref().is_some_and(|job| job.takes_input()) {
            return self.step_with_input(state, out);
        }
        let cancelled = self.type_ahead(state, out)?;
        let Some(job) = &mut self.job else { return Ok(Step::Done) };
        let step = if cancelled {
            writeln!(out, "^C")?;
            job.cancel(state, out)?;
            Step::Done
        } else {
            job.step(state, out)?
        };
        if step == Step::Done {
            self.job = None;
        }
        out.flush();
        Ok(step)
    }

    /// Does the next step of a job to which typed bytes belong.
    fn step_with_input(
        &mut self,
        state: &mut HostState<'a, 'm>,
        out: &mut Console<'a>,
    ) -> Result<Step, fmt::Error> {
        for _ in 0..BYTES_PER_TURN {
            let Some(byte) = self.next_byte(state) else { break };
            let Some(job) = self.job.as_mut().filter(|job| job.takes_input()) else { break };
            job.input(state, out, byte)?;
        }
        let Some(job) = &mut self.job else { return Ok(Step::Done) };
        let step = job.step(state, out)?;
        if step == Step::Done {
            self.job = None;
        }
        out.flush();
        Ok(step)
    }

    /// Reads what is typed while a job runs; answers whether that was Ctrl-C.
    fn type_ahead(&mut self, state: &HostState<'a, 'm>, out: &mut Console<'a>) -> Result<bool, fmt::Error> {
        for _ in 0..BYTES_PER_TURN {
            let Some(byte) = state.machine.console_read() else { break };
            if byte == CANCEL_BYTE {
                self.typed_ahead.clear();
                return Ok(true);
            }
            if self.typed_ahead.try_push(byte).is_err() {
                View::bell(out)?;
            }
        }
        Ok(false)
    }

    /// Serves one turn: the job where one runs, else what was typed.
    pub(crate) fn turn(
        &mut self,
        state: &mut HostState<'a, 'm>,
        out: &mut Console<'a>,
    ) -> Result<Wish, fmt::Error> {
        if self.is_busy() {
            match self.step_job(state, out)? {
                Step::Again => return Ok(Wish::Turn),
                Step::WaitUntil(deadline) => return Ok(Wish::Sleep(Some(deadline))),
                Step::Wait => return Ok(Wish::Sleep(None)),
                Step::Done => self.open(state, out)?,
            }
        }
        if state.machine.console_disturbances() != self.disturbances {
            self.disturbances = state.machine.console_disturbances();
            self.view.draw(out, &self.line)?;
        }
        for _ in 0..BYTES_PER_TURN {
            let Some(byte) = self.next_byte(state) else { return Ok(Wish::Sleep(None)) };
            let Some(key) = self.decoder.decode(byte) else { continue };
            self.press(key, state, out)?;
            if self.is_busy() {
                break;
            }
        }
        Ok(Wish::Turn)
    }

    fn next_byte(&mut self, state: &HostState<'a, 'm>) -> Option<u8> {
        self.typed_ahead.pop_at(0).or_else(|| state.machine.console_read())
    }

    fn press(&mut self, key: Key, state: &mut HostState<'a, 'm>, out: &mut Console<'a>) -> fmt::Result {
        let cursor = self.line.cursor();
        let changed = match key {
            Key::Character(byte) => return self.insert(out, &[byte]),
            Key::Enter => return self.enter(state, out),
            Key::Complete => return self.complete(state, out),
            Key::Unusable => return View::bell(out),
            Key::Cancel => {
                self.line.take();
                self.history.leave();
                out.write_str("^C\n")?;
                return self.open(state, out);
            }
            Key::ClearScreen => {
                out.write_str(CLEAR_SCREEN)?;
                true
            }
            Key::Backspace => cursor > 0 && self.line.remove_to(cursor - 1),
            Key::Delete => self.line.remove_to(cursor + 1),
            Key::KillToEnd => self.line.remove_to(usize::MAX),
            Key::KillToStart => self.line.remove_to(0),
            Key::KillWord => self.line.remove_to(self.line.word_start()),
            Key::Left => self.line.move_to(cursor.saturating_sub(1)),
            Key::Right => self.line.move_to(cursor + 1),
            Key::WordLeft => self.line.move_to(self.line.word_start()),
            Key::WordRight => self.line.move_to(self.line.word_end()),
            Key::Home => self.line.move_to(0),
            Key::End => self.line.move_to(usize::MAX),
            Key::Up => self.recall(|history, shown| history.up(shown)),
            Key::Down => self.recall(|history, _| history.down()),
        };
        if changed { self.view.draw(out, &self.line) } else { Ok(()) }
    }

    fn recall(&mut self, pick: impl Fn(&mut History, &str) -> Option<line::LineText>) -> bool {
        let Some(text) = pick(&mut self.history, self.line.text()) else { return false };
        self.line.set(&text);
        true
    }

    fn insert(&mut self, out: &mut Console<'a>, bytes: &[u8]) -> fmt::Result {
        match core::str::from_utf8(bytes) {
            Ok(text) if self.line.insert(text) => self.view.typed(out, &self.line, text.len()),
            _ => View::bell(out),
        }
    }

    fn enter(&mut self, state: &mut HostState<'a, 'm>, out: &mut Console<'a>) -> fmt::Result {
        let entered = self.line.take();
        self.history.remember(&entered);
        out.write_char('\n')?;
        self.job = commands::run(state, out, &entered)?;
        out.flush();
        if self.is_busy() { Ok(()) } else { self.open(state, out) }
    }

    fn complete(&mut self, state: &HostState<'a, 'm>, out: &mut Console<'a>) -> fmt::Result {
        let guests: Vec<String> =
            state.roster.entries().iter().map(|entry| entry.name().as_str().into()).collect();
        match complete(self.line.before_cursor(), CpuSet::running(state.machine), &guests) {
            Completion::Nothing => View::bell(out),
            Completion::Insert(text, space) => {
                self.insert(out, text.as_bytes())?;
                if space == Space::Follows { self.insert(out, b" ") } else { Ok(()) }
            }
            Completion::Choices(words) => {
                out.write_char('\n')?;
                for word in words {
                    write!(out, "{word}  ")?;
                }
                out.write_char('\n')?;
                self.open(state, out)
            }
        }
    }
}
