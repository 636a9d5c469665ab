//! The IO-APIC: 24 pins, version 0x20 with its EOI register (82093AA data sheet; ICH9 data sheet, 13.5).
//!
//! Levels here are logical: a pin is active when its device asserts it, and the polarity bit of an entry is
//! kept without effect. An edge at a masked pin is lost, as on the chip. A level-triggered message that no
//! CPU took is tried again when the pin or its entry changes.
//!
//! **How it migrates**: the entries with their remote IRR, the selected register and the pins' levels are
//! saved. Nothing in it depends on time.

mod redirection;
mod saved;
#[cfg(test)]
mod tests;

use crate::message::MessageBus;
use redirection::Redirection;

/// Where the registers are, guest-physical.
pub(crate) const BASE: u64 = 0xfec0_0000;
/// Inputs.
pub(crate) const PINS: usize = 24;
/// Version 0x20, and the highest entry.
const VERSION: u32 = (PINS as u32 - 1) << 16 | 0x20;

/// Offsets into the register page.
mod offset {
    pub(super) const SELECT: u64 = 0x00;
    pub(super) const WINDOW: u64 = 0x10;
    pub(super) const END_OF_INTERRUPT: u64 = 0x40;
}

/// The numbers of registers behind the window.
mod register {
    pub(super) const ID: u8 = 0;
    pub(super) const VERSION: u8 = 1;
    pub(super) const ARBITRATION: u8 = 2;
    pub(super) const REDIRECTION: u8 = 0x10;
}

/// The controller.
#[derive(Debug)]
pub(crate) struct IoApic {
    /// As in its register: bits 24 to 27.
    id: u32,
    selected: u8,
    /// Bit n is the level of pin n.
    levels: u32,
    entries: [Redirection; PINS],
}

impl IoApic {
    /// All pins masked.
    pub(crate) fn new() -> Self {
        Self { id: 0, selected: 0, levels: 0, entries: [Redirection::MASKED; PINS] }
    }

    /// Sets the level of a pin.
    pub(crate) fn set_pin(&mut self, pin: u8, level: bool, bus: &mut dyn MessageBus) {
        let Some(entry) = self.entries.get_mut(usize::from(pin)) else { return };
        let bit = 1 << pin;
        let rises = level && self.levels & bit == 0;
        self.levels = if level { self.levels | bit } else { self.levels & !bit };
        if entry.is_level() {
            entry.send_level(level, bus);
        } else if rises {
            entry.send_edge(bus);
        }
    }

    /// A local APIC ended a level-triggered interrupt: pins still active interrupt again.
    pub(crate) fn end_of_interrupt(&mut self, vector: u8, bus: &mut dyn MessageBus) {
        for (pin, entry) in self.entries.iter_mut().enumerate() {
            if entry.is_level() && entry.vector() == vector {
                entry.end();
                entry.send_level(self.levels & (1 << pin) != 0, bus);
            }
        }
    }

    /// Reads `bytes` (1 to 8) at `offset` into the register page. Registers are 32 bits wide at multiples of
    /// 16; what lies between reads as 0.
    pub(crate) fn read(&self, offset: u64, bytes: u8) -> u64 {
        let value = match offset & 0xff0 {
            offset::SELECT => u32::from(self.selected),
            offset::WINDOW => self.read_selected(),
            _ => 0,
        };
        let ones = u64::MAX >> (64 - 8 * u32::from(bytes.clamp(1, 8)));
        u64::from(value).checked_shr((offset & 0xf) as u32 * 8).unwrap_or(0) & ones
    }

    /// Writes the register at `offset`. The window takes whole registers only.
    pub(crate) fn write(&mut self, offset: u64, bytes: u8, value: u64, bus: &mut dyn MessageBus) {
        match offset & 0xfff {
            offset::SELECT => self.selected = value as u8,
            offset::WINDOW if bytes >= 4 => self.write_selected(value as u32, bus),
            offset::END_OF_INTERRUPT => self.end_of_interrupt(value as u8, bus),
            _ => {}
        }
    }

    /// The entry that is selected, and whether its upper half is.
    fn selected_entry(&self) -> Option<(usize, bool)> {
        let number = self.selected.checked_sub(register::REDIRECTION)?;
        Some((usize::from(number / 2), number & 1 != 0))
    }

    fn read_selected(&self) -> u32 {
        match self.selected {
            register::ID | register::ARBITRATION => self.id,
            register::VERSION => VERSION,
            _ => {
                let half = |(number, high): (usize, bool)| Some(self.entries.get(number)?.half(high));
                self.selected_entry().and_then(half).unwrap_or(0)
            }
        }
    }

    fn write_selected(&mut self, value: u32, bus: &mut dyn MessageBus) {
        if self.selected == register::ID {
            self.id = value & 0x0f00_0000;
        }
        let Some((number, high)) = self.selected_entry() else { return };
        let Some(entry) = self.entries.get_mut(number) else { return };
        entry.set_half(high, value);
        if entry.is_level() {
            entry.send_level(self.levels & (1 << number) != 0, bus);
        }
    }
}
