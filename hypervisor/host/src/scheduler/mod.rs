//! Which virtual CPU each host CPU runs.
//!
//! [`queue`] decides, as a plain value, and [`calls`] whom to tell; [`Scheduler`] is that behind a lock, and tells the CPUs concerned.

mod budget;
mod calls;
mod queue;
mod task;
#[cfg(test)]
mod tests;

use spin::mutex::TicketMutex;

use crate::{
    machine::{CpuNumber, Instant, Machine, Mail},
    round::CpuSet,
};

use godwit_guest::description::Cap;
pub(crate) use queue::{GroupKey, Leave, TaskKey, Turn};
pub(crate) use task::{Account, Terms};

use queue::{Pick, Queue};

/// The queue of a host, which all its CPUs share.
#[derive(Debug)]
pub(crate) struct Scheduler<T> {
    queue: TicketMutex<Queue<T>>,
}

impl<T: Clone> Scheduler<T> {
    /// Without tasks.
    pub(crate) const fn new() -> Self {
        Self { queue: TicketMutex::new(Queue::new()) }
    }

    /// A group of tasks, one for each of `payloads`, asleep; `cap` is what they get together at most.
    pub(crate) fn admit(
        &self,
        now: Instant,
        cap: Option<Cap>,
        terms: Terms,
        payloads: impl IntoIterator<Item = T>,
    ) -> impl Iterator<Item = TaskKey> {
        let mut queue = self.queue.lock();
        let group = queue.found(now, cap);
        let keys: alloc::vec::Vec<_> =
            payloads.into_iter().map(|payload| queue.admit(group, terms, payload)).collect();
        keys.into_iter()
    }

    /// Takes a task out. Returns when no CPU runs it any more, which is after one exit at most.
    pub(crate) fn dismiss(&self, machine: &dyn Machine, key: TaskKey) {
        loop {
            let dismissed = self.queue.lock().dismiss(key);
            match dismissed {
                Ok(_) => return,
                Err(cpu) => kick(machine, CpuSet::of(cpu)),
            }
            core::hint::spin_loop();
        }
    }

    /// What the CPU that calls runs next, and when it must look again at the latest.
    pub(crate) fn pick(&self, machine: &dyn Machine) -> (Option<Turn<T>>, Option<Instant>) {
        let Pick { turn, kick: others, next } = self.queue.lock().pick(machine.now(), machine.this_cpu());
        kick(machine, others);
        (turn, next)
    }

    /// Ends a turn, or a part of it: a CPU that asks again soon goes on with what wants to, unless another task is due.
    pub(crate) fn put_back(&self, machine: &dyn Machine, turn: Turn<T>, leave: Leave) {
        let mut queue = self.queue.lock();
        queue.put_back(machine.now(), turn, leave);
        let others = queue.call();
        drop(queue);
        kick(machine, others);
    }

    /// Something happened that a task has to look at.
    pub(crate) fn wake(&self, machine: &dyn Machine, key: TaskKey) {
        let others = self.queue.lock().wake(machine.now(), key);
        kick(machine, others);
    }

    /// Has the CPU that runs a task look around, where one does.
    pub(crate) fn interrupt(&self, machine: &dyn Machine, key: TaskKey) {
        let runner = self.queue.lock().runner(key);
        kick(machine, runner.map_or(CpuSet::EMPTY, CpuSet::of));
    }

    /// CPU time of a task.
    pub(crate) fn account(&self, machine: &dyn Machine, key: TaskKey) -> Option<Account> {
        self.queue.lock().account(machine.now(), key)
    }
}

/// Has CPUs look around, other than the one that calls: it does by itself. A full mailbox does the same.
fn kick(machine: &dyn Machine, cpus: CpuSet) {
    let own: CpuNumber = machine.this_cpu();
    for cpu in cpus.numbers().filter(|&cpu| cpu != own) {
        let _ = machine.post(cpu, Mail::Look);
    }
}
