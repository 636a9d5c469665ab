//! Results and flags of integer arithmetic on 1, 2, 4 or 8 bytes (APM vol. 3, 1.5 and 3).

use super::{
    bits::{ADJUST, CARRY, OVERFLOW, PARITY, SIGN, ZERO},
    place::{sign_extend, truncate},
};

/// All flags that arithmetic sets.
pub(super) const STATUS: u64 = CARRY | PARITY | ADJUST | ZERO | SIGN | OVERFLOW;

/// A result and the status flags that go with it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Outcome {
    pub(super) value: u64,
    pub(super) flags: u64,
}

/// `a + b + carry`.
pub(super) fn add(a: u64, b: u64, carry: bool, bytes: usize) -> Outcome {
    let wide = u128::from(a) + u128::from(b) + u128::from(carry);
    let value = truncate(wide as u64, bytes);
    let carried = wide >> (bytes * 8) != 0;
    // Both operands have the sign that the result lacks.
    let overflow = (a ^ value) & (b ^ value) & sign_bit(bytes) != 0;
    Outcome { value, flags: flags(value, bytes, carried, overflow, (a ^ b ^ value) & 0x10 != 0) }
}

/// `a - b - borrow`.
pub(super) fn subtract(a: u64, b: u64, borrow: bool, bytes: usize) -> Outcome {
    let value = truncate(a.wrapping_sub(b).wrapping_sub(borrow.into()), bytes);
    let borrowed = u128::from(a) < u128::from(b) + u128::from(borrow);
    // The operands differ in sign and the result has the second one's.
    let overflow = (a ^ b) & (a ^ value) & sign_bit(bytes) != 0;
    Outcome { value, flags: flags(value, bytes, borrowed, overflow, (a ^ b ^ value) & 0x10 != 0) }
}

/// A result of AND, OR, XOR or TEST: carry, overflow and adjust are clear.
pub(super) fn logic(value: u64, bytes: usize) -> Outcome {
    Outcome { value, flags: flags(value, bytes, false, false, false) }
}

fn flags(value: u64, bytes: usize, carry: bool, overflow: bool, adjust: bool) -> u64 {
    let flag = |set: bool, bit: u64| if set { bit } else { 0 };
    flag(carry, CARRY)
        | flag((value as u8).count_ones().is_multiple_of(2), PARITY)
        | flag(adjust, ADJUST)
        | flag(value == 0, ZERO)
        | flag((sign_extend(value, bytes) as i64) < 0, SIGN)
        | flag(overflow, OVERFLOW)
}

const fn sign_bit(bytes: usize) -> u64 {
    1 << (bytes * 8 - 1)
}
