//! Which CPUs are told when a task wants one.

use super::queue::{FIRST, GRAIN, Queue, TaskKey};
use crate::{
    machine::{CpuNumber, Instant},
    round::CpuSet,
};

impl<T: Clone> Queue<T> {
    /// CPUs for the tasks that wait: idle ones, else such whose turn has no end. Each is called once.
    pub(super) fn call(&mut self, except: Option<CpuNumber>) -> CpuSet {
        let mut called = CpuSet::EMPTY;
        for key in 0..self.tasks.len() {
            if self.idle.is_empty() && self.open.is_empty() {
                break;
            }
            let Some(task) = self.task(TaskKey(key)) else { continue };
            let is_coming = task.called.is_some_and(|cpu| self.called.contains(cpu));
            if !task.is_waiting() || task.kept.is_some() || is_coming || self.allowance(task).is_none() {
                continue;
            }
            let mut eligible = task.terms.cpus;
            if let Some(except) = except {
                eligible.remove(except);
            }
            let free = self.idle.and(eligible);
            let at_home = (task.home != FIRST && free.contains(task.home)).then_some(task.home);
            let open = self.open.and(eligible);
            if let Some(cpu) = at_home.or_else(|| free.last()).or_else(|| open.last()) {
                self.idle.remove(cpu);
                self.open.remove(cpu);
                self.called.insert(cpu);
                called.insert(cpu);
                if let Some(Some(task)) = self.tasks.get_mut(key) {
                    task.called = Some(cpu);
                }
            }
        }
        called
    }

    /// The CPU whose task has had most, where that is enough more than the one that was woken.
    pub(super) fn preempt(&self, now: Instant, woken: TaskKey) -> CpuSet {
        let Some(task) = self.task(woken).filter(|task| self.allowance(task).is_some()) else {
            return CpuSet::EMPTY;
        };
        let enough = task.virtual_ns.saturating_add(GRAIN.as_nanos() as u64);
        let running = self.each().filter_map(|(_, other)| {
            let cpu = other.runner().filter(|&cpu| task.terms.cpus.contains(cpu))?;
            Some((other.virtual_ns_at(now), cpu))
        });
        match running.max_by_key(|(had, _)| *had) {
            Some((had, cpu)) if had > enough => CpuSet::of(cpu),
            _ => CpuSet::EMPTY,
        }
    }
}
