//! The state save area: the guest's registers that the processor loads and stores itself (APM vol. 2, table B-2).

use core::mem::offset_of;

use godwit_guest::cpu::{Attributes, Segment, Table};

/// A segment or descriptor-table register as the block holds it.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[expect(missing_docs, reason = "the names are the architecture's")]
pub struct SavedSegment {
    pub selector: u16,
    pub attributes: u16,
    pub limit: u32,
    pub base: u64,
}

impl From<Segment> for SavedSegment {
    fn from(segment: Segment) -> Self {
        let Segment { selector, attributes, limit, base } = segment;
        Self { selector, attributes: attributes.bits(), limit, base }
    }
}

impl From<SavedSegment> for Segment {
    fn from(saved: SavedSegment) -> Self {
        let SavedSegment { selector, attributes, limit, base } = saved;
        Self { selector, attributes: Attributes::from_bits_truncate(attributes), limit, base }
    }
}

impl From<Table> for SavedSegment {
    fn from(table: Table) -> Self {
        Self { selector: 0, attributes: 0, limit: u32::from(table.limit), base: table.base }
    }
}

impl From<SavedSegment> for Table {
    fn from(saved: SavedSegment) -> Self {
        Self { limit: saved.limit as u16, base: saved.base }
    }
}

/// The state save area.
#[repr(C)]
#[derive(Clone, Debug)]
#[expect(
    missing_docs,
    reason = "the fields are those of the manual's table, by its names; the others are private"
)]
pub struct Save {
    pub es: SavedSegment,
    pub cs: SavedSegment,
    pub ss: SavedSegment,
    pub ds: SavedSegment,
    pub fs: SavedSegment,
    pub gs: SavedSegment,
    pub gdtr: SavedSegment,
    pub ldtr: SavedSegment,
    pub idtr: SavedSegment,
    pub tr: SavedSegment,
    reserved_a0: [u8; 0xcb - 0xa0],
    /// Current privilege level.
    pub cpl: u8,
    reserved_cc: u32,
    pub efer: u64,
    reserved_d8: [u8; 0x148 - 0xd8],
    pub cr4: u64,
    pub cr3: u64,
    pub cr0: u64,
    pub dr7: u64,
    pub dr6: u64,
    pub rflags: u64,
    pub rip: u64,
    reserved_180: [u8; 0x1d8 - 0x180],
    pub rsp: u64,
    s_cet: u64,
    ssp: u64,
    isst_address: u64,
    pub rax: u64,
    pub star: u64,
    pub lstar: u64,
    pub cstar: u64,
    pub sfmask: u64,
    pub kernel_gs_base: u64,
    pub sysenter_cs: u64,
    pub sysenter_esp: u64,
    pub sysenter_eip: u64,
    pub cr2: u64,
    reserved_248: [u8; 0x268 - 0x248],
    /// The guest's PAT, with nested paging.
    pub g_pat: u64,
    reserved_270: [u8; 0xc00 - 0x270],
}

const _: () = {
    assert!(size_of::<SavedSegment>() == 0x10);
    assert!(offset_of!(Save, cs) == 0x10);
    assert!(offset_of!(Save, ss) == 0x20);
    assert!(offset_of!(Save, ds) == 0x30);
    assert!(offset_of!(Save, fs) == 0x40);
    assert!(offset_of!(Save, gs) == 0x50);
    assert!(offset_of!(Save, gdtr) == 0x60);
    assert!(offset_of!(Save, ldtr) == 0x70);
    assert!(offset_of!(Save, idtr) == 0x80);
    assert!(offset_of!(Save, tr) == 0x90);
    assert!(offset_of!(Save, cpl) == 0xcb);
    assert!(offset_of!(Save, efer) == 0xd0);
    assert!(offset_of!(Save, cr4) == 0x148);
    assert!(offset_of!(Save, cr3) == 0x150);
    assert!(offset_of!(Save, cr0) == 0x158);
    assert!(offset_of!(Save, dr7) == 0x160);
    assert!(offset_of!(Save, dr6) == 0x168);
    assert!(offset_of!(Save, rflags) == 0x170);
    assert!(offset_of!(Save, rip) == 0x178);
    assert!(offset_of!(Save, rsp) == 0x1d8);
    assert!(offset_of!(Save, rax) == 0x1f8);
    assert!(offset_of!(Save, star) == 0x200);
    assert!(offset_of!(Save, lstar) == 0x208);
    assert!(offset_of!(Save, cstar) == 0x210);
    assert!(offset_of!(Save, sfmask) == 0x218);
    assert!(offset_of!(Save, kernel_gs_base) == 0x220);
    assert!(offset_of!(Save, sysenter_cs) == 0x228);
    assert!(offset_of!(Save, sysenter_esp) == 0x230);
    assert!(offset_of!(Save, sysenter_eip) == 0x238);
    assert!(offset_of!(Save, cr2) == 0x240);
    assert!(offset_of!(Save, g_pat) == 0x268);
    assert!(size_of::<Save>() == 0xc00);
};

impl Save {
    /// All zero.
    pub const fn zero() -> Self {
        const NONE: SavedSegment = SavedSegment { selector: 0, attributes: 0, limit: 0, base: 0 };
        Self {
            es: NONE,
            cs: NONE,
            ss: NONE,
            ds: NONE,
            fs: NONE,
            gs: NONE,
            gdtr: NONE,
            ldtr: NONE,
            idtr: NONE,
            tr: NONE,
            reserved_a0: [0; _],
            cpl: 0,
            reserved_cc: 0,
            efer: 0,
            reserved_d8: [0; _],
            cr4: 0,
            cr3: 0,
            cr0: 0,
            dr7: 0,
            dr6: 0,
            rflags: 0,
            rip: 0,
            reserved_180: [0; _],
            rsp: 0,
            s_cet: 0,
            ssp: 0,
            isst_address: 0,
            rax: 0,
            star: 0,
            lstar: 0,
            cstar: 0,
            sfmask: 0,
            kernel_gs_base: 0,
            sysenter_cs: 0,
            sysenter_esp: 0,
            sysenter_eip: 0,
            cr2: 0,
            reserved_248: [0; _],
            g_pat: 0,
            reserved_270: [0; _],
        }
    }
}
