//! Whether a guest may run.

use core::sync::atomic::{AtomicBool, Ordering};

use spin::Mutex;

/// Whether a guest may run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RunState {
    /// Its virtual CPUs run.
    Running,
    /// Somebody stopped it for a while.
    Paused,
    /// It came to an end; its memory is still there.
    Ended(End),
}

/// How a guest came to an end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// It switched itself off.
    PoweredOff,
    /// It asked to be started again.
    Reset,
    /// A triple fault.
    TripleFault {
        /// Where.
        rip: u64,
    },
    /// It did what cannot be carried out.
    Stuck {
        /// What.
        why: &'static str,
        /// Where.
        rip: u64,
        /// The address or number that belongs to it.
        detail: u64,
    },
    /// The processor does not run its state.
    Refused(&'static str),
}

impl End {
    /// Whether the guest did not ask for it.
    pub(super) const fn is_crash(self) -> bool {
        !matches!(self, Self::PoweredOff | Self::Reset)
    }
}

/// The state of a guest, as all its virtual CPUs see it.
#[derive(Debug)]
pub struct Life {
    state: Mutex<RunState>,
    /// Whether the state is running: what every entry asks.
    may_run: AtomicBool,
}

impl Life {
    /// Beginning with `state`.
    pub(super) fn new(state: RunState) -> Self {
        Self { state: Mutex::new(state), may_run: AtomicBool::new(state == RunState::Running) }
    }

    /// The state.
    pub fn state(&self) -> RunState {
        *self.state.lock()
    }

    /// Whether virtual CPUs may enter the guest.
    pub(super) fn may_run(&self) -> bool {
        self.may_run.load(Ordering::Acquire)
    }

    /// The guest has come to an end; `false` where it had already.
    pub(super) fn end(&self, end: End) -> bool {
        let mut state = self.state.lock();
        let is_first = !matches!(*state, RunState::Ended(_));
        if is_first {
            *state = RunState::Ended(end);
            self.may_run.store(false, Ordering::Release);
        }
        is_first
    }

    /// Changes the state where it is `from`; answers with the state before.
    pub(crate) fn change(&self, from: RunState, to: RunState) -> RunState {
        let mut state = self.state.lock();
        let before = *state;
        if before == from {
            *state = to;
            self.may_run.store(to == RunState::Running, Ordering::Release);
        }
        before
    }
}
