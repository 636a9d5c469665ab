//! Where an operand in memory lies.

use arrayvec::ArrayVec;

use crate::GuestAddress;

/// The guest-physical pieces of one operand of 1, 2, 4 or 8 bytes: two where it crosses a page.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Place {
    pub(super) pieces: ArrayVec<Piece, 2>,
    /// Bytes of the operand.
    pub(super) bytes: usize,
}

/// Bytes of an operand that follow each other in guest-physical memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Piece {
    pub(super) at: GuestAddress,
    pub(super) bytes: usize,
}

/// The low `bytes` bytes of `value`.
pub(super) const fn truncate(value: u64, bytes: usize) -> u64 {
    if bytes >= 8 { value } else { value & ((1 << (bytes * 8)) - 1) }
}

/// `value` of `bytes` bytes, its sign carried up to bit 63.
pub(super) const fn sign_extend(value: u64, bytes: usize) -> u64 {
    if bytes >= 8 || bytes == 0 {
        return value;
    }
    let unused = 64 - bytes as u32 * 8;
    ((value << unused) as i64 >> unused) as u64
}
