//! Operands of an instruction: found first, with every fault that finding them raises, then read and written.

use iced_x86::{Instruction, OpKind, Register};

use super::{
    Fault,
    cpu::Cpu,
    place::{Place, truncate},
    registers,
};

/// Why an instruction stops before its end.
#[derive(Debug)]
pub(super) enum Stop {
    /// It raises this.
    Fault(Fault),
    /// The emulator does not carry it out.
    Unsupported,
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

/// An operand that was found.
#[derive(Clone, Debug)]
pub(super) enum Operand {
    Register(Register),
    Immediate(u64),
    Memory(Place),
}

impl Cpu<'_> {
    /// Finds operand `index`, of `bytes` bytes where it is in memory.
    pub(super) fn find(
        &self,
        instruction: &Instruction,
        index: u32,
        bytes: usize,
        write: bool,
    ) -> Result<Operand, Stop> {
        match instruction.op_kind(index) {
            OpKind::Register => Ok(Operand::Register(instruction.op_register(index))),
            OpKind::Memory => {
                let offset = self.offset(instruction, index).ok_or(Stop::Unsupported)?;
                let segment = instruction.memory_segment();
                Ok(Operand::Memory(self.place(segment, offset, bytes, write)?))
            }
            _ => instruction.try_immediate(index).map(Operand::Immediate).map_err(|_| Stop::Unsupported),
        }
    }

    /// The offset in its segment that operand `index` names.
    pub(super) fn offset(&self, instruction: &Instruction, index: u32) -> Option<u64> {
        instruction.virtual_address(index, 0, |register, _, _| {
            // The segment's base comes with the segment's limit, in `linear`.
            if register.is_segment_register() { Some(0) } else { self.register(register) }
        })
    }

    /// Reads an operand; registers and immediates as their low `bytes` bytes.
    pub(super) fn read(&mut self, operand: &Operand, bytes: usize) -> Result<u64, Stop> {
        match operand {
            Operand::Register(register) => {
                Ok(truncate(self.register(*register).ok_or(Stop::Unsupported)?, bytes))
            }
            Operand::Immediate(value) => Ok(truncate(*value, bytes)),
            Operand::Memory(place) => Ok(self.load(place)),
        }
    }

    /// Writes an operand.
    pub(super) fn write(&mut self, operand: &Operand, value: u64) -> Result<(), Stop> {
        match operand {
            Operand::Register(register) => {
                registers::write(&mut self.registers, *register, value).ok_or(Stop::Unsupported)
            }
            Operand::Immediate(_) => Err(Stop::Unsupported),
            Operand::Memory(place) => {
                self.store(place, value);
                Ok(())
            }
        }
    }

    /// A register's value.
    pub(super) fn register(&self, register: Register) -> Option<u64> {
        registers::read(&self.registers, &self.system.segments, register)
    }
}
