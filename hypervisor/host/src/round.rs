//! One question to several CPUs, and the wait for all the answers.

use core::{fmt, time::Duration};

use crate::{
    cpu_loop::Answer,
    description::{CpuState, Description},
    machine::{CpuNumber, Fault, Instant, Machine, Mail},
};

/// What is asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Question {
    /// Are you there?
    Ping,
    /// Give back the frames that you keep at hand.
    DrainFrames,
    /// Raise this fault; an answer says that nothing came of it.
    Provoke(Fault),
}

/// A set of CPUs by number, 0 to 63.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct CpuSet(u64);

impl CpuSet {
    /// No CPU.
    pub(crate) const EMPTY: Self = Self(0);

    /// Bit n stands for CPU n.
    pub(crate) const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    pub(crate) fn insert(&mut self, cpu: CpuNumber) {
        self.0 |= Self::bit(cpu);
    }

    pub(crate) fn remove(&mut self, cpu: CpuNumber) {
        self.0 &= !Self::bit(cpu);
    }

    /// Those in both.
    pub(crate) const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// The one with the highest number.
    pub(crate) fn last(self) -> Option<CpuNumber> {
        self.0.checked_ilog2().map(|number| CpuNumber(number as u16))
    }

    /// The CPUs of this machine that run.
    pub(crate) fn running(machine: &dyn Machine) -> Self {
        Self::running_of(machine.description())
    }

    /// As [`running`](Self::running), by the machine's description.
    pub(crate) fn running_of(machine: &Description) -> Self {
        let cpus = machine.cpus.iter().take(64).enumerate();
        Self(
            cpus.filter(|(_, cpu)| cpu.state == CpuState::Running)
                .fold(0, |set, (number, _)| set | 1 << number),
        )
    }

    /// One CPU.
    pub(crate) fn of(cpu: CpuNumber) -> Self {
        Self(Self::bit(cpu))
    }

    #[cfg(test)]
    pub(crate) fn with(self, cpu: CpuNumber) -> Self {
        Self(self.0 | Self::bit(cpu))
    }

    pub(crate) fn contains(self, cpu: CpuNumber) -> bool {
        self.0 & Self::bit(cpu) != 0
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

    /// Its CPUs in ascending order.
    pub(crate) fn numbers(self) -> impl Iterator<Item = CpuNumber> {
        (0..64).map(CpuNumber).filter(move |&cpu| self.contains(cpu))
    }
}

impl fmt::Display for CpuSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.numbers().peekable();
        let mut separator = "";
        while let Some(first) = rest.next() {
            let mut last = first;
            while let Some(next) = rest.next_if(|next| next.0 == last.0 + 1) {
                last = next;
            }
            write!(f, "{separator}{first}")?;
            match last.0 - first.0 {
                0 => {}
                1 => write!(f, ", {last}")?,
                _ => write!(f, " to {last}")?,
            }
            separator = ", ";
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
    /// Asks `asked`, which may include the asking CPU. `number` tells this round's answers from late ones.
    pub(crate) fn start(machine: &dyn Machine, asked: CpuSet, question: Question, number: u32) -> Self {
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
            Question::Provoke(fault) => Mail::Provoke { from, number: self.number, fault },
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

#[cfg(test)]
mod tests {
    use super::CpuSet;

    #[test]
    fn a_set_is_named_by_its_stretches() {
        for (bits, expected) in [
            (0, ""),
            (0b1, "cpu0"),
            (0b11, "cpu0, cpu1"),
            (0b111, "cpu0 to cpu2"),
            (0b1011_1010_0001, "cpu0, cpu5, cpu7 to cpu9, cpu11"),
            (1 << 63 | 1 << 62, "cpu62, cpu63"),
            (u64::MAX, "cpu0 to cpu63"),
        ] {
            assert_eq!(CpuSet(bits).to_string(), expected);
        }
    }
}
