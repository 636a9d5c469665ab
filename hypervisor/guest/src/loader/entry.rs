//! How the first CPU starts, in 32-bit protected mode or in 64-bit mode, and the tables it starts with.

use alloc::{vec, vec::Vec};

use super::fields::put;
use crate::cpu::{Attributes, Control, CpuState, Debug, General, Msrs, Registers, Segment, Segments, Table};

/// Where the GDT lies.
pub(super) const GDT: u64 = 0x3000;
/// Where the page tables of the 64-bit entry lie: one of the fourth level, one of the third, four of the second.
pub(super) const PAGE_TABLES: u64 = 0x4000;
/// Their length.
pub(super) const PAGE_TABLES_BYTES: u64 = 6 * TABLE_BYTES;
const TABLE_BYTES: u64 = 4096;
/// Entries of a page table.
const TABLE_ENTRIES: u64 = 512;
/// What one second-level entry maps.
const LARGE_PAGE_BYTES: u64 = 2 << 20;
/// Present and writable, in an entry of a page table (APM vol. 2, 5.3).
const PRESENT_WRITABLE: u64 = 0b11;
/// Maps a large page instead of naming a table.
const LARGE_PAGE: u64 = 1 << 7;

/// The selectors of the GDT. Linux's boot protocol asks for the 64-bit code segment at 0x10 and data at 0x18.
const CODE_32: u16 = 0x08;
const CODE_64: u16 = 0x10;
const DATA: u16 = 0x18;
const TASK: u16 = 0x20;
/// The descriptors, flat, in the order of the selectors; the first is the null descriptor (APM vol. 2, 4.8).
const DESCRIPTORS: [u64; 5] =
    [0, 0x00cf_9b00_0000_ffff, 0x00af_9b00_0000_ffff, 0x00cf_9300_0000_ffff, 0x0000_8b00_0000_0067];

/// CR0: protection, and the x87's extension type, which cannot be 0.
const CR0_PE: u64 = 1 << 0;
const CR0_ET: u64 = 1 << 4;
const CR0_PG: u64 = 1 << 31;
const CR4_PAE: u64 = 1 << 5;
const EFER_LME: u64 = 1 << 8;
const EFER_LMA: u64 = 1 << 10;
/// XCR0 at reset: x87 state.
const XCR0_X87: u64 = 1;
/// RFLAGS with nothing set but the bit that always is.
const RFLAGS_RESET: u64 = 1 << 1;
/// Debug registers and PAT at reset (APM vol. 2, table 14-1).
const DR6_RESET: u64 = 0xffff_0ff0;
const DR7_RESET: u64 = 0x400;
const PAT_RESET: u64 = 0x0007_0406_0007_0406;

/// The legacy area and the header of an XSAVE area (APM vol. 2, 11.5.2).
const XSAVE_BYTES: usize = 576;
/// The x87 control word after FNINIT: all exceptions masked, 64-bit precision.
const FCW_INIT: u16 = 0x037f;
const MXCSR_AT: usize = 24;
/// MXCSR at reset: all exceptions masked.
const MXCSR_RESET: u32 = 0x1f80;

/// The state at a PVH entry: 32-bit protected mode, no paging, EBX with the address of `hvm_start_info`.
pub(super) fn protected_mode(entry: u32, start_info: u64) -> CpuState {
    let mut registers = Registers { rip: entry.into(), rflags: RFLAGS_RESET, ..Registers::default() };
    registers.set(General::Rbx, start_info);
    let control = Control { cr0: CR0_PE | CR0_ET, xcr0: XCR0_X87, ..Control::default() };
    start(registers, control, code(CODE_32, Attributes::DEFAULT_32))
}

/// The state at Linux's 64-bit entry: 64-bit mode on [`identity_map`], RSI with the address of `boot_params`.
pub(super) fn long_mode(entry: u64, boot_params: u64) -> CpuState {
    let mut registers = Registers { rip: entry, rflags: RFLAGS_RESET, ..Registers::default() };
    registers.set(General::Rsi, boot_params);
    let control = Control {
        cr0: CR0_PE | CR0_ET | CR0_PG,
        cr3: PAGE_TABLES,
        cr4: CR4_PAE,
        efer: EFER_LME | EFER_LMA,
        xcr0: XCR0_X87,
        ..Control::default()
    };
    start(registers, control, code(CODE_64, Attributes::LONG))
}

fn start(registers: Registers, control: Control, cs: Segment) -> CpuState {
    let data = Segment {
        selector: DATA,
        // Writable data, accessed.
        attributes: flat(0x3) | Attributes::DEFAULT_32,
        limit: u32::MAX,
        base: 0,
    };
    // A busy 32-bit TSS and an empty LDT.
    let tr = Segment { selector: TASK, attributes: system(0xb), limit: 0x67, base: 0 };
    let ldtr = Segment { selector: 0, attributes: system(0x2), limit: 0, base: 0 };
    CpuState {
        registers,
        segments: Segments { es: data, cs, ss: data, ds: data, fs: data, gs: data, ldtr, tr },
        gdtr: Table { limit: (size_of_val(&DESCRIPTORS) - 1) as u16, base: GDT },
        idtr: Table::default(),
        control,
        debug: Debug { dr6: DR6_RESET, dr7: DR7_RESET, ..Debug::default() },
        msrs: Msrs { pat: PAT_RESET, ..Msrs::default() },
        fpu: fpu_init(),
        ..CpuState::default()
    }
}

/// A flat code segment (readable, accessed) of the given `width`.
fn code(selector: u16, width: Attributes) -> Segment {
    Segment { selector, attributes: flat(0xb) | width, limit: u32::MAX, base: 0 }
}

fn flat(kind: u16) -> Attributes {
    system(kind) | Attributes::CODE_OR_DATA | Attributes::GRANULARITY
}

fn system(kind: u16) -> Attributes {
    Attributes::from_bits_retain(kind) | Attributes::PRESENT
}

/// The FPU as it is initialized: no state component is in use, so that an XRSTOR initializes all of them.
fn fpu_init() -> Vec<u8> {
    let mut area = vec![0; XSAVE_BYTES];
    put(&mut area, 0, FCW_INIT.to_le_bytes());
    put(&mut area, MXCSR_AT, MXCSR_RESET.to_le_bytes());
    area
}

/// The GDT.
pub(super) fn gdt() -> Vec<u8> {
    DESCRIPTORS.iter().flat_map(|descriptor| descriptor.to_le_bytes()).collect()
}

/// Page tables for [`PAGE_TABLES`] that map the first 4 GiB to themselves in pages of 2 MiB.
pub(super) fn identity_map() -> Vec<u8> {
    let third = PAGE_TABLES + TABLE_BYTES;
    let second = third + TABLE_BYTES;
    let mut bytes = vec![0; PAGE_TABLES_BYTES as usize];
    let mut entry = |at: u64, value: u64| put(&mut bytes, (at - PAGE_TABLES) as usize, value.to_le_bytes());
    entry(PAGE_TABLES, third | PRESENT_WRITABLE);
    for gib in 0..4 {
        entry(third + gib * 8, (second + gib * TABLE_BYTES) | PRESENT_WRITABLE);
    }
    for page in 0..4 * TABLE_ENTRIES {
        entry(second + page * 8, (page * LARGE_PAGE_BYTES) | LARGE_PAGE | PRESENT_WRITABLE);
    }
    bytes
}
