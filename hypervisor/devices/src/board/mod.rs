//! The board: all devices of a guest, wired together.

mod counters;
mod interrupts;
mod ports;
mod registers;
mod saved;
#[cfg(test)]
mod tests;

use godwit_guest::{GuestMemory, VcpuIndex, VcpuSet};

use crate::clock::ParavirtualClock;
use crate::local_apic::Start;
use crate::pci::PciConfiguration;
use crate::pit::Pit;
use crate::power::{self, PowerManagement};
use crate::reset::{PowerRequest, Reset};
use crate::rtc::{self, Rtc};
use crate::serial::{self, Serial};
use crate::time::{GuestTime, Now, earliest};
pub use counters::BoardCounters;
use interrupts::Interrupts;

/// The IO-APIC's pin that the timer's interrupt 0 is wired to, as on PCs.
pub(crate) const TIMER_PIN: u8 = 2;

/// What a board needs to know of its guest.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BoardConfig {
    /// Virtual CPUs, 1 to [`MAX_VCPUS`](godwit_guest::MAX_VCPUS); what lies outside counts as the nearest of these.
    pub cpus: u8,
    /// Bytes of RAM, for the sizes in CMOS.
    pub memory_bytes: u64,
    /// Ticks a second of the guest's time stamp counter; 0 counts as 1.
    pub tsc_hz: u64,
    /// The wall clock at the guest's start, in seconds since 1970 (UTC).
    pub wall_clock_start_s: i64,
}

/// All devices of a guest.
///
/// A local APIC and a clock page belong to each CPU; the rest belongs to all of them. Calls that are about one CPU take its number,
/// and one that the guest has not got is answered as absent hardware is: nothing is offered, reads give all ones or no register.
/// Whoever runs the CPUs keeps the board behind one lock; what a call did to other CPUs is in
/// [`take_attention`](Self::take_attention).
///
/// Time comes in by [`Now`] alone. Every call that takes it first brings the devices up to it, as
/// [`advance`](Self::advance) does; a time that goes back is survived, and devices then wait for it to come
/// back.
#[derive(Debug)]
pub struct Board {
    serial: Serial,
    pit: Pit,
    rtc: Rtc,
    power: PowerManagement,
    reset: Reset,
    pci: PciConfiguration,
    clock: ParavirtualClock,
    interrupts: Interrupts,
    counters: BoardCounters,
}

impl Board {
    /// A board as a PC's firmware would leave it.
    pub fn new(config: &BoardConfig) -> Self {
        Self {
            serial: Serial::new(),
            pit: Pit::new(),
            rtc: Rtc::new(config.wall_clock_start_s, config.memory_bytes),
            power: PowerManagement::new(),
            reset: Reset::default(),
            pci: PciConfiguration::default(),
            clock: ParavirtualClock::new(config.cpus, config.wall_clock_start_s, config.tsc_hz),
            interrupts: Interrupts::new(config.cpus, config.tsc_hz),
            counters: BoardCounters::default(),
        }
    }

    /// Brings all devices up to `now`: timers fire.
    pub fn advance(&mut self, now: Now) {
        self.interrupts.apics.advance(now);
        let timer = self.pit.look(now.time);
        self.interrupts.set_timer(timer);
        self.rtc.advance(now.time);
        self.power.advance(now.time);
        self.settle();
    }

    /// When [`advance`](Self::advance) has to be called next for a CPU: a time that may lie in the past, or never. That is when the
    /// timer of its local APIC is due; the first CPU looks after the timers that belong to all as well.
    pub fn deadline(&self, now: Now, vcpu: VcpuIndex) -> Option<GuestTime> {
        let own = self.interrupts.apics.get(vcpu).and_then(|apic| apic.deadline(now));
        if vcpu != VcpuIndex::BOOT {
            return own;
        }
        earliest(own, self.shared_deadline())
    }

    /// When a timer that belongs to all CPUs is due.
    fn shared_deadline(&self) -> Option<GuestTime> {
        [self.pit.deadline(), self.rtc.deadline(), self.power.deadline()].into_iter().fold(None, earliest)
    }

    /// Has the first CPU look where such a timer is due earlier than `before`: it looks after them, whoever set them.
    fn note_earlier(&mut self, before: Option<GuestTime>) {
        if self.shared_deadline().is_some_and(|after| before.is_none_or(|before| after < before)) {
            self.interrupts.apics.call_attention(VcpuIndex::BOOT);
        }
    }

    /// Takes the CPUs that since the last call got something that they may have to be woken or interrupted for: a vector, an NMI,
    /// an interrupt of the 8259A, INIT, a start-up message. Who sent it does not matter: a CPU may have sent it to itself. After
    /// [`restore`](Self::restore) it is all of them.
    pub fn take_attention(&mut self) -> VcpuSet {
        self.interrupts.apics.take_attention()
    }

    /// Takes the next of what INIT and start-up messages asked of a CPU, oldest first. From the start on, all CPUs but the first
    /// wait for a start-up message; after INIT every CPU does, the first as well. A message to a CPU that does not wait is dropped
    /// on arrival, so what this gives is to be obeyed.
    pub fn take_start(&mut self, vcpu: VcpuIndex) -> Option<Start> {
        self.interrupts.apics.get_mut(vcpu)?.take_start()
    }

    /// Whether the CPU would be offered an interrupt now: one above its task priority, or one of the 8259A.
    pub fn has_interrupt(&self, vcpu: VcpuIndex) -> bool {
        self.interrupts.has_interrupt(vcpu)
    }

    /// The class (4 bits) of an interrupt that would be offered if the task priority were below it, and for no other reason is
    /// not.
    pub fn held_back_class(&self, vcpu: VcpuIndex) -> Option<u8> {
        self.interrupts.apics.get(vcpu)?.held_back_class()
    }

    /// The CPU takes the interrupt that is offered: its vector.
    pub fn accept_interrupt(&mut self, vcpu: VcpuIndex) -> Option<u8> {
        self.interrupts.accept(vcpu)
    }

    /// Whether an NMI is pending.
    pub fn has_nmi(&self, vcpu: VcpuIndex) -> bool {
        self.interrupts.apics.get(vcpu).is_some_and(|apic| apic.has_nmi())
    }

    /// Takes a pending NMI: whether there was one. A CPU that waits for a start-up message is not to be asked: its NMI waits too.
    pub fn take_nmi(&mut self, vcpu: VcpuIndex) -> bool {
        self.interrupts.apics.get_mut(vcpu).is_some_and(|apic| apic.take_nmi())
    }

    /// The task priority as CR8 has it, 4 bits.
    pub fn task_priority(&self, vcpu: VcpuIndex) -> u8 {
        self.interrupts.apics.get(vcpu).map_or(0, |apic| apic.task_priority_class())
    }

    /// Sets the task priority from CR8. Read [`task_priority`](Self::task_priority) back into CR8 after the
    /// guest wrote to its local APIC: it has one task priority, seen in two places.
    pub fn set_task_priority(&mut self, vcpu: VcpuIndex, cr8: u8) {
        if let Some(apic) = self.interrupts.apics.get_mut(vcpu) {
            apic.set_task_priority_class(cr8);
        }
    }

    /// Takes what the guest asked its machine to do.
    pub fn take_request(&mut self) -> Option<PowerRequest> {
        self.reset.take()
    }

    /// Whether the guest wrote to COM1 what was not taken yet.
    pub fn has_output(&self) -> bool {
        self.serial.has_output()
    }

    /// Hands what the guest wrote to COM1 to `serve`, in one piece; not called where there is nothing.
    pub fn take_output(&mut self, serve: &mut dyn FnMut(&[u8])) {
        self.serial.take_output(serve);
        self.settle();
    }

    /// A byte typed at COM1. `false`: there is no room for it now, try again later.
    pub fn type_byte(&mut self, now: Now, byte: u8) -> bool {
        self.advance(now);
        let taken = self.serial.receive(byte);
        self.settle();
        taken
    }

    /// Somebody presses the power button: the guest is asked to shut down.
    pub fn press_power_button(&mut self, now: Now) {
        self.advance(now);
        self.power.press_power_button();
        self.settle();
    }

    /// The guest stood still or came from another host: the clock pages of all CPUs are written anew and say so. No CPU may run
    /// meanwhile.
    pub fn after_pause(&mut self, now: Now, memory: &dyn GuestMemory) {
        self.advance(now);
        let failures = u64::from(self.clock.after_pause(now, memory));
        self.counters.clock_page_failures = self.counters.clock_page_failures.saturating_add(failures);
    }

    /// The guest wrote its TSC: its clocks showed `before` right before it, and show `now`.
    pub fn after_tsc_write(&mut self, before: Now, now: Now, memory: &dyn GuestMemory) {
        self.advance(now);
        let failures = u64::from(self.clock.after_tsc_write(before, now, memory));
        self.counters.clock_page_failures = self.counters.clock_page_failures.saturating_add(failures);
    }

    /// Ticks a second of the guest's TSC from now on. [`after_pause`](Self::after_pause) tells the guest.
    pub fn set_tsc_hz(&mut self, hz: u64) {
        self.clock.set_tsc_hz(hz);
        self.interrupts.apics.set_tsc_hz(hz);
    }

    /// What went wrong without being an error.
    pub fn counters(&self) -> BoardCounters {
        BoardCounters { serial_lost_bytes: self.serial.lost_bytes(), ..self.counters }
    }

    /// Brings the interrupt lines in step with the devices.
    fn settle(&mut self) {
        self.power.set_alarm_line(self.rtc.has_alarm());
        for (irq, level) in [
            (serial::IRQ, self.serial.has_interrupt()),
            (rtc::IRQ, self.rtc.has_interrupt()),
            (power::IRQ, self.power.has_interrupt()),
        ] {
            self.interrupts.set_line(irq, level);
        }
        self.interrupts.wire_external();
    }
}
