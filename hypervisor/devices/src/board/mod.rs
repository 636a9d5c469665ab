//! The board: all devices of a guest, wired together.

mod counters;
mod interrupts;
mod ports;
mod registers;
mod saved;
#[cfg(test)]
mod tests;

use godwit_guest::GuestMemory;

use crate::clock::ParavirtualClock;
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
    /// Bytes of RAM, for the sizes in CMOS.
    pub memory_bytes: u64,
    /// Ticks a second of the guest's time stamp counter; 0 counts as 1.
    pub tsc_hz: u64,
    /// The wall clock at the guest's start, in seconds since 1970 (UTC).
    pub wall_clock_start_s: i64,
}

/// All devices of a guest with one CPU.
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
            clock: ParavirtualClock::new(config.wall_clock_start_s, config.tsc_hz),
            interrupts: Interrupts::new(config.tsc_hz),
            counters: BoardCounters::default(),
        }
    }

    /// Brings all devices up to `now`: timers fire.
    pub fn advance(&mut self, now: Now) {
        self.interrupts.local_apic.advance(now);
        let timer = self.pit.look(now.time);
        self.interrupts.set_timer(timer);
        self.rtc.advance(now.time);
        self.power.advance(now.time);
        self.settle();
    }

    /// When [`advance`](Self::advance) has to be called next: a time that may lie in the past, or never.
    pub fn deadline(&self, now: Now) -> Option<GuestTime> {
        [self.pit.deadline(), self.rtc.deadline(), self.power.deadline()]
            .into_iter()
            .fold(self.interrupts.local_apic.deadline(now), earliest)
    }

    /// Whether the CPU would be offered an interrupt now: one above its task priority, or one of the 8259A.
    pub fn has_interrupt(&self) -> bool {
        self.interrupts.has_interrupt()
    }

    /// The class (4 bits) of an interrupt that would be offered if the task priority were below it, and for no other reason is
    /// not.
    pub fn held_back_class(&self) -> Option<u8> {
        self.interrupts.local_apic.held_back_class()
    }

    /// The CPU takes the interrupt that is offered: its vector.
    pub fn accept_interrupt(&mut self) -> Option<u8> {
        self.interrupts.accept()
    }

    /// Takes a pending NMI: whether there was one.
    pub fn take_nmi(&mut self) -> bool {
        self.interrupts.local_apic.take_nmi()
    }

    /// The task priority as CR8 has it, 4 bits.
    pub fn task_priority(&self) -> u8 {
        self.interrupts.local_apic.task_priority_class()
    }

    /// Sets the task priority from CR8. Read [`task_priority`](Self::task_priority) back into CR8 after the
    /// guest wrote to its local APIC: it has one task priority, seen in two places.
    pub fn set_task_priority(&mut self, cr8: u8) {
        self.interrupts.local_apic.set_task_priority_class(cr8);
    }

    /// Takes what the guest asked its machine to do.
    pub fn take_request(&mut self) -> Option<PowerRequest> {
        self.reset.take()
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

    /// The guest stood still or came from another host: its clock page is written anew and says so.
    pub fn after_pause(&mut self, now: Now, memory: &dyn GuestMemory) {
        self.advance(now);
        if !self.clock.after_pause(now, memory) {
            self.counters.clock_page_failures = self.counters.clock_page_failures.saturating_add(1);
        }
    }

    /// The guest wrote its TSC: its clocks showed `before` right before it, and show `now`.
    pub fn after_tsc_write(&mut self, before: Now, now: Now, memory: &dyn GuestMemory) {
        self.advance(now);
        if !self.clock.after_tsc_write(before, now, memory) {
            self.counters.clock_page_failures = self.counters.clock_page_failures.saturating_add(1);
        }
    }

    /// Ticks a second of the guest's TSC from now on. [`after_pause`](Self::after_pause) tells the guest.
    pub fn set_tsc_hz(&mut self, hz: u64) {
        self.clock.set_tsc_hz(hz);
        self.interrupts.local_apic.set_tsc_hz(hz);
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
