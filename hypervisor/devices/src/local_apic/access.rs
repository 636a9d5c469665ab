//! Registers by MMIO (xAPIC mode) and by MSR (x2APIC mode).

use super::receive::ILLEGAL_REGISTER;
use super::registers::{Local, Register};
use super::timer::Mode;
use super::{Effect, LocalApic, MASKED, SPURIOUS_WRITABLE, VERSION};
use crate::refused::Refused;
use crate::time::Now;

/// The TSC deadline MSR.
pub(crate) const TSC_DEADLINE_MSR: u32 = 0x6e0;

impl LocalApic {
    /// Reads `bytes` (1 to 8) at `offset` into the register page. All ones while the page is not there: off,
    /// or in x2APIC mode. Registers are 32 bits wide at multiples of 16; what lies between reads as 0.
    pub(crate) fn read_page(&mut self, now: Now, offset: u64, bytes: u8) -> u64 {
        let ones = u64::MAX >> (64 - 8 * u32::from(bytes.clamp(1, 8)));
        if !self.is_enabled() || self.is_x2apic() {
            return ones;
        }
        let value = match Register::from_number((offset & 0xfff) >> 4) {
            Some(Register::SelfInterrupt) | None => {
                self.note_error(ILLEGAL_REGISTER);
                0
            }
            Some(Register::Id) => self.id << 24,
            Some(Register::CommandHigh) => (self.command >> 32) as u32,
            Some(Register::LogicalDestination) => self.logical_destination,
            Some(register) => self.read(now, register),
        };
        let within = (offset & 0xf) as u32;
        u64::from(value).checked_shr(within * 8).unwrap_or(0) & ones
    }

    /// Writes the register at `offset`. Only whole registers can be written: anything else is ignored.
    pub(crate) fn write_page(&mut self, now: Now, offset: u64, bytes: u8, value: u64) -> Effect {
        if !self.is_enabled() || self.is_x2apic() || offset & 0xf != 0 || bytes < 4 {
            return Effect::None;
        }
        let value = value as u32;
        match Register::from_number((offset & 0xfff) >> 4) {
            Some(Register::SelfInterrupt) | None => {
                self.note_error(ILLEGAL_REGISTER);
                Effect::None
            }
            Some(Register::Command) => self.send(self.command >> 32 << 32 | u64::from(value)),
            Some(Register::CommandHigh) => {
                self.command = self.command & 0xffff_ffff | u64::from(value & 0xff00_0000) << 32;
                Effect::None
            }
            Some(Register::LogicalDestination) => {
                self.logical_destination = value & 0xff00_0000;
                Effect::None
            }
            Some(Register::DestinationFormat) => {
                self.destination_format = value | 0x0fff_ffff;
                Effect::None
            }
            Some(register) => self.write(now, register, value),
        }
    }

    /// Reads an MSR of x2APIC mode, `number` being the MSR less 0x800.
    ///
    /// # Errors
    /// The mode is another one, or the register cannot be read.
    pub(crate) fn read_msr(&mut self, now: Now, number: u32) -> Result<u64, Refused> {
        let register = self.x2apic_register(number)?;
        if !register.is_readable_msr() {
            return Err(Refused);
        }
        Ok(match register {
            Register::Id => u64::from(self.id),
            Register::Command => self.command,
            Register::LogicalDestination => u64::from(self.extended_logical_id()),
            _ => u64::from(self.read(now, register)),
        })
    }

    /// Writes an MSR of x2APIC mode.
    ///
    /// # Errors
    /// The mode is another one, the register cannot be written, or a reserved bit is set.
    pub(crate) fn write_msr(&mut self, now: Now, number: u32, value: u64) -> Result<Effect, Refused> {
        let register = self.x2apic_register(number)?;
        if register.writable_msr().is_none_or(|writable| value & !writable != 0) {
            return Err(Refused);
        }
        Ok(match register {
            Register::Command => self.send(value),
            Register::SelfInterrupt => self.send_to_self(value as u8),
            _ => self.write(now, register, value as u32),
        })
    }

    /// The TSC deadline; reads as 0 in other modes, once it is over, and while it is off.
    pub(crate) fn tsc_deadline(&self) -> u64 {
        self.timer.tsc_deadline
    }

    /// Arms the timer in TSC-deadline mode, 0 disarms; without effect in other modes (SDM vol. 3, 11.5.4.1).
    pub(crate) fn set_tsc_deadline(&mut self, now: Now, tsc: u64) {
        if self.is_enabled() && self.timer_mode() == Mode::TscDeadline {
            self.timer.tsc_deadline = tsc;
            self.advance(now);
        }
    }

    fn x2apic_register(&self, number: u32) -> Result<Register, Refused> {
        if !self.is_x2apic() {
            return Err(Refused);
        }
        Register::from_number(u64::from(number)).ok_or(Refused)
    }

    /// What reads alike in both modes.
    fn read(&self, now: Now, register: Register) -> u32 {
        match register {
            Register::Version => VERSION,
            Register::TaskPriority => u32::from(self.task_priority),
            Register::ProcessorPriority => u32::from(self.processor_priority()),
            Register::DestinationFormat => self.destination_format,
            Register::Spurious => self.spurious,
            Register::InService(word) => self.in_service.word(word),
            Register::TriggerMode(word) => self.trigger_mode.word(word),
            Register::Requested(word) => self.requested.word(word),
            Register::ErrorStatus => self.error_status,
            Register::Command => self.command as u32,
            Register::Local(entry) => self.entry(entry),
            Register::InitialCount => self.timer.initial_count,
            Register::CurrentCount => self.timer.current_count(now.time, self.timer_mode()),
            Register::DivideConfiguration => u32::from(self.timer.divide),
            _ => 0,
        }
    }

    /// What writes alike in both modes; registers that cannot be written are left alone.
    fn write(&mut self, now: Now, register: Register, value: u32) -> Effect {
        match register {
            Register::TaskPriority => self.task_priority = value as u8,
            Register::EndOfInterrupt => return self.end_of_interrupt(),
            Register::Spurious => self.set_spurious(value),
            Register::ErrorStatus => self.error_status = core::mem::take(&mut self.new_errors),
            Register::Local(Local::Timer) => self.set_timer_entry(now, value),
            Register::Local(entry) => self.set_entry(entry, value),
            Register::InitialCount => self.timer.set_initial_count(now.time, self.timer_mode(), value),
            Register::DivideConfiguration => {
                self.timer.set_divide(now.time, self.timer_mode(), value as u8);
            }
            _ => {}
        }
        Effect::None
    }

    fn end_of_interrupt(&mut self) -> Effect {
        let Some(vector) = self.in_service.highest() else { return Effect::None };
        self.in_service.remove(vector);
        if self.trigger_mode.contains(vector) { Effect::Ended(vector) } else { Effect::None }
    }

    fn set_spurious(&mut self, value: u32) {
        self.spurious = value & SPURIOUS_WRITABLE;
        if !self.is_software_enabled() {
            self.local = self.local.map(|entry| entry | MASKED);
        }
    }

    fn set_timer_entry(&mut self, now: Now, value: u32) {
        // What ran out while the entry was masked is lost, not delivered late.
        self.advance(now);
        let old = self.timer_mode();
        self.set_entry(Local::Timer, value);
        self.timer.change_mode(old, self.timer_mode());
    }
}
