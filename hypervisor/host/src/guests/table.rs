//! What all CPUs of a host share about guests: who runs where.

use alloc::sync::Arc;

use godwit_guest::VcpuIndex;

use super::guest::Guest;
use crate::{
    machine::{CpuNumber, Machine, Mail},
    round::CpuSet,
    scheduler::{Scheduler, Terms},
};

/// A virtual CPU for the scheduler.
#[derive(Clone)]
pub(crate) struct Seat {
    pub(crate) guest: Arc<Guest>,
    pub(crate) vcpu: VcpuIndex,
}

/// The virtual CPUs of all guests that have memory here. It belongs to no CPU.
pub struct GuestTable {
    scheduler: Scheduler<Seat>,
}

/// A machine, and who runs on it.
#[derive(Clone, Copy)]
pub(crate) struct Scene<'a> {
    pub(crate) machine: &'a dyn Machine,
    pub(crate) scheduler: &'a Scheduler<Seat>,
}

impl GuestTable {
    /// A table without guests.
    pub const fn new() -> Self {
        Self { scheduler: Scheduler::new() }
    }

    pub(crate) fn scene<'a>(&'a self, machine: &'a dyn Machine) -> Scene<'a> {
        Scene { machine, scheduler: &self.scheduler }
    }
}

impl Default for GuestTable {
    fn default() -> Self {
        Self::new()
    }
}

impl Scene<'_> {
    /// Lets the CPUs run a guest from now on.
    pub(crate) fn admit(self, guest: &Arc<Guest>) {
        let processors = &guest.description.processors;
        let terms = Terms { weight: processors.weight, cpus: CpuSet::from_bits(processors.pins.bits()) };
        let seats = guest.vcpus.iter().map(|vcpu| Seat { guest: guest.clone(), vcpu: vcpu.index });
        let tasks = self.scheduler.admit(self.machine.now(), processors.cap, terms, seats);
        guest.vcpus.iter().zip(tasks).for_each(|(vcpu, task)| vcpu.admitted(task));
        guest.wake_all(self);
    }

    /// Takes a guest from the CPUs; when this returns none of them has it.
    pub(crate) fn dismiss(self, guest: &Guest) {
        for task in guest.vcpus.iter().filter_map(super::vcpu::Vcpu::task) {
            self.scheduler.dismiss(self.machine, task);
        }
    }

    /// Has the first CPU's loop look around. A full mailbox wakes it as well.
    pub(super) fn wake_first_cpu(self) {
        let _ = self.machine.post(CpuNumber(0), Mail::Look);
    }
}
