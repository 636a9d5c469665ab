//! The control area: what the host asks for, and what the processor answers (APM vol. 2, table B-1).

use core::mem::offset_of;

use bitflags::bitflags;

use crate::svm::intercepts::{Exceptions, First, Second};

bitflags! {
    /// Parts of the block that the processor may take from its cache instead of memory (APM vol. 2, 15.15.4).
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    #[repr(transparent)]
    pub struct Clean: u32 {
        /// Intercepts, time stamp counter offset, pause filter.
        const INTERCEPTS = 1 << 0;
        /// Base addresses of the permission maps.
        const PERMISSION_MAPS = 1 << 1;
        /// Address space identifier.
        const ASID = 1 << 2;
        /// Virtual interrupt, task priority, masking.
        const VIRTUAL_INTERRUPT = 1 << 3;
        /// Nested paging: on or off, root, G_PAT.
        const NESTED_PAGING = 1 << 4;
        /// CR0, CR3, CR4, EFER.
        const CONTROL_REGISTERS = 1 << 5;
        /// DR6, DR7.
        const DEBUG_REGISTERS = 1 << 6;
        /// GDTR, IDTR.
        const DESCRIPTOR_TABLES = 1 << 7;
        /// CS, DS, SS, ES and the privilege level.
        const SEGMENTS = 1 << 8;
        /// CR2.
        const CR2 = 1 << 9;
    }
}

bitflags! {
    /// The virtual interrupt word at offset 0x60; the task priority is its lowest 4 bits.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    #[repr(transparent)]
    pub struct VirtualInterrupt: u64 {
        /// V_TPR: the task priority, as CR8 has it.
        const TASK_PRIORITY = 0xf;
        /// V_IRQ: a virtual interrupt is pending.
        const PENDING = 1 << 8;
        /// V_INTR_PRIO: its priority.
        const PRIORITY = 0xf << 16;
        /// V_IGN_TPR: whatever the task priority is.
        const IGNORE_TASK_PRIORITY = 1 << 20;
        /// V_INTR_MASKING: RFLAGS.IF and CR8 are the guest's own and mask no interrupt of the host's.
        const MASKING = 1 << 24;
        /// V_INTR_VECTOR.
        const VECTOR = 0xff << 32;
    }
}

/// What the processor does to cached translations at the next entry (APM vol. 2, 15.16.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum TlbControl {
    /// Nothing.
    Keep = 0,
    /// Drops those of all address spaces, the host's included.
    FlushAll = 1,
    /// Drops this guest's.
    FlushThis = 3,
}

/// The shadow bit of the word at offset 0x68: interrupts are held off for one instruction.
pub const INTERRUPT_SHADOW: u64 = 1;
/// The enabling bit of the word at offset 0x90.
pub const NESTED_PAGING: u64 = 1;

/// The control area.
#[repr(C)]
#[derive(Clone, Debug)]
#[expect(
    missing_docs,
    reason = "the fields are those of the manual's table, by its names; the others are private"
)]
pub struct Control {
    /// CR reads (low half) and writes (high half).
    pub intercept_cr: u32,
    /// DR reads (low half) and writes (high half).
    pub intercept_dr: u32,
    pub intercept_exceptions: Exceptions,
    pub intercept_first: First,
    pub intercept_second: Second,
    pub intercept_third: u32,
    reserved_18: [u8; 0x3c - 0x18],
    pub pause_filter_threshold: u16,
    pub pause_filter_count: u16,
    /// Physical address of the I/O permission map.
    pub iopm_base: u64,
    /// Physical address of the MSR permission map.
    pub msrpm_base: u64,
    pub tsc_offset: u64,
    /// Address space identifier; 0 is the host's.
    pub asid: u32,
    /// A [`TlbControl`].
    pub tlb_control: u8,
    reserved_5d: [u8; 3],
    pub virtual_interrupt: VirtualInterrupt,
    pub interrupt_state: u64,
    pub exit_code: u64,
    pub exit_info_1: u64,
    pub exit_info_2: u64,
    pub exit_interrupt_info: u64,
    pub nested_paging: u64,
    avic_bar: u64,
    ghcb: u64,
    pub event_injection: u64,
    /// Physical address of the nested tables' root.
    pub nested_cr3: u64,
    pub lbr_virtualization: u64,
    pub clean: Clean,
    reserved_c4: u32,
    /// Where the next instruction begins, where the processor saves it.
    pub next_rip: u64,
    pub fetched_bytes: u8,
    pub instruction: [u8; 15],
    reserved_e0: [u8; 0x400 - 0xe0],
}

const _: () = {
    assert!(offset_of!(Control, intercept_exceptions) == 0x08);
    assert!(offset_of!(Control, intercept_first) == 0x0c);
    assert!(offset_of!(Control, intercept_second) == 0x10);
    assert!(offset_of!(Control, intercept_third) == 0x14);
    assert!(offset_of!(Control, pause_filter_threshold) == 0x3c);
    assert!(offset_of!(Control, iopm_base) == 0x40);
    assert!(offset_of!(Control, msrpm_base) == 0x48);
    assert!(offset_of!(Control, tsc_offset) == 0x50);
    assert!(offset_of!(Control, asid) == 0x58);
    assert!(offset_of!(Control, tlb_control) == 0x5c);
    assert!(offset_of!(Control, virtual_interrupt) == 0x60);
    assert!(offset_of!(Control, interrupt_state) == 0x68);
    assert!(offset_of!(Control, exit_code) == 0x70);
    assert!(offset_of!(Control, exit_info_1) == 0x78);
    assert!(offset_of!(Control, exit_info_2) == 0x80);
    assert!(offset_of!(Control, exit_interrupt_info) == 0x88);
    assert!(offset_of!(Control, nested_paging) == 0x90);
    assert!(offset_of!(Control, event_injection) == 0xa8);
    assert!(offset_of!(Control, nested_cr3) == 0xb0);
    assert!(offset_of!(Control, lbr_virtualization) == 0xb8);
    assert!(offset_of!(Control, clean) == 0xc0);
    assert!(offset_of!(Control, next_rip) == 0xc8);
    assert!(offset_of!(Control, fetched_bytes) == 0xd0);
    assert!(offset_of!(Control, instruction) == 0xd1);
    assert!(size_of::<Control>() == 0x400);
};

impl Control {
    /// All zero: nothing intercepted, nothing pending, nothing clean.
    pub const fn zero() -> Self {
        Self {
            intercept_cr: 0,
            intercept_dr: 0,
            intercept_exceptions: Exceptions::empty(),
            intercept_first: First::empty(),
            intercept_second: Second::empty(),
            intercept_third: 0,
            reserved_18: [0; _],
            pause_filter_threshold: 0,
            pause_filter_count: 0,
            iopm_base: 0,
            msrpm_base: 0,
            tsc_offset: 0,
            asid: 0,
            tlb_control: TlbControl::Keep as u8,
            reserved_5d: [0; _],
            virtual_interrupt: VirtualInterrupt::empty(),
            interrupt_state: 0,
            exit_code: 0,
            exit_info_1: 0,
            exit_info_2: 0,
            exit_interrupt_info: 0,
            nested_paging: 0,
            avic_bar: 0,
            ghcb: 0,
            event_injection: 0,
            nested_cr3: 0,
            lbr_virtualization: 0,
            clean: Clean::empty(),
            reserved_c4: 0,
            next_rip: 0,
            fetched_bytes: 0,
            instruction: [0; _],
            reserved_e0: [0; _],
        }
    }
}
