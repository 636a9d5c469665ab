//! `console NAME`: a person at a guest's serial port.

use alloc::{boxed::Box, string::String};
use core::fmt::{self, Write};

use super::{Outcome, guests::known};
use crate::{
    console::Console,
    guests::{self, Phase},
    job::{Job, Step},
    state::HostState,
};

/// Ctrl-], which leaves the console.
const LEAVE: u8 = 0x1d;
/// Bytes shown in one step.
const CHUNK: usize = 2048;

pub(super) fn console<'a, 'm>(
    state: &mut HostState<'a, 'm>,
    out: &mut Console<'a>,
    arguments: &[&str],
) -> Result<Outcome<'a, 'm>, fmt::Error> {
    let [name] = arguments else { return Ok(Outcome::Usage) };
    if !known(state, out, name)? {
        return Ok(Outcome::Done);
    }
    writeln!(out, "console of {name}; Ctrl-] leaves it")?;
    Ok(Outcome::Job(Box::new(ConsoleJob {
        name: String::from(*name),
        place: 0,
        line: 0,
        disturbances: state.machine.console_disturbances(),
        left: false,
        after_return: false,
    })))
}

/// Shows what a guest writes and hands it what is typed.
struct ConsoleJob {
    name: String,
    /// How much of the guest's output was shown.
    place: u64,
    /// Where the line begins that is not finished on the screen.
    line: u64,
    /// Lines that were logged so far: each takes the place of the unfinished line.
    disturbances: u64,
    left: bool,
    /// Whether the last byte shown was a carriage return: the machine adds one to each line feed by itself.
    after_return: bool,
}

impl ConsoleJob {
    /// Shows `bytes`, which lie from place `from` on.
    fn show(&mut self, out: &mut Console<'_>, from: u64, bytes: &[u8]) {
        for (at, &byte) in (from + 1..).zip(bytes) {
            if byte == b'\n' {
                self.line = at;
            }
            if core::mem::replace(&mut self.after_return, byte == b'\r') && byte != b'\n' {
                out.write_bytes(b"\r");
            }
            if byte != b'\r' {
                out.write_bytes(&[byte]);
            }
        }
    }
}

impl<'a, 'm> Job<'a, 'm> for ConsoleJob {
    fn step(&mut self, state: &mut HostState<'a, 'm>, out: &mut Console<'a>) -> Result<Step, fmt::Error> {
        if self.left {
            writeln!(out, "\nleft the console of {}", self.name)?;
            return Ok(Step::Done);
        }
        let entry = state.roster.find(&self.name);
        // A guest that came to an end left its last words.
        if let Some(entry) = entry {
            let disturbances = state.machine.console_disturbances();
            if core::mem::replace(&mut self.disturbances, disturbances) != disturbances
                && self.place != self.line
            {
                out.write_bytes(b"\r\x1b[K");
                self.place = self.line;
            }
            let mut bytes = [0; CHUNK];
            let (place, count, gone) = entry.console.lock().read(self.place, &mut bytes);
            self.place = place;
            if gone > 0 && place > count as u64 + gone {
                writeln!(out, "\n[{gone} bytes were written faster than they could be shown]")?;
            }
            let from = place - count as u64;
            if gone > 0 {
                self.line = from;
            }
            self.show(out, from, bytes.get(..count).unwrap_or_default());
            out.flush();
            if count > 0 {
                return Ok(Step::Again);
            }
            if entry.guest.is_some() || matches!(entry.phase, Phase::Starting(_) | Phase::Arriving) {
                return Ok(Step::Wait);
            }
        }
        match entry.map(|entry| &entry.phase) {
            Some(Phase::Stopped(Some(why))) => writeln!(out, "\n{}: {why}", self.name)?,
            Some(Phase::Away(to)) => writeln!(out, "\n{} is on {to} now", self.name)?,
            Some(_) => writeln!(out, "\n{} is stopped", self.name)?,
            None => writeln!(out, "\n{} is no longer here", self.name)?,
        }
        Ok(Step::Done)
    }

    fn takes_input(&self) -> bool {
        !self.left
    }

    fn input(&mut self, state: &mut HostState<'a, 'm>, out: &mut Console<'a>, byte: u8) -> fmt::Result {
        if byte == LEAVE {
            self.left = true;
            return Ok(());
        }
        if !guests::type_byte(state, &self.name, byte) {
            // Refused, and heard: nothing typed disappears unnoticed.
            out.write_char('\x07')?;
        }
        Ok(())
    }

    fn cancel(&mut self, _state: &mut HostState<'a, 'm>, out: &mut Console<'a>) -> fmt::Result {
        writeln!(out, "left the console of {}", self.name)
    }
}
