//! Bits of control registers and flags that decide how an instruction is carried out (APM vol. 2, 3.1).

/// CR0.PE: protected mode.
pub(super) const CR0_PROTECTED: u64 = 1;
/// CR0.WP: the supervisor cannot write read-only pages.
pub(super) const CR0_WRITE_PROTECT: u64 = 1 << 16;
/// CR0.PG: paging.
pub(super) const CR0_PAGING: u64 = 1 << 31;

/// CR4.PSE: 4 MiB pages in 32-bit paging.
pub(super) const CR4_LARGE_PAGES: u64 = 1 << 4;
/// CR4.PAE: 8-byte page-table entries.
pub(super) const CR4_PAE: u64 = 1 << 5;
/// CR4.SMEP: the supervisor does not execute the user's pages.
pub(super) const CR4_SMEP: u64 = 1 << 20;
/// CR4.SMAP: the supervisor touches the user's pages only with RFLAGS.AC.
pub(super) const CR4_SMAP: u64 = 1 << 21;

/// EFER.LMA: long mode is active.
pub(super) const EFER_LONG: u64 = 1 << 10;
/// EFER.NXE: page-table entries have a no-execute bit.
pub(super) const EFER_NO_EXECUTE: u64 = 1 << 11;

/// RFLAGS.CF.
pub(super) const CARRY: u64 = 1;
/// RFLAGS.PF.
pub(super) const PARITY: u64 = 1 << 2;
/// RFLAGS.AF.
pub(super) const ADJUST: u64 = 1 << 4;
/// RFLAGS.ZF.
pub(super) const ZERO: u64 = 1 << 6;
/// RFLAGS.SF.
pub(super) const SIGN: u64 = 1 << 7;
/// RFLAGS.TF.
pub(super) const SINGLE_STEP: u64 = 1 << 8;
/// RFLAGS.DF.
pub(super) const DIRECTION: u64 = 1 << 10;
/// RFLAGS.OF.
pub(super) const OVERFLOW: u64 = 1 << 11;
/// RFLAGS.RF: ends with every instruction that completes.
pub(super) const RESUME: u64 = 1 << 16;
/// RFLAGS.VM: virtual-8086 mode.
pub(super) const VIRTUAL_8086: u64 = 1 << 17;
/// RFLAGS.AC: suspends SMAP.
pub(super) const ACCESS: u64 = 1 << 18;
