//! How interrupt lines run: every ISA interrupt to the 8259A pair and to the IO-APIC, the pair's output to
//! LINT0 of every CPU and to the IO-APIC's pin 0.

use godwit_guest::VcpuIndex;

use super::TIMER_PIN;
use crate::io_apic::IoApic;
use crate::local_apic::{Effect, LocalApic, LocalApics};
use crate::pic::Pic;
use crate::pit::{self, TimerOutput};

/// The IO-APIC's pin that the 8259A's output is wired to.
const EXTERNAL_PIN: u8 = 0;

/// All interrupt controllers.
#[derive(Debug)]
pub(super) struct Interrupts {
    pub(super) pic: Pic,
    pub(super) io_apic: IoApic,
    pub(super) apics: LocalApics,
}

impl Interrupts {
    pub(super) fn new(cpus: u8, tsc_hz: u64) -> Self {
        Self { pic: Pic::new(), io_apic: IoApic::new(), apics: LocalApics::new(cpus, tsc_hz) }
    }

    /// Sets the level of an ISA interrupt.
    pub(super) fn set_line(&mut self, irq: u8, level: bool) {
        let pin = if irq == pit::IRQ { TIMER_PIN } else { irq };
        self.pic.set_line(irq, level);
        self.io_apic.set_pin(pin, level, &mut self.apics);
        self.wire_external();
    }

    /// The timer's output: an edge that was missed is made up for.
    pub(super) fn set_timer(&mut self, output: TimerOutput) {
        if output.rose {
            self.set_line(pit::IRQ, false);
            self.set_line(pit::IRQ, true);
        }
        self.set_line(pit::IRQ, output.level);
    }

    /// Carries out what a CPU's write to its local APIC led to.
    pub(super) fn carry_out(&mut self, vcpu: VcpuIndex, effect: Effect) {
        match effect {
            Effect::None => {}
            Effect::Send(message) => self.apics.send(vcpu, message),
            Effect::Ended(vector) => self.io_apic.end_of_interrupt(vector, &mut self.apics),
        }
    }

    /// The 8259A's output, wherever it goes.
    pub(super) fn wire_external(&mut self) {
        let level = self.pic.has_interrupt();
        self.io_apic.set_pin(EXTERNAL_PIN, level, &mut self.apics);
        self.apics.set_pin0(level);
    }

    /// Whether the CPU would be offered an interrupt.
    pub(super) fn has_interrupt(&self, vcpu: VcpuIndex) -> bool {
        self.apics.get(vcpu).is_some_and(|apic| self.has_external(apic) || apic.offered().is_some())
    }

    /// The CPU acknowledges: the 8259A's interrupts come first, which know nothing of the APIC's priorities.
    pub(super) fn accept(&mut self, vcpu: VcpuIndex) -> Option<u8> {
        let has_external = self.has_external(self.apics.get(vcpu)?);
        let apic = self.apics.get_mut(vcpu)?;
        if !has_external {
            return apic.acknowledge();
        }
        apic.external_acknowledged();
        let vector = self.pic.acknowledge();
        self.wire_external();
        Some(vector)
    }

    fn has_external(&self, apic: &LocalApic) -> bool {
        self.pic.has_interrupt() && apic.passes_external()
    }
}
