//! All local APICs of a guest, and the bus by which messages reach them.

use alloc::vec::Vec;

use godwit_guest::{MAX_VCPUS, VcpuIndex, VcpuSet};

use super::LocalApic;
use crate::message::{Delivery, Destination, Message, MessageBus};
use crate::time::Now;

/// One local APIC for each CPU, at least one: the APIC id is the place in the list.
#[derive(Debug)]
pub(crate) struct LocalApics(pub(super) Vec<LocalApic>);

impl LocalApics {
    /// Those of `cpus` CPUs, 1 to [`MAX_VCPUS`], as a PC's firmware leaves them.
    pub(crate) fn new(cpus: u8, tsc_hz: u64) -> Self {
        let count = usize::from(cpus).clamp(1, MAX_VCPUS);
        Self(VcpuIndex::first(count).map(|vcpu| LocalApic::new(vcpu, tsc_hz)).collect())
    }

    /// That of one CPU; `None` where the guest has no such CPU.
    pub(crate) fn get(&self, vcpu: VcpuIndex) -> Option<&LocalApic> {
        self.0.get(vcpu.index())
    }

    pub(crate) fn get_mut(&mut self, vcpu: VcpuIndex) -> Option<&mut LocalApic> {
        self.0.get_mut(vcpu.index())
    }

    /// Fires the timers that are due.
    pub(crate) fn advance(&mut self, now: Now) {
        for apic in &mut self.0 {
            apic.advance(now);
        }
    }

    /// Sets the rate of the guest's TSC.
    pub(crate) fn set_tsc_hz(&mut self, hz: u64) {
        for apic in &mut self.0 {
            apic.set_tsc_hz(hz);
        }
    }

    /// Sets the level of LINT0, to which the 8259A's output is wired at every CPU.
    pub(crate) fn set_pin0(&mut self, level: bool) {
        // Nearly always it is inactive and stays so.
        if !level && self.0.first().is_some_and(|apic| !apic.pin0) {
            return;
        }
        for apic in &mut self.0 {
            apic.set_pin0(level);
        }
    }

    /// The CPUs that something came for since the last call.
    pub(crate) fn take_attention(&mut self) -> VcpuSet {
        let mut set = VcpuSet::EMPTY;
        for (vcpu, apic) in VcpuIndex::first(MAX_VCPUS).zip(&mut self.0) {
            if apic.take_attention() {
                set.insert(vcpu);
            }
        }
        set
    }

    /// Has a CPU look at the board for a reason that is not its APIC's.
    pub(crate) fn call_attention(&mut self, vcpu: VcpuIndex) {
        if let Some(apic) = self.get_mut(vcpu) {
            apic.call_attention();
        }
    }

    /// Sends a CPU's own message. Nobody there is no error: newer processors do not report it (SDM vol. 3, 11.5.3).
    pub(crate) fn send(&mut self, sender: VcpuIndex, message: Message) {
        self.distribute(Some(sender), message);
    }

    /// Delivers to those that are addressed; `false` where nobody took it.
    fn distribute(&mut self, sender: Option<VcpuIndex>, message: Message) -> bool {
        let sender = sender.map(VcpuIndex::index);
        if message.delivery == Delivery::LowestPriority {
            let chosen = self.arbitrate(sender, message.destination);
            return chosen.and_then(|at| self.0.get_mut(at)).is_some_and(|apic| apic.accept(message));
        }
        let mut taken = false;
        for (at, apic) in self.0.iter_mut().enumerate() {
            if apic.is_addressed(message.destination, sender == Some(at)) {
                taken |= apic.accept(message);
            }
        }
        taken
    }

    /// Who takes a message of lowest priority (SDM vol. 3, 11.6.2.4): of those addressed that take vectors, the one that runs at
    /// the lowest processor priority. Among equals it goes round: first comes who follows the one that took the last.
    fn arbitrate(&mut self, sender: Option<usize>, destination: Destination) -> Option<usize> {
        let count = self.0.len();
        let after_last = self.0.iter().position(|apic| apic.took_last).map_or(0, |last| last + 1);
        let takes = |(at, apic): &(usize, &LocalApic)| {
            apic.takes_vectors() && apic.is_addressed(destination, sender == Some(*at))
        };
        let distance = |at: usize| (at + count - after_last) % count;
        let candidates = self.0.iter().enumerate().filter(takes);
        let (chosen, _) = candidates.min_by_key(|(at, apic)| (apic.processor_priority(), distance(*at)))?;
        for (at, apic) in self.0.iter_mut().enumerate() {
            apic.took_last = at == chosen;
        }
        Some(chosen)
    }
}

impl MessageBus for LocalApics {
    fn deliver(&mut self, message: Message) -> bool {
        self.distribute(None, message)
    }
}
