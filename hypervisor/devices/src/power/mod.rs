//! ACPI power management (ACPI 6.5, 4.8.3): event and control registers, the timer, the power button.
//!
//! The board is always in ACPI mode, and powers off when the guest enters the sleep type [`SLEEP_TYPE_S5`].
//! There are no other sleep states, no sleep button and no general-purpose events. An alarm of the real-time clock is an
//! event, as on PCs.
//!
//! **How it migrates**: the three registers are saved. The timer is the guest's time at another rate, so it
//! needs nothing but the half in which it was last looked at. The interrupt line and the alarm's line are recomputed.

mod saved;
#[cfg(test)]
mod tests;

use bitflags::bitflags;

use crate::time::{GuestTime, Rate};

/// The first port of the block.
pub(crate) const BASE_PORT: u16 = 0x600;
/// PM1a event block: status and enable, 2 bytes each.
pub(crate) const EVENT_PORT: u16 = BASE_PORT;
/// PM1a control block, 2 bytes.
pub(crate) const CONTROL_PORT: u16 = BASE_PORT + 4;
/// The timer, 4 bytes.
pub(crate) const TIMER_PORT: u16 = BASE_PORT + 8;
/// Behind the last port of the block.
pub(crate) const END_PORT: u16 = BASE_PORT + 12;
/// The system control interrupt, level-triggered and active high.
pub(crate) const IRQ: u8 = 9;
/// What the `\_S5` object names: the sleep type that is power-off.
pub(crate) const SLEEP_TYPE_S5: u8 = 5;

/// The timer counts at 3.579545 MHz, in 32 bits.
const TIMER: Rate = Rate(3_579_545);
/// Bits below the timer's highest, whose changes are events.
const HALF_BITS: u32 = 31;

bitflags! {
    /// PM1 status and PM1 enable: the same places in both (tables 4.13 and 4.14).
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    struct Events: u16 {
        const TIMER = 1 << 0;
        const GLOBAL_LOCK = 1 << 5;
        const POWER_BUTTON = 1 << 8;
        const RTC = 1 << 10;
    }

    /// PM1 control (table 4.15).
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    struct Control: u16 {
        const SCI_ENABLE = 1 << 0;
        const BUS_MASTER_RELOAD = 1 << 1;
        const SLEEP_TYPE = 0b111 << 10;
        /// Write only.
        const SLEEP_ENABLE = 1 << 13;
    }
}

/// The guest entered S5.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct PowerOff;

/// The power management block.
#[derive(Debug)]
pub(crate) struct PowerManagement {
    status: Events,
    enable: Events,
    control: Control,
    /// How often the timer's highest bit changed up to the last look.
    seen_halves: u64,
    /// Whether the real-time clock's alarm was up at the last look.
    alarm_line: bool,
}

impl PowerManagement {
    pub(crate) fn new() -> Self {
        Self {
            status: Events::empty(),
            enable: Events::empty(),
            control: Control::SCI_ENABLE,
            seen_halves: 0,
            alarm_line: false,
        }
    }

    /// The level of the interrupt line.
    pub(crate) fn has_interrupt(&self) -> bool {
        self.status.intersects(self.enable)
    }

    /// The power button is pressed and released.
    pub(crate) fn press_power_button(&mut self) {
        self.status |= Events::POWER_BUTTON;
    }

    /// The level of the real-time clock's alarm: its rise is the event.
    pub(crate) fn set_alarm_line(&mut self, level: bool) {
        if level && !self.alarm_line {
            self.status |= Events::RTC;
        }
        self.alarm_line = level;
    }

    /// Notes the timer's events.
    pub(crate) fn advance(&mut self, now: GuestTime) {
        let halves = TIMER.ticks_at(now) >> HALF_BITS;
        if halves > self.seen_halves {
            self.seen_halves = halves;
            self.status |= Events::TIMER;
        }
    }

    /// When the timer's highest bit changes next, where that would interrupt.
    pub(crate) fn deadline(&self) -> Option<GuestTime> {
        let wanted = self.enable.contains(Events::TIMER) && !self.status.contains(Events::TIMER);
        wanted.then(|| TIMER.time_of((self.seen_halves + 1) << HALF_BITS))
    }

    /// Reads the byte at `offset` (0 to 11) of the block.
    pub(crate) fn read(&mut self, now: GuestTime, offset: u16) -> u8 {
        self.advance(now);
        let [status_low, status_high] = self.status.bits().to_le_bytes();
        let [enable_low, enable_high] = self.enable.bits().to_le_bytes();
        let [control_low, control_high] = self.control.bits().to_le_bytes();
        match offset {
            0 => status_low,
            1 => status_high,
            2 => enable_low,
            3 => enable_high,
            4 => control_low,
            5 => control_high,
            8..=11 => (TIMER.ticks_at(now) >> (8 * (offset - 8))) as u8,
            _ => 0,
        }
    }

    /// Writes the byte at `offset` (0 to 11) of the block. Status bits are cleared by writing ones.
    pub(crate) fn write(&mut self, now: GuestTime, offset: u16, value: u8) -> Option<PowerOff> {
        self.advance(now);
        let shift = 8 * u32::from(offset & 1);
        let value = u16::from(value) << shift;
        let written = 0xff << shift;
        match offset {
            0 | 1 => self.status &= !Events::from_bits_truncate(value),
            2 | 3 => {
                self.enable = Events::from_bits_truncate(self.enable.bits() & !written | value);
            }
            4 | 5 => return self.write_control(self.control.bits() & !written | value),
            _ => {}
        }
        None
    }

    fn write_control(&mut self, value: u16) -> Option<PowerOff> {
        let control = Control::from_bits_truncate(value);
        self.control = control & (Control::BUS_MASTER_RELOAD | Control::SLEEP_TYPE) | Control::SCI_ENABLE;
        let sleep_type = (control & Control::SLEEP_TYPE).bits() >> 10;
        let off = control.contains(Control::SLEEP_ENABLE) && sleep_type == u16::from(SLEEP_TYPE_S5);
        off.then_some(PowerOff)
    }
}
