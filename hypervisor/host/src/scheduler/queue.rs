//! Who runs next, as a plain value: time comes in, decisions come out.
//!
//! One queue serves all CPUs of a host. Each task has had so much *virtual time*: time on a CPU divided by its weight. A CPU that is free
//! takes the task that has had least and may run there.
//!
//! Shares can be such that nobody can have them: a task cannot use more than one CPU, nor others than it is pinned to. What is
//! missed or won that way is not kept for ever, so that nobody waits long for another to make up for it: nobody is
//! further apart from those who wait than [`MOST_TURNS_APART`] turns, and who slept begins shortly behind all others.

use alloc::vec::Vec;
use core::time::Duration;

use godwit_guest::description::Cap;

use super::{
    budget::Budget,
    task::{Account, Status, Task, Terms},
};
use crate::{
    machine::{CpuNumber, Instant},
    round::CpuSet,
};

/// The CPU that serves the host besides.
pub(super) const FIRST: CpuNumber = CpuNumber(0);
/// How long a task keeps its CPU while others want it.
pub(super) const TURN: Duration = Duration::from_millis(4);
/// A task loses its CPU before its turn is over only to one that has had so much less virtual time.
pub(super) const GRAIN: Duration = Duration::from_millis(1);
/// Virtual time that a task which slept may be behind all others: it gets a CPU soon, but not for long.
const SLEEPERS_CREDIT: Duration = TURN;
/// Where virtual time begins: late enough that a task can be behind.
const FIRST_NS: u64 = 1 << 40;
/// Turns that a task can be ahead of the one that has had least, or behind one that waits.
const MOST_TURNS_APART: u64 = 8;

/// Names a task of a queue.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct TaskKey(pub(super) usize);

/// Names a group of tasks with a cap in common.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct GroupKey(usize);

/// A task's time on a CPU. It has to be [put back](Queue::put_back).
#[derive(Debug)]
pub(crate) struct Turn<T> {
    pub(super) key: TaskKey,
    /// What runs.
    pub(crate) payload: T,
    /// When it has to make room, where anybody waits for its CPU or its group's time is limited.
    pub(crate) until: Option<Instant>,
}

/// How a task leaves its CPU.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Leave {
    /// It wants to go on.
    Ready,
    /// It wants to go on, but waits for another: who else wants the CPU comes first.
    Yielding,
    /// It wants no CPU until it is woken, or until then.
    Asleep(Option<Instant>),
}

/// What a CPU is to do.
#[derive(Debug)]
pub(crate) struct Pick<T> {
    /// What it runs, where there is anything.
    pub(crate) turn: Option<Turn<T>>,
    /// CPUs that have to look around.
    pub(crate) kick: CpuSet,
    /// When this CPU must look again at the latest.
    pub(crate) next: Option<Instant>,
}

/// All tasks of a host.
#[derive(Debug)]
pub(crate) struct Queue<T> {
    pub(super) tasks: Vec<Option<Task<T>>>,
    groups: Vec<Option<(Option<Budget>, usize)>>,
    /// The least virtual time that a task which wants a CPU has had. It never goes back.
    floor_ns: u64,
    /// CPUs that found nothing to run, and were not told of anything since.
    pub(super) idle: CpuSet,
    /// CPUs whose turn has no end, because nobody waited for them.
    pub(super) open: CpuSet,
    /// CPUs that were called and have not come yet.
    pub(super) called: CpuSet,
    /// Whose turn each CPU's last one was, and until when it may go on with it.
    last: Vec<Option<(TaskKey, Instant)>>,
}

impl<T: Clone> Queue<T> {
    /// A queue without tasks.
    pub(crate) const fn new() -> Self {
        Self {
            tasks: Vec::new(),
            groups: Vec::new(),
            floor_ns: FIRST_NS,
            idle: CpuSet::EMPTY,
            open: CpuSet::EMPTY,
            called: CpuSet::EMPTY,
            last: Vec::new(),
        }
    }

    /// A group, which lasts as long as it has tasks. To be given its first one before anything else.
    pub(crate) fn found(&mut self, now: Instant, cap: Option<Cap>) -> GroupKey {
        let group = Some((cap.map(|cap| Budget::new(cap, now)), 0));
        GroupKey(place(&mut self.groups, group))
    }

    /// A new task, asleep.
    pub(crate) fn admit(&mut self, group: GroupKey, terms: Terms, payload: T) -> TaskKey {
        if let Some(Some((_, members))) = self.groups.get_mut(group.0) {
            *members += 1;
        }
        let task = Task {
            payload,
            group,
            terms,
            status: Status::Asleep { until: None },
            virtual_ns: 0,
            home: FIRST,
            woken: false,
            called: None,
            kept: None,
            yields: false,
            ran: Duration::ZERO,
            waited: Duration::ZERO,
            longest_wait: Duration::ZERO,
        };
        TaskKey(place(&mut self.tasks, Some(task)))
    }

    /// Takes a task out.
    ///
    /// # Errors
    /// The CPU that it runs on; kick that, and try again.
    pub(crate) fn dismiss(&mut self, key: TaskKey) -> Result<Option<T>, CpuNumber> {
        if let Some(cpu) = self.runner(key) {
            return Err(cpu);
        }
        let Some(task) = self.tasks.get_mut(key.0).and_then(Option::take) else { return Ok(None) };
        if let Some(group) = self.groups.get_mut(task.group.0)
            && let Some((_, members)) = group
        {
            *members -= 1;
            if *members == 0 {
                *group = None;
            }
        }
        self.last
            .iter_mut()
            .filter(|last| last.is_some_and(|(who, _)| who == key))
            .for_each(|last| *last = None);
        Ok(Some(task.payload))
    }

    /// The CPU that runs a task.
    pub(crate) fn runner(&self, key: TaskKey) -> Option<CpuNumber> {
        self.task(key)?.runner()
    }

    /// CPU time of a task.
    pub(crate) fn account(&self, now: Instant, key: TaskKey) -> Option<Account> {
        self.task(key).map(|task| task.account(now))
    }

    /// `cpu` is free: what it does next.
    pub(crate) fn pick(&mut self, now: Instant, cpu: CpuNumber) -> Pick<T> {
        self.idle.remove(cpu);
        self.open.remove(cpu);
        self.called.remove(cpu);
        self.tasks
            .iter_mut()
            .flatten()
            .filter(|task| task.kept == Some(cpu))
            .for_each(|task| task.kept = None);
        self.renew(now);
        self.end_sleeps(now);
        let chosen = self.best_for(now, cpu);
        let turn = chosen.and_then(|key| self.begin(now, cpu, key));
        if turn.is_none() {
            self.idle.insert(cpu);
        }
        let next = self.next_event(cpu);
        // This CPU has just decided.
        let kick = self.call(Some(cpu));
        Pick { turn, kick, next }
    }

    /// A turn is over.
    pub(crate) fn put_back(&mut self, now: Instant, turn: Turn<T>, leave: Leave) {
        let Some(Some(task)) = self.tasks.get_mut(turn.key.0) else { return };
        let used = task.end(now);
        task.yields = leave == Leave::Yielding;
        if let (Leave::Asleep(until), false) = (leave, task.woken) {
            task.status = Status::Asleep { until };
        } else if task.home != FIRST {
            // Back in a moment: others need not take it. The first CPU has much else to do, and keeps nothing from them.
            task.kept = Some(task.home);
        }
        let (had_ns, most_ns) = (task.virtual_ns, self.floor_ns.saturating_add(apart_ns(&task.terms)));
        if let Some(Some((Some(budget), _))) = self.groups.get_mut(task.group.0) {
            budget.charge(used);
        }
        let least_ns = self.least_ns_beside(turn.key);
        if let Some(Some(task)) = self.tasks.get_mut(turn.key.0) {
            task.virtual_ns = had_ns.min(most_ns).max(least_ns);
        }
        self.raise_floor(now);
    }

    /// Something happened that a task has to look at. Answers which CPUs have to look around.
    pub(crate) fn wake(&mut self, now: Instant, key: TaskKey) -> CpuSet {
        let Some(Some(task)) = self.tasks.get_mut(key.0) else { return CpuSet::EMPTY };
        match task.status {
            Status::Running { on, .. } => {
                task.woken = true;
                CpuSet::of(on)
            }
            Status::Waiting { .. } => CpuSet::EMPTY,
            Status::Asleep { .. } => {
                self.end_sleep(now, key);
                if self.task(key).is_some_and(|task| self.allowance(task).is_none()) {
                    // Somebody has to wait for its group's next share.
                    return self.task(key).map_or(CpuSet::EMPTY, |task| CpuSet::of(task.home));
                }
                let kick = self.call(None);
                if kick.is_empty() { self.preempt(now, key) } else { kick }
            }
        }
    }

    pub(super) fn task(&self, key: TaskKey) -> Option<&Task<T>> {
        self.tasks.get(key.0)?.as_ref()
    }

    pub(super) fn each(&self) -> impl Iterator<Item = (TaskKey, &Task<T>)> {
        self.tasks.iter().enumerate().filter_map(|(key, task)| Some((TaskKey(key), task.as_ref()?)))
    }

    /// What is left for a task to use; `None` where its group has used up its share.
    pub(super) fn allowance(&self, task: &Task<T>) -> Option<Duration> {
        match self.groups.get(task.group.0) {
            Some(Some((Some(budget), _))) => budget.left(),
            _ => Some(Duration::MAX),
        }
    }

    fn can_begin(&self, task: &Task<T>, cpu: CpuNumber) -> bool {
        // The first CPU has the most other work: it leaves a task to the one that was called for it and is on its way.
        let is_taken = cpu == FIRST && task.called.is_some_and(|called| self.called.contains(called))
            || task.kept.is_some_and(|keeper| keeper != cpu);
        task.is_waiting() && task.terms.cpus.contains(cpu) && self.allowance(task).is_some() && !is_taken
    }

    /// The task that `cpu` runs next: the one that had the last turn while that lasts, unless another has had much less; else the
    /// one that has had least, those that ran here last being a little ahead.
    fn best_for(&self, now: Instant, cpu: CpuNumber) -> Option<TaskKey> {
        let grain = GRAIN.as_nanos() as u64;
        let last = self.last.get(usize::from(cpu.0)).copied().flatten();
        let rank = |(key, task): &(TaskKey, &Task<T>)| {
            let handicap = if task.yields {
                task.terms.virtual_ns(TURN)
            } else if last.is_some_and(|(who, until)| who == *key && now < until) {
                0
            } else if task.home == cpu {
                grain / 2
            } else {
                grain
            };
            task.virtual_ns.saturating_add(handicap)
        };
        self.each().filter(|(_, task)| self.can_begin(task, cpu)).min_by_key(rank).map(|(key, _)| key)
    }

    fn begin(&mut self, now: Instant, cpu: CpuNumber, key: TaskKey) -> Option<Turn<T>> {
        let left = self.allowance(self.task(key)?)?;
        let slot = usize::from(cpu.0);
        if self.last.len() <= slot {
            self.last.resize(slot + 1, None);
        }
        let last = self.last.get_mut(slot)?;
        let until = match *last {
            Some((who, until)) if who == key && now < until => until,
            _ => now.after(TURN),
        };
        *last = Some((key, until));
        let task = self.tasks.get_mut(key.0)?.as_mut()?;
        task.begin(now, cpu);
        let payload = task.payload.clone();
        let is_contended = self.each().any(|(_, task)| self.can_begin(task, cpu));
        if !is_contended && left == Duration::MAX {
            self.open.insert(cpu);
            return Some(Turn { key, payload, until: None });
        }
        Some(Turn { key, payload, until: Some(until.min(now.after(left))) })
    }

    /// Gives groups their CPU time where it is due. Tasks that waited for that come back like those that slept.
    fn renew(&mut self, now: Instant) {
        for group in 0..self.groups.len() {
            let Some(Some((Some(budget), _))) = self.groups.get_mut(group) else { continue };
            let had_none = budget.left().is_none();
            budget.renew(now);
            if had_none && budget.left().is_some() {
                for key in (0..self.tasks.len()).map(TaskKey) {
                    if self.task(key).is_some_and(|task| task.group.0 == group && task.is_waiting()) {
                        self.catch_up(key);
                    }
                }
            }
        }
    }

    /// Wakes whose time has come.
    fn end_sleeps(&mut self, now: Instant) {
        for key in 0..self.tasks.len() {
            let key = TaskKey(key);
            let is_over =
                |task: &Task<T>| matches!(task.status, Status::Asleep { until: Some(until) } if until <= now);
            if self.task(key).is_some_and(is_over) {
                self.end_sleep(now, key);
            }
        }
    }

    fn end_sleep(&mut self, now: Instant, key: TaskKey) {
        self.catch_up(key);
        if let Some(Some(task)) = self.tasks.get_mut(key.0) {
            task.status = Status::Waiting { since: now };
        }
    }

    /// Counts time in which a task wanted no CPU, or was to have none, as time that it has had, but for a little.
    fn catch_up(&mut self, key: TaskKey) {
        let floor_ns = self.floor_ns;
        if let Some(Some(task)) = self.tasks.get_mut(key.0) {
            let credit_ns = task.terms.virtual_ns(SLEEPERS_CREDIT);
            task.virtual_ns = task.virtual_ns.max(floor_ns.saturating_sub(credit_ns));
        }
    }

    /// What a task that had its turn counts as having had at least, for the sake of those who wait beside it.
    fn least_ns_beside(&self, key: TaskKey) -> u64 {
        let others = self
            .each()
            .filter(|(other, task)| *other != key && task.is_waiting() && self.allowance(task).is_some());
        others.map(|(_, task)| task.virtual_ns.saturating_sub(apart_ns(&task.terms))).min().unwrap_or(0)
    }

    fn raise_floor(&mut self, now: Instant) {
        let wanting = self.each().filter(|(_, task)| {
            !matches!(task.status, Status::Asleep { .. }) && self.allowance(task).is_some()
        });
        let least = wanting.map(|(_, task)| task.virtual_ns_at(now)).min();
        self.floor_ns = self.floor_ns.max(least.unwrap_or(0));
    }

    /// When `cpu` has something to decide again: the end of a sleep that it watches over, or more CPU time for a group.
    fn next_event(&self, cpu: CpuNumber) -> Option<Instant> {
        let of_task = |(_, task): (TaskKey, &Task<T>)| match task.status {
            Status::Asleep { until } if task.home == cpu => until,
            Status::Waiting { .. }
                if self.allowance(task).is_none() && (task.home == cpu || task.terms.cpus.contains(cpu)) =>
            {
                match self.groups.get(task.group.0) {
                    Some(Some((Some(budget), _))) => Some(budget.renewal()),
                    _ => None,
                }
            }
            _ => None,
        };
        self.each().filter_map(of_task).min()
    }
}

/// Virtual time that a task with these terms may be apart from others.
fn apart_ns(terms: &Terms) -> u64 {
    terms.virtual_ns(TURN).saturating_mul(MOST_TURNS_APART)
}

/// Puts something into the first free place.
fn place<V>(places: &mut Vec<Option<V>>, value: Option<V>) -> usize {
    match places.iter().position(Option::is_none) {
        Some(free) => {
            if let Some(slot) = places.get_mut(free) {
                *slot = value;
            }
            free
        }
        None => {
            places.push(value);
            places.len() - 1
        }
    }
}
