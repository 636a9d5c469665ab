//! One question to every running CPU, and the wait for all the answers.

use core::{fmt, time::Duration};

use crate::{
    cpu_loop::Answer,
    description::CpuState,
    machine::{CpuNumber, Instant, Machine, Mail},
};

/// What is asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Question {
    /// Are you there?
    Ping,
    /// Give back the frames that you keep at hand.
    DrainFrames,
}

/// A set of CPUs by number, 0 to 63.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct CpuSet(u64);

impl CpuSet {
    /// The CPUs of this machine that run.
    pub(crate) fn running(machine: &dyn Machine) -> Self {
        let cpus = machine.description().cpus.iter().take(64).enumerate();
        Self(
            cpus.filter(|(_, cpu)| cpu.state == CpuState::Running)
                .fold(0, |set, (number, _)| set | 1 << number),
        )
    }

    pub(crate) fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub(crate) fn count(self) -> u32 {
        self.0.count_ones()
    }

    fn bit(cpu: CpuNumber) -> u64 {
        1u64.checked_shl(u32::from(cpu.0)).unwrap_or(0)
    }

    fn numbers(self) -> impl Iterator<Item = CpuNumber> {
        (0..64).map(CpuNumber).filter(move |&cpu| self.0 & Self::bit(cpu) != 0)
    }
}

impl fmt::Display for CpuSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, cpu) in self.numbers().enumerate() {
            write!(f, "{}{cpu}", if index > 0 { ", " } else { "" })?;
        }
        Ok(())
    }
}

/// A question that is out.
#[derive(Clone, Debug)]
pub(crate) struct Round {
    question: Question,
    number: u32,
    asked: CpuSet,
    unasked: CpuSet,
    missing: CpuSet,
    started: Instant,
    slowest: Duration,
}

impl Round {
    /// Asks every CPU that runs, the asking one included. `number` tells this round's answers from late ones.
    pub(crate) fn start(machine: &dyn Machine, question: Question, number: u32) -> Self {
        let asked = CpuSet::running(machine);
        let started = machine.now();
        let mut round = Self {
            question,
            number,
            asked,
            unasked: asked,
            missing: asked,
            started,
            slowest: Duration::ZERO,
        };
        round.ask(machine);
        round
    }

    /// Posts the question to those whose mailboxes were full so far.
    pub(crate) fn ask(&mut self, machine: &dyn Machine) {
        let from = machine.this_cpu();
        let mail = match self.question {
            Question::Ping => Mail::Ping { from, number: self.number },
            Question::DrainFrames => Mail::DrainFrames { from, number: self.number },
        };
        for cpu in self.unasked.numbers() {
            if machine.post(cpu, mail).is_ok() {
                self.unasked.0 &= !CpuSet::bit(cpu);
            }
        }
    }

    /// Takes an answer; those of other rounds are ignored.
    pub(crate) fn answered(&mut self, answer: Answer, now: Instant) {
        let bit = CpuSet::bit(answer.from);
        if answer.number == self.number && self.missing.0 & bit != 0 {
            self.missing.0 &= !bit;
            self.slowest = now.since(self.started);
        }
    }

    /// CPUs that were asked.
    pub(crate) fn asked(&self) -> CpuSet {
        self.asked
    }

    /// CPUs that have not answered.
    pub(crate) fn missing(&self) -> CpuSet {
        self.missing
    }

    /// Whether the question could not be posted to somebody yet.
    pub(crate) fn has_unasked(&self) -> bool {
        !self.unasked.is_empty()
    }

    /// Time from the start to the latest answer.
    pub(crate) fn slowest(&self) -> Duration {
        self.slowest
    }

    /// When the round began.
    pub(crate) fn started(&self) -> Instant {
        self.started
    }
}
