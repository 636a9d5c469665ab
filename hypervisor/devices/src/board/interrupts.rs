//! How interrupt lines run: every ISA interrupt to the 8259A pair and to the IO-APIC, the pair's output to
//! LINT0 and to the IO-APIC's pin 0.

use super::TIMER_PIN;
use crate::io_apic::IoApic;
use crate::local_apic::{Effect, LocalApic};
use crate::pic::Pic;
use crate::pit::{self, TimerOutput};

/// The IO-APIC's pin that the 8259A's output is wired to.
const EXTERNAL_PIN: u8 = 0;

/// All interrupt controllers.
#[derive(Debug)]
pub(super) struct Interrupts {
    pub(super) pic: Pic,
    pub(super) io_apic: IoApic,
    pub(super) local_apic: LocalApic,
}

impl Interrupts {
    pub(super) fn new(tsc_hz: u64) -> Self {
        Self { pic: Pic::new(), io_apic: IoApic::new(), local_apic: LocalApic::new(tsc_hz) }
    }

    /// Sets the level of an ISA interrupt.
    pub(super) fn set_line(&mut self, irq: u8, level: bool) {
        let pin = if irq == pit::IRQ { TIMER_PIN } else { irq };
        self.pic.set_line(irq, level);
        self.io_apic.set_pin(pin, level, &mut self.local_apic);
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

    /// Carries out what a write to the local APIC led to.
    pub(super) fn carry_out(&mut self, effect: Effect) {
        use crate::message::MessageBus;
        match effect {
            Effect::None => {}
            // Nobody there is no error: newer processors do not report it (SDM vol. 3, 11.5.3).
            Effect::Send(message) => _ = self.local_apic.deliver(message),
            Effect::Ended(vector) => self.io_apic.end_of_interrupt(vector, &mut self.local_apic),
        }
    }

    /// The 8259A's output, wherever it goes.
    pub(super) fn wire_external(&mut self) {
        let level = self.pic.has_interrupt();
        self.io_apic.set_pin(EXTERNAL_PIN, level, &mut self.local_apic);
        self.local_apic.set_pin0(level);
    }

    /// Whether the CPU would be offered an interrupt.
    pub(super) fn has_interrupt(&self) -> bool {
        self.has_external() || self.local_apic.offered().is_some()
    }

    /// The CPU acknowledges: the 8259A's interrupts come first, which know nothing of the APIC's priorities.
    pub(super) fn accept(&mut self) -> Option<u8> {
        if !self.has_external() {
            return self.local_apic.acknowledge();
        }
        let vector = self.pic.acknowledge();
        self.local_apic.external_acknowledged();
        self.wire_external();
        Some(vector)
    }

    fn has_external(&self) -> bool {
        self.pic.has_interrupt() && self.local_apic.passes_external()
    }
}
