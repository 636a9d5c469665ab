//! Intel extended page tables (SDM vol. 3, 30.3.2).

use super::Format;
use crate::Rights;

/// Extended page tables of Intel processors.
///
/// Accessed and dirty marks are made only where the processor has them and the EPT pointer asks for them (bit 6; SDM vol. 3,
/// 30.3.5). Leaves are write-back, and the guest's own memory type is joined with it (30.3.7.2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ept;

const READ: u64 = 1;
const WRITE: u64 = 1 << 1;
const EXECUTE: u64 = 1 << 2;
/// Memory type 6, bits 5:3 of a leaf.
const WRITE_BACK: u64 = 6 << 3;

impl Format for Ept {
    const PRESENT: u64 = READ | WRITE | EXECUTE;
    const TABLE: u64 = READ | WRITE | EXECUTE;
    const LARGE: u64 = 1 << 7;
    const ACCESSED: u64 = 1 << 8;
    const DIRTY: u64 = 1 << 9;

    fn leaf(rights: Rights) -> u64 {
        let write = if rights.contains(Rights::WRITE) { WRITE } else { 0 };
        let execute = if rights.contains(Rights::EXECUTE) { EXECUTE } else { 0 };
        READ | WRITE_BACK | write | execute
    }

    fn rights(leaf: u64) -> Rights {
        let mut rights = Rights::empty();
        rights.set(Rights::WRITE, leaf & WRITE != 0);
        rights.set(Rights::EXECUTE, leaf & EXECUTE != 0);
        rights
    }
}
