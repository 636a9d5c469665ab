//! PUSH and POP whose operand lies in memory.

use iced_x86::{Instruction, Register};

use super::{cpu::Cpu, operand::Stop, place::truncate, segment::CodeSize};
use crate::cpu::{Attributes, General};

pub(super) fn push(cpu: &mut Cpu<'_>, instruction: &Instruction, bytes: usize) -> Result<(), Stop> {
    let source = cpu.find(instruction, 0, bytes, false)?;
    let top = moved(cpu, (bytes as u64).wrapping_neg());
    let target = cpu.place(Register::SS, truncate(top, pointer_bytes(cpu)), bytes, true)?;
    let value = cpu.read(&source, bytes)?;
    cpu.store(&target, value);
    cpu.registers.set(General::Rsp, top);
    Ok(())
}

/// An address with RSP in it is computed after RSP has moved (APM vol. 3, POP).
pub(super) fn pop(cpu: &mut Cpu<'_>, instruction: &Instruction, bytes: usize) -> Result<(), Stop> {
    let top = truncate(cpu.registers.get(General::Rsp), pointer_bytes(cpu));
    let source = cpu.place(Register::SS, top, bytes, false)?;
    cpu.registers.set(General::Rsp, moved(cpu, bytes as u64));
    let destination = cpu.find(instruction, 0, bytes, true)?;
    let value = cpu.load(&source);
    cpu.write(&destination, value)
}

/// RSP moved by `bytes`, wrapping within the bits that the stack segment uses.
fn moved(cpu: &Cpu<'_>, bytes: u64) -> u64 {
    let old = cpu.registers.get(General::Rsp);
    match pointer_bytes(cpu) {
        2 => (old & !0xffff) | truncate(old.wrapping_add(bytes), 2),
        size => truncate(old.wrapping_add(bytes), size),
    }
}

/// Bytes of the stack pointer in use.
fn pointer_bytes(cpu: &Cpu<'_>) -> usize {
    if CodeSize::of(&cpu.system) == CodeSize::Bits64 {
        8
    } else if cpu.system.segments.ss.attributes.contains(Attributes::DEFAULT_32) {
        4
    } else {
        2
    }
}
