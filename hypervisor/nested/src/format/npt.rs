//! AMD nested paging: the format of long-mode page tables (APM vol. 2, 15.25 and 5.4.1).

use super::Format;
use crate::Rights;

/// Nested page tables of AMD processors.
///
/// Each access of a guest counts as one from user mode, so every entry has the user bit (APM vol. 2, 15.25.5). Rights
/// without [`Rights::EXECUTE`] need `EFER.NXE` in the host, else bit 63 is reserved. The memory type is PAT entry 0: write-back
/// after reset, and the guest's own type is joined with it (15.25.8).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Npt;

const WRITE: u64 = 1 << 1;
const USER: u64 = 1 << 2;
const NO_EXECUTE: u64 = 1 << 63;

impl Format for Npt {
    const PRESENT: u64 = 1;
    const TABLE: u64 = Self::PRESENT | WRITE | USER;
    const LARGE: u64 = 1 << 7;
    const ACCESSED: u64 = 1 << 5;
    const DIRTY: u64 = 1 << 6;

    fn leaf(rights: Rights) -> u64 {
        let write = if rights.contains(Rights::WRITE) { WRITE } else { 0 };
        let no_execute = if rights.contains(Rights::EXECUTE) { 0 } else { NO_EXECUTE };
        Self::PRESENT | USER | write | no_execute
    }

    fn rights(leaf: u64) -> Rights {
        let mut rights = Rights::empty();
        rights.set(Rights::WRITE, leaf & WRITE != 0);
        rights.set(Rights::EXECUTE, leaf & NO_EXECUTE == 0);
        rights
    }
}
