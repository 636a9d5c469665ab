//! Which virtual CPU each host CPU runs.
//!
//! [`queue`] decides, as a plain value, and [`calls`] whom to tell; [`Scheduler`] is that behind a lock, and tells the CPUs concerned.

mod budget;
mod calls;
mod queue;
mod task;
#[cfg(test)]
mod tests;

use core::sync::atomic::{AtomicBool, Ordering};

use spin::mutex::TicketMutex;

use crate::{
    machine::{CpuNumber, Instant, Machine, Mail},
    round::CpuSet,
};

use godwit_guest::description::Cap;
pub(crate) use queue::{GroupKey, Leave, TaskKey, Turn};
pub(crate) use task::{Account, Terms};

use queue::{Pick, Queue};

/// Host CPUs at most.
const MAX_CPUS: usize = 64;

/// The queue of a host, which all its CPUs share.
#[derive(Debug)]
pub(crate) struct Scheduler<T> {
    queue: TicketMutex<Queue<T>>,
    /// CPUs that were called by what they run themselves: they have to ask again before they go on with it.
    own_calls: [AtomicBool; MAX_CPUS],
}

impl<T: Clone> Scheduler<T> {
    /// Without tasks.
    pub(crate) const fn new() -> Self {
        Self {
            queue: TicketMutex::new(Queue::new()),
            own_calls: [const { AtomicBool::new(false) }; MAX_CPUS],
        }
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
        let mut told = None;
        loop {
            let dismissed = self.queue.lock().dismiss(key);
            match dismissed {
                Ok(_) => return,
                Err(cpu) if told != Some(cpu) => {
                    self.kick(machine, CpuSet::of(cpu));
                    told = Some(cpu);
                }
                Err(_) => core::hint::spin_loop(),
            }
        }
    }

    /// What the CPU that calls runs next, and when it must look again at the latest.
    pub(crate) fn pick(&self, machine: &dyn Machine) -> (Option<Turn<T>>, Option<Instant>) {
        let cpu = machine.this_cpu();
        self.take_own_call(cpu);
        let Pick { turn, kick: others, next } = self.queue.lock().pick(machine.now(), cpu);
        self.kick(machine, others);
        (turn, next)
    }

    /// Whether `cpu` was called by what it runs; asking answers it.
    pub(crate) fn take_own_call(&self, cpu: CpuNumber) -> bool {
        let call = self.own_calls.get(usize::from(cpu.0));
        call.is_some_and(|call| call.load(Ordering::Relaxed) && call.swap(false, Ordering::AcqRel))
    }

    /// Ends a turn, or a part of it: a CPU that asks again soon goes on with what wants to, unless another task is due.
    pub(crate) fn put_back(&self, machine: &dyn Machine, turn: Turn<T>, leave: Leave) {
        let mut queue = self.queue.lock();
        queue.put_back(machine.now(), turn, leave);
        let others = queue.call(None);
        drop(queue);
        self.kick(machine, others);
    }

    /// Something happened that a task has to look at.
    pub(crate) fn wake(&self, machine: &dyn Machine, key: TaskKey) {
        let others = self.queue.lock().wake(machine.now(), key);
        self.kick(machine, others);
    }

    /// Has the CPU that runs a task look around, where one does.
    pub(crate) fn interrupt(&self, machine: &dyn Machine, key: TaskKey) {
        let runner = self.queue.lock().runner(key);
        self.kick(machine, runner.map_or(CpuSet::EMPTY, CpuSet::of));
    }

    /// CPU time of a task.
    pub(crate) fn account(&self, machine: &dyn Machine, key: TaskKey) -> Option<Account> {
        self.queue.lock().account(machine.now(), key)
    }

    /// Has CPUs look around. A full mailbox does the same.
    fn kick(&self, machine: &dyn Machine, cpus: CpuSet) {
        let own = machine.this_cpu();
        for cpu in cpus.numbers() {
            if cpu != own {
                let _ = machine.post(cpu, Mail::Look);
            } else if let Some(call) = self.own_calls.get(usize::from(cpu.0)) {
                call.store(true, Ordering::Release);
            }
        }
    }
}
