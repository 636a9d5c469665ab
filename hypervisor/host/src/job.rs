//! Work that takes more than one turn of the loop.

use core::fmt;

use crate::{console::Console, machine::Instant, state::HostState};

/// What a job wants next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Step {
    /// Another step in the next turn, without sleeping.
    Again,
    /// Another step when something happens, at the latest at this point in time.
    WaitUntil(Instant),
    /// Another step when something happens.
    Wait,
    /// Nothing: it has said what it did.
    Done,
}

/// Work in bounded steps. The monitor has at most one job; the prompt returns when it is done.
pub(crate) trait Job<'a, 'm> {
    /// Does a bounded piece of the work, in well under a millisecond on real hardware.
    ///
    /// # Errors
    /// Those of `out`; they end the job.
    fn step(&mut self, state: &mut HostState<'a, 'm>, out: &mut Console<'a>) -> Result<Step, fmt::Error>;

    /// Whether what is typed meanwhile goes to [`input`](Self::input), Ctrl-C included.
    fn takes_input(&self) -> bool {
        false
    }

    /// Takes a typed byte.
    ///
    /// # Errors
    /// Those of `out`; they end the job.
    fn input(&mut self, _state: &mut HostState<'a, 'm>, _out: &mut Console<'a>, _byte: u8) -> fmt::Result {
        Ok(())
    }

    /// Ends the work early and says in what state it leaves things.
    ///
    /// # Errors
    /// Those of `out`.
    fn cancel(&mut self, state: &mut HostState<'a, 'm>, out: &mut Console<'a>) -> fmt::Result;
}
