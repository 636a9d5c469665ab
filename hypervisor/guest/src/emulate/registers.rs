//! Registers by the decoder's names.

use iced_x86::Register;

use super::place::truncate;
use crate::cpu::{Registers, Segments};

/// A register that instructions compute with, or a selector; `None` where it is no such register.
pub(super) fn read(registers: &Registers, segments: &Segments, register: Register) -> Option<u64> {
    if register.is_segment_register() {
        return Some(super::segment::select(segments, register).selector.into());
    }
    let slot = registers.general.get(number(register)?)?;
    let value = if is_high_byte(register) { slot >> 8 } else { *slot };
    Some(truncate(value, register.size()))
}

/// Writes a general register as an instruction's result: 32 bits clear the rest, 8 and 16 leave it. `None` where it is
/// none.
pub(super) fn write(registers: &mut Registers, register: Register, value: u64) -> Option<()> {
    let slot = registers.general.get_mut(number(register)?)?;
    let (shift, mask) = match register.size() {
        1 if is_high_byte(register) => (8, 0xff00),
        1 => (0, 0xff),
        2 => (0, 0xffff),
        4 => {
            *slot = truncate(value, 4);
            return Some(());
        }
        _ => (0, u64::MAX),
    };
    *slot = (*slot & !mask) | ((value << shift) & mask);
    Some(())
}

/// The number that encodings give the 64-bit register around it.
fn number(register: Register) -> Option<usize> {
    register.is_gpr().then(|| register.full_register().number())
}

const fn is_high_byte(register: Register) -> bool {
    matches!(register, Register::AH | Register::BH | Register::CH | Register::DH)
}
