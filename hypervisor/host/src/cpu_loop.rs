//! The loop that every CPU is in, and the mail that its turns serve.

use core::time::Duration;

use arrayvec::ArrayVec;
use godwit_frames::{CpuFrames, Frames};

use crate::{
    guests::{GuestTable, Rest, Runner},
    machine::{CpuNumber, Instant, Machine, Mail},
};

/// Messages that one turn takes at most, so that mail cannot starve the rest of the turn.
const MAIL_PER_TURN: usize = 64;
/// Answers that wait for room in somebody's mailbox; there are no more CPUs than this to ask.
const MAX_UNSENT: usize = 64;
/// How long a CPU sleeps at most while an answer of its own waits for room elsewhere.
const RETRY_AFTER: Duration = Duration::from_millis(1);

/// An answer to a question that this CPU asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Answer {
    pub(crate) from: CpuNumber,
    pub(crate) number: u32,
}

/// One CPU's loop: serve mail, run the CPU's guest, keep no more frames than needed, sleep.
pub struct CpuLoop<'a, 'm> {
    machine: &'a dyn Machine,
    guests: &'a GuestTable,
    runner: Runner,
    frames: CpuFrames<'a, 'm>,
    unsent: ArrayVec<(CpuNumber, Mail), MAX_UNSENT>,
    answers_lost: u64,
}

impl<'a, 'm> CpuLoop<'a, 'm> {
    /// The loop of the CPU that calls.
    pub fn new(machine: &'a dyn Machine, frames: &'a Frames<'m>, guests: &'a GuestTable) -> Self {
        Self {
            machine,
            guests,
            runner: Runner::default(),
            frames: frames.cpu(),
            unsent: ArrayVec::new(),
            answers_lost: 0,
        }
    }

    /// What this CPU allocates and frees with.
    pub fn frames(&mut self) -> &mut CpuFrames<'a, 'm> {
        &mut self.frames
    }

    /// One turn: serves what came and sleeps until more does.
    pub fn turn(&mut self) {
        while self.serve_mail().is_some() {
            // An answer to a question that nobody here asks any more.
        }
        self.frames.poll();
        if let Rest::Until(deadline) = self.run_guest(None) {
            self.rest(deadline);
        }
    }

    /// Runs this CPU's guest for a while, at the latest until `until`.
    pub(crate) fn run_guest(&mut self, until: Option<Instant>) -> Rest {
        self.runner.slice(self.machine, self.guests, until)
    }

    /// Serves mail until an answer is among it, or there is none left, or the turn's share is used up.
    pub(crate) fn serve_mail(&mut self) -> Option<Answer> {
        self.send_unsent();
        for _ in 0..MAIL_PER_TURN {
            match self.machine.take_mail()? {
                Mail::Look => {}
                Mail::Ping { from, number } => self.answer(from, number),
                Mail::DrainFrames { from, number } => {
                    self.frames.drain();
                    self.answer(from, number);
                }
                Mail::Provoke { from, number, fault } => {
                    log::debug!("raising {fault:?} on purpose, as {from} asks");
                    self.machine.provoke(fault);
                    self.answer(from, number);
                }
                Mail::Pong { from, number } => return Some(Answer { from, number }),
            }
        }
        None
    }

    /// Gives cached frames back and sleeps until something comes or `deadline` passes.
    pub(crate) fn rest(&mut self, deadline: Option<Instant>) {
        self.frames.drain();
        let retry = (!self.unsent.is_empty()).then(|| self.machine.now().after(RETRY_AFTER));
        self.machine.idle(match (deadline, retry) {
            (Some(deadline), Some(retry)) => Some(deadline.min(retry)),
            (deadline, retry) => deadline.or(retry),
        });
    }

    fn answer(&mut self, to: CpuNumber, number: u32) {
        let pong = Mail::Pong { from: self.machine.this_cpu(), number };
        if self.machine.post(to, pong).is_ok() || self.unsent.try_push((to, pong)).is_ok() {
            log::debug!("question {number} of {to} is answered");
            return;
        }
        // Never wait for room here: two CPUs with full mailboxes would wait for each other. Who asks has a deadline.
        self.answers_lost += 1;
        log::warn!("{} answers lost: {to} and others do not empty their mailboxes", self.answers_lost);
    }

    fn send_unsent(&mut self) {
        let machine = self.machine;
        self.unsent.retain(|(to, mail)| machine.post(*to, *mail).is_err());
    }
}

/// The loop of every CPU but the first; it never ends.
pub fn run_cpu(machine: &dyn Machine, frames: &Frames<'_>, guests: &GuestTable) -> ! {
    let mut cpu = CpuLoop::new(machine, frames, guests);
    loop {
        cpu.turn();
    }
}
