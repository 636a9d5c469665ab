//! Which port belongs to which device.

use super::Board;
use crate::reset::PowerRequest;
use crate::time::Now;
use crate::{pci, power, reset, serial};

/// The device behind one byte-wide port, and the offset in it.
enum Place {
    Pic(usize, u16),
    PicLevels(usize),
    Pit(u16),
    PitControl,
    Keyboard,
    Rtc(u16),
    /// The POST code port: firmware shows its progress there, and systems write to it to pass time.
    Post,
    Serial(u16),
    Power(u16),
    Absent,
}

impl Place {
    const fn of(port: u16) -> Self {
        match port {
            0x20 | 0x21 => Self::Pic(0, port - 0x20),
            0xa0 | 0xa1 => Self::Pic(1, port - 0xa0),
            0x4d0 => Self::PicLevels(0),
            0x4d1 => Self::PicLevels(1),
            0x40..=0x43 => Self::Pit(port - 0x40),
            0x61 => Self::PitControl,
            reset::KEYBOARD_PORT => Self::Keyboard,
            0x70 | 0x71 => Self::Rtc(port - 0x70),
            0x80 => Self::Post,
            serial::BASE_PORT..=serial::LAST_PORT => Self::Serial(port - serial::BASE_PORT),
            power::BASE_PORT..power::END_PORT => Self::Power(port - power::BASE_PORT),
            _ => Self::Absent,
        }
    }
}

impl Board {
    /// IN: reads `bytes` (1, 2 or 4) from `port` on. Devices are a byte wide: a wider access is one to each
    /// port in turn, all at one moment. What is not there reads as all ones, and is counted.
    pub fn read_port(&mut self, now: Now, port: u16, bytes: u8) -> u32 {
        self.advance(now);
        let deadline = self.shared_deadline();
        let value = match (port, bytes) {
            (reset::CONTROL_PORT, 1) => u32::from(self.reset.control()),
            (_, 0) => u32::MAX,
            (pci::FIRST_PORT..=pci::LAST_PORT, _) => self.pci.read(port, bytes),
            _ => (0..u16::from(bytes.min(4))).fold(0, |value, offset| {
                let byte = port.checked_add(offset).map_or(u8::MAX, |port| self.read_byte(now, port));
                value | u32::from(byte) << (8 * offset)
            }),
        };
        self.settle();
        self.note_earlier(deadline);
        match bytes {
            1 => value & 0xff,
            2 => value & 0xffff,
            _ => value,
        }
    }

    /// OUT: writes the low `bytes` (1, 2 or 4) of `value` to `port` on.
    pub fn write_port(&mut self, now: Now, port: u16, bytes: u8, value: u32) {
        self.advance(now);
        let deadline = self.shared_deadline();
        match (port, bytes) {
            (reset::CONTROL_PORT, 1) => self.reset.set_control(value as u8),
            // A configuration address covers the reset register and must not reach it.
            (pci::FIRST_PORT..=pci::LAST_PORT, _) => self.pci.write(port, bytes, value),
            _ => {
                for (offset, byte) in value.to_le_bytes().into_iter().take(usize::from(bytes)).enumerate() {
                    if let Some(port) = port.checked_add(offset as u16) {
                        self.write_byte(now, port, byte);
                    }
                }
            }
        }
        self.settle();
        self.note_earlier(deadline);
    }

    fn read_byte(&mut self, now: Now, port: u16) -> u8 {
        let interrupts = &mut self.interrupts;
        match Place::of(port) {
            Place::Pic(chip, offset) => interrupts.pic.read(chip, offset),
            Place::PicLevels(chip) => interrupts.pic.read_level_triggered(chip),
            Place::Pit(offset) => self.pit.read(now.time, offset),
            Place::PitControl => self.pit.read_control(now.time),
            // Nothing waits in either direction.
            Place::Keyboard => 0,
            Place::Rtc(offset) => self.rtc.read(now.time, offset),
            Place::Serial(offset) => self.serial.read(offset),
            Place::Power(offset) => self.power.read(now.time, offset),
            Place::Post => u8::MAX,
            Place::Absent => {
                self.counters.note_absent_port(port);
                u8::MAX
            }
        }
    }

    fn write_byte(&mut self, now: Now, port: u16, value: u8) {
        let interrupts = &mut self.interrupts;
        match Place::of(port) {
            Place::Pic(chip, offset) => interrupts.pic.write(chip, offset, value),
            Place::PicLevels(chip) => interrupts.pic.write_level_triggered(chip, value),
            Place::Pit(offset) => self.pit.write(now.time, offset, value),
            Place::PitControl => self.pit.write_control(now.time, value),
            Place::Keyboard => self.reset.keyboard_command(value),
            Place::Rtc(offset) => self.rtc.write(now.time, offset, value),
            Place::Serial(offset) => self.serial.write(offset, value),
            Place::Power(offset) => {
                if let Some(power::PowerOff) = self.power.write(now.time, offset, value) {
                    self.reset.ask(PowerRequest::PowerOff);
                }
            }
            Place::Post => {}
            Place::Absent => self.counters.note_absent_port(port),
        }
    }
}
