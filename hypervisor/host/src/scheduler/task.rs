//! One task: a virtual CPU as the scheduler sees it.

use core::time::Duration;

use godwit_guest::description::Weight;

use super::GroupKey;
use crate::{
    machine::{CpuNumber, Instant},
    round::CpuSet,
};

/// The weight at which virtual time goes as fast as time.
const UNIT_WEIGHT: u64 = 100;

/// What a task is entitled to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Terms {
    /// Its share beside others.
    pub(crate) weight: Weight,
    /// Where it may run.
    pub(crate) cpus: CpuSet,
}

impl Terms {
    /// Virtual nanoseconds of so much time on a CPU: the heavier, the slower they go.
    pub(super) fn virtual_ns(&self, time: Duration) -> u64 {
        let ns = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        ns.saturating_mul(UNIT_WEIGHT) / u64::from(self.weight.get())
    }
}

/// What a task does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Status {
    /// Wants a CPU, since then.
    Waiting { since: Instant },
    /// Has one, since then.
    Running { on: CpuNumber, since: Instant },
    /// Wants none until it is woken, or until then.
    Asleep { until: Option<Instant> },
}

/// A task.
#[derive(Debug)]
pub(super) struct Task<T> {
    pub(super) payload: T,
    pub(super) group: GroupKey,
    pub(super) terms: Terms,
    pub(super) status: Status,
    /// Virtual time that it has had. Who has had least is next.
    pub(super) virtual_ns: u64,
    /// The CPU that it ran on last, which watches over its sleep.
    pub(super) home: CpuNumber,
    /// Something happened to it while it ran: it must not fall asleep over it.
    pub(super) woken: bool,
    /// The CPU that was called for it last.
    pub(super) called: Option<CpuNumber>,
    /// The CPU that had it until a moment ago and asks again at once.
    pub(super) kept: Option<CpuNumber>,
    /// It waits for another task, and lets those go first who want its CPU.
    pub(super) yields: bool,
    pub(super) ran: Duration,
    pub(super) waited: Duration,
    pub(super) longest_wait: Duration,
}

/// CPU time of a task so far.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Account {
    /// The CPU that it runs on, or ran on last.
    pub(crate) cpu: CpuNumber,
    /// What it does.
    pub(crate) standing: Standing,
    /// Time on CPUs.
    pub(crate) ran: Duration,
    /// Time in which it wanted a CPU and had none.
    pub(crate) waited: Duration,
    /// The longest time at once that it waited.
    pub(crate) longest_wait: Duration,
}

/// What a task does, for people.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Standing {
    /// Has a CPU.
    Running,
    /// Waits for a CPU.
    Waiting,
    /// Wants none.
    Asleep,
}

impl Standing {
    /// As a word.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Waiting => "waiting",
            Self::Asleep => "asleep",
        }
    }
}

impl<T> Task<T> {
    /// The CPU that it runs on.
    pub(super) fn runner(&self) -> Option<CpuNumber> {
        match self.status {
            Status::Running { on, .. } => Some(on),
            _ => None,
        }
    }

    /// Whether it wants a CPU and has none.
    pub(super) fn is_waiting(&self) -> bool {
        matches!(self.status, Status::Waiting { .. })
    }

    /// Virtual time that it will have had now.
    pub(super) fn virtual_ns_at(&self, now: Instant) -> u64 {
        match self.status {
            Status::Running { since, .. } => {
                self.virtual_ns.saturating_add(self.terms.virtual_ns(now.since(since)))
            }
            _ => self.virtual_ns,
        }
    }

    /// It gets `cpu`.
    pub(super) fn begin(&mut self, now: Instant, cpu: CpuNumber) {
        if let Status::Waiting { since } = self.status {
            let wait = now.since(since);
            self.waited += wait;
            self.longest_wait = self.longest_wait.max(wait);
        }
        self.status = Status::Running { on: cpu, since: now };
        self.home = cpu;
        self.woken = false;
        self.yields = false;
    }

    /// Its turn is over; answers how long that was.
    pub(super) fn end(&mut self, now: Instant) -> Duration {
        let Status::Running { since, .. } = self.status else { return Duration::ZERO };
        let used = now.since(since);
        self.ran += used;
        self.virtual_ns = self.virtual_ns.saturating_add(self.terms.virtual_ns(used));
        self.status = Status::Waiting { since: now };
        used
    }

    /// How it stands now.
    pub(super) fn account(&self, now: Instant) -> Account {
        let (mut ran, mut waited) = (self.ran, self.waited);
        let standing = match self.status {
            Status::Running { since, .. } => {
                ran += now.since(since);
                Standing::Running
            }
            Status::Waiting { since } => {
                waited += now.since(since);
                Standing::Waiting
            }
            Status::Asleep { .. } => Standing::Asleep,
        };
        Account { cpu: self.home, standing, ran, waited, longest_wait: self.longest_wait }
    }
}
