//! What each instruction does.

use iced_x86::{Instruction, Mnemonic, OpKind, Register};

use super::{
    arithmetic::{Outcome, STATUS, add, logic, subtract},
    bits::CARRY,
    cpu::Cpu,
    operand::{Operand, Stop},
    place::{Place, sign_extend},
};

/// Carries out an instruction that is no string instruction. All faults come before the first effect.
pub(super) fn execute(cpu: &mut Cpu<'_>, instruction: &Instruction) -> Result<(), Stop> {
    let bytes = instruction.memory_size().size();
    if !matches!(bytes, 1 | 2 | 4 | 8) {
        return Err(Stop::Unsupported);
    }
    match instruction.mnemonic() {
        Mnemonic::Mov | Mnemonic::Movnti | Mnemonic::Movbe => transfer(cpu, instruction, bytes),
        Mnemonic::Movzx => widen(cpu, instruction, bytes, |value, _| value),
        Mnemonic::Movsx | Mnemonic::Movsxd => widen(cpu, instruction, bytes, sign_extend),
        Mnemonic::Add
        | Mnemonic::Adc
        | Mnemonic::Sub
        | Mnemonic::Sbb
        | Mnemonic::Cmp
        | Mnemonic::And
        | Mnemonic::Or
        | Mnemonic::Xor
        | Mnemonic::Test => binary(cpu, instruction, bytes),
        Mnemonic::Inc | Mnemonic::Dec | Mnemonic::Not | Mnemonic::Neg => unary(cpu, instruction, bytes),
        Mnemonic::Xchg | Mnemonic::Xadd => exchange(cpu, instruction, bytes),
        Mnemonic::Cmpxchg => compare_exchange(cpu, instruction, bytes),
        Mnemonic::Bt | Mnemonic::Bts | Mnemonic::Btr | Mnemonic::Btc => bit(cpu, instruction, bytes),
        Mnemonic::Push => super::stack::push(cpu, instruction, bytes),
        Mnemonic::Pop => super::stack::pop(cpu, instruction, bytes),
        _ => Err(Stop::Unsupported),
    }
}

/// MOV, MOVNTI, MOVBE, except to a segment register.
fn transfer(cpu: &mut Cpu<'_>, instruction: &Instruction, bytes: usize) -> Result<(), Stop> {
    let source = cpu.find(instruction, 1, bytes, false)?;
    let destination = cpu.find(instruction, 0, bytes, true)?;
    if matches!(&destination, Operand::Register(register) if !register.is_gpr()) {
        return Err(Stop::Unsupported);
    }
    let mut value = cpu.read(&source, bytes)?;
    if instruction.mnemonic() == Mnemonic::Movbe {
        value = value.swap_bytes() >> (64 - bytes * 8);
    }
    cpu.write(&destination, value)
}

/// MOVZX, MOVSX, MOVSXD: `bytes` is the source's.
fn widen(
    cpu: &mut Cpu<'_>,
    instruction: &Instruction,
    bytes: usize,
    extend: fn(u64, usize) -> u64,
) -> Result<(), Stop> {
    let source = cpu.find(instruction, 1, bytes, false)?;
    let destination = cpu.find(instruction, 0, bytes, true)?;
    let value = cpu.read(&source, bytes)?;
    cpu.write(&destination, extend(value, bytes))
}

/// Instructions of two operands whose result goes to the first.
fn binary(cpu: &mut Cpu<'_>, instruction: &Instruction, bytes: usize) -> Result<(), Stop> {
    let mnemonic = instruction.mnemonic();
    let keeps = matches!(mnemonic, Mnemonic::Cmp | Mnemonic::Test);
    let destination = cpu.find(instruction, 0, bytes, !keeps)?;
    let source = cpu.find(instruction, 1, bytes, false)?;
    let (a, b) = (cpu.read(&destination, bytes)?, cpu.read(&source, bytes)?);
    let carry = cpu.registers.rflags & CARRY != 0;
    let outcome = match mnemonic {
        Mnemonic::Add => add(a, b, false, bytes),
        Mnemonic::Adc => add(a, b, carry, bytes),
        Mnemonic::Sub | Mnemonic::Cmp => subtract(a, b, false, bytes),
        Mnemonic::Sbb => subtract(a, b, carry, bytes),
        Mnemonic::And | Mnemonic::Test => logic(a & b, bytes),
        Mnemonic::Or => logic(a | b, bytes),
        Mnemonic::Xor => logic(a ^ b, bytes),
        _ => return Err(Stop::Unsupported),
    };
    if !keeps {
        cpu.write(&destination, outcome.value)?;
    }
    cpu.set_flags(outcome.flags, STATUS);
    Ok(())
}

/// INC and DEC leave the carry, NOT leaves all flags.
fn unary(cpu: &mut Cpu<'_>, instruction: &Instruction, bytes: usize) -> Result<(), Stop> {
    let operand = cpu.find(instruction, 0, bytes, true)?;
    let value = cpu.read(&operand, bytes)?;
    let (outcome, changed) = match instruction.mnemonic() {
        Mnemonic::Inc => (add(value, 1, false, bytes), STATUS & !CARRY),
        Mnemonic::Dec => (subtract(value, 1, false, bytes), STATUS & !CARRY),
        Mnemonic::Neg => (subtract(0, value, false, bytes), STATUS),
        Mnemonic::Not => (Outcome { value: !value, flags: 0 }, 0),
        _ => return Err(Stop::Unsupported),
    };
    cpu.write(&operand, outcome.value)?;
    cpu.set_flags(outcome.flags, changed);
    Ok(())
}

/// XCHG and XADD. The memory operand is the first one in every encoding that the decoder gives.
fn exchange(cpu: &mut Cpu<'_>, instruction: &Instruction, bytes: usize) -> Result<(), Stop> {
    let first = cpu.find(instruction, 0, bytes, true)?;
    let second = cpu.find(instruction, 1, bytes, true)?;
    let (a, b) = (cpu.read(&first, bytes)?, cpu.read(&second, bytes)?);
    if instruction.mnemonic() == Mnemonic::Xadd {
        let sum = add(a, b, false, bytes);
        cpu.write(&second, a)?;
        cpu.write(&first, sum.value)?;
        cpu.set_flags(sum.flags, STATUS);
    } else {
        cpu.write(&first, b)?;
        cpu.write(&second, a)?;
    }
    Ok(())
}

/// CMPXCHG: the destination is written in either case (APM vol. 3).
fn compare_exchange(cpu: &mut Cpu<'_>, instruction: &Instruction, bytes: usize) -> Result<(), Stop> {
    let accumulator = Operand::Register(match bytes {
        1 => Register::AL,
        2 => Register::AX,
        4 => Register::EAX,
        _ => Register::RAX,
    });
    let destination = cpu.find(instruction, 0, bytes, true)?;
    let source = cpu.find(instruction, 1, bytes, false)?;
    let expected = cpu.read(&accumulator, bytes)?;
    let found = cpu.read(&destination, bytes)?;
    if expected == found {
        let new = cpu.read(&source, bytes)?;
        cpu.write(&destination, new)?;
    } else {
        cpu.write(&destination, found)?;
        cpu.write(&accumulator, found)?;
    }
    cpu.set_flags(subtract(expected, found, false, bytes).flags, STATUS);
    Ok(())
}

/// BT, BTS, BTR, BTC. A register as bit number is signed and reaches beyond the operand.
fn bit(cpu: &mut Cpu<'_>, instruction: &Instruction, bytes: usize) -> Result<(), Stop> {
    let width = bytes as u64 * 8;
    let keeps = instruction.mnemonic() == Mnemonic::Bt;
    let number = cpu.find(instruction, 1, bytes, false)?;
    let number = sign_extend(cpu.read(&number, bytes)?, bytes);
    let place = if instruction.op_kind(1) == OpKind::Register {
        bit_string(cpu, instruction, number, bytes, !keeps)?
    } else {
        match cpu.find(instruction, 0, bytes, !keeps)? {
            Operand::Memory(place) => place,
            _ => return Err(Stop::Unsupported),
        }
    };
    let value = cpu.load(&place);
    let bit = 1 << (number % width);
    let new = match instruction.mnemonic() {
        Mnemonic::Bts => Some(value | bit),
        Mnemonic::Btr => Some(value & !bit),
        Mnemonic::Btc => Some(value ^ bit),
        _ => None,
    };
    if let Some(new) = new {
        cpu.store(&place, new);
    }
    cpu.set_flags(if value & bit != 0 { CARRY } else { 0 }, CARRY);
    Ok(())
}

/// The operand that holds bit `number` of the string at the memory operand.
fn bit_string(
    cpu: &Cpu<'_>,
    instruction: &Instruction,
    number: u64,
    bytes: usize,
    write: bool,
) -> Result<Place, Stop> {
    let units = (number as i64).div_euclid(bytes as i64 * 8);
    let base = cpu.offset(instruction, 0).ok_or(Stop::Unsupported)?;
    let offset = base.wrapping_add(units.wrapping_mul(bytes as i64) as u64);
    let offset = super::place::truncate(offset, cpu.address_bytes(instruction));
    Ok(cpu.place(instruction.memory_segment(), offset, bytes, write)?)
}

impl Cpu<'_> {
    /// Replaces the flags of `mask`.
    fn set_flags(&mut self, flags: u64, mask: u64) {
        self.registers.rflags = (self.registers.rflags & !mask) | (flags & mask);
    }

    /// Bytes of the addresses that the instruction computes.
    fn address_bytes(&self, instruction: &Instruction) -> usize {
        let base = instruction.memory_base();
        let named = if base == Register::None { instruction.memory_index() } else { base };
        match (named.size(), instruction.memory_displ_size()) {
            (size @ (2 | 4 | 8), _) => size,
            (_, size @ (2 | 4 | 8)) => size as usize,
            _ => 8,
        }
    }
}
