//! String instructions: MOVS, STOS and LODS on memory, INS and OUTS between memory and a port.

use iced_x86::{Code, Instruction, OpKind, Register};

use super::{
    MAX_REPETITIONS,
    bits::{DIRECTION, SINGLE_STEP},
    cpu::Cpu,
    operand::Stop,
    place::{Place, truncate},
    registers,
};
use crate::cpu::General;

/// What one repetition does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Step {
    Move,
    Store,
    Load,
    /// INS.
    In {
        port: u16,
    },
    /// OUTS.
    Out {
        port: u16,
    },
}

/// A string instruction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct StringInstruction {
    step: Step,
    /// Bytes of an element.
    bytes: usize,
}

impl StringInstruction {
    /// MOVS, STOS or LODS.
    pub(super) fn on_memory(instruction: &Instruction) -> Option<Self> {
        let (step, bytes) = match instruction.code() {
            Code::Movsb_m8_m8 => (Step::Move, 1),
            Code::Movsw_m16_m16 => (Step::Move, 2),
            Code::Movsd_m32_m32 => (Step::Move, 4),
            Code::Movsq_m64_m64 => (Step::Move, 8),
            Code::Stosb_m8_AL => (Step::Store, 1),
            Code::Stosw_m16_AX => (Step::Store, 2),
            Code::Stosd_m32_EAX => (Step::Store, 4),
            Code::Stosq_m64_RAX => (Step::Store, 8),
            Code::Lodsb_AL_m8 => (Step::Load, 1),
            Code::Lodsw_AX_m16 => (Step::Load, 2),
            Code::Lodsd_EAX_m32 => (Step::Load, 4),
            Code::Lodsq_RAX_m64 => (Step::Load, 8),
            _ => return None,
        };
        Some(Self { step, bytes })
    }

    /// INS or OUTS.
    pub(super) fn on_port(instruction: &Instruction, port: u16) -> Option<Self> {
        let (step, bytes) = match instruction.code() {
            Code::Insb_m8_DX => (Step::In { port }, 1),
            Code::Insw_m16_DX => (Step::In { port }, 2),
            Code::Insd_m32_DX => (Step::In { port }, 4),
            Code::Outsb_DX_m8 => (Step::Out { port }, 1),
            Code::Outsw_DX_m16 => (Step::Out { port }, 2),
            Code::Outsd_DX_m32 => (Step::Out { port }, 4),
            _ => return None,
        };
        Some(Self { step, bytes })
    }

    /// Carries out up to [`MAX_REPETITIONS`] repetitions; says whether that was all. On a fault the registers say which
    /// repetitions are done.
    pub(super) fn run(self, cpu: &mut Cpu<'_>, instruction: &Instruction) -> Result<bool, Stop> {
        let address_bytes = address_bytes(instruction).ok_or(Stop::Unsupported)?;
        let index = |register| IndexRegister { register, bytes: address_bytes };
        if !(instruction.has_rep_prefix() || instruction.has_repne_prefix()) {
            self.repetition(cpu, instruction, index)?;
            return Ok(true);
        }
        let count = index(General::Rcx);
        // Each repetition is a step of its own.
        let most = if cpu.registers.rflags & SINGLE_STEP == 0 { MAX_REPETITIONS } else { 1 };
        for _ in 0..most {
            if count.get(cpu) == 0 {
                return Ok(true);
            }
            self.repetition(cpu, instruction, index)?;
            count.step(cpu, 1u64.wrapping_neg());
        }
        Ok(count.get(cpu) == 0)
    }

    fn repetition(
        self,
        cpu: &mut Cpu<'_>,
        instruction: &Instruction,
        index: impl Fn(General) -> IndexRegister,
    ) -> Result<(), Stop> {
        let (source, destination) = (index(General::Rsi), index(General::Rdi));
        let accumulator = match self.bytes {
            1 => Register::AL,
            2 => Register::AX,
            4 => Register::EAX,
            _ => Register::RAX,
        };
        // Both ends are found before anything is read: reading a device may change it.
        match self.step {
            Step::Move => {
                let from = self.source(cpu, instruction, source)?;
                let to = self.destination(cpu, destination)?;
                let value = cpu.load(&from);
                cpu.store(&to, value);
            }
            Step::Store => {
                let to = self.destination(cpu, destination)?;
                let value = cpu.register(accumulator).ok_or(Stop::Unsupported)?;
                cpu.store(&to, value);
            }
            Step::Load => {
                let from = self.source(cpu, instruction, source)?;
                let value = cpu.load(&from);
                registers::write(&mut cpu.registers, accumulator, value).ok_or(Stop::Unsupported)?;
            }
            Step::In { port } => {
                let to = self.destination(cpu, destination)?;
                let value = cpu.bus.read_port(port, self.bytes as u8);
                cpu.store(&to, value.into());
            }
            Step::Out { port } => {
                let from = self.source(cpu, instruction, source)?;
                let value = cpu.load(&from);
                cpu.bus.write_port(port, self.bytes as u8, value as u32);
            }
        }
        let forward = cpu.registers.rflags & DIRECTION == 0;
        let by = if forward { self.bytes as u64 } else { (self.bytes as u64).wrapping_neg() };
        if matches!(self.step, Step::Move | Step::Load | Step::Out { .. }) {
            source.step(cpu, by);
        }
        if matches!(self.step, Step::Move | Step::Store | Step::In { .. }) {
            destination.step(cpu, by);
        }
        Ok(())
    }

    fn source(self, cpu: &Cpu<'_>, instruction: &Instruction, index: IndexRegister) -> Result<Place, Stop> {
        Ok(cpu.place(instruction.memory_segment(), index.get(cpu), self.bytes, false)?)
    }

    /// No prefix changes the destination's segment.
    fn destination(self, cpu: &Cpu<'_>, index: IndexRegister) -> Result<Place, Stop> {
        Ok(cpu.place(Register::ES, index.get(cpu), self.bytes, true)?)
    }
}

/// RSI, RDI or RCX in the width of the instruction's addresses.
#[derive(Clone, Copy)]
struct IndexRegister {
    register: General,
    bytes: usize,
}

impl IndexRegister {
    fn get(self, cpu: &Cpu<'_>) -> u64 {
        truncate(cpu.registers.get(self.register), self.bytes)
    }

    /// Adds, wrapping. 16-bit addressing leaves the upper bits.
    fn step(self, cpu: &mut Cpu<'_>, by: u64) {
        let old = cpu.registers.get(self.register);
        let new = truncate(old.wrapping_add(by), self.bytes);
        let kept = if self.bytes == 2 { old & !0xffff } else { 0 };
        cpu.registers.set(self.register, kept | new);
    }
}

/// Bytes of the addresses that a string instruction uses.
fn address_bytes(instruction: &Instruction) -> Option<usize> {
    (0..instruction.op_count()).find_map(|operand| match instruction.op_kind(operand) {
        OpKind::MemorySegSI | OpKind::MemoryESDI => Some(2),
        OpKind::MemorySegESI | OpKind::MemoryESEDI => Some(4),
        OpKind::MemorySegRSI | OpKind::MemoryESRDI => Some(8),
        _ => None,
    })
}
