//! From guest-virtual to guest-physical addresses, through the guest's own page tables (APM vol. 2, 5.2 to 5.6).
//!
//! Knows no paging, 32-bit paging with 4 MiB pages, PAE paging and 4-level paging; no baseline offers 5 levels or
//! protection keys. Addresses up to 52 bits count as valid in an entry: what lies beyond the guest's RAM is found out when
//! it is used.

use arrayvec::ArrayVec;

use super::bits::{
    ACCESS, CR0_PAGING, CR0_WRITE_PROTECT, CR4_LARGE_PAGES, CR4_PAE, CR4_SMAP, CR4_SMEP, EFER_LONG,
    EFER_NO_EXECUTE,
};
use crate::{GuestAddress, GuestMemory, cpu::Control, vcpu::SystemState};

const PRESENT: u64 = 1;
const WRITABLE: u64 = 1 << 1;
const USER: u64 = 1 << 2;
const ACCESSED: u64 = 1 << 5;
const DIRTY: u64 = 1 << 6;
const LARGE: u64 = 1 << 7;
const NO_EXECUTE: u64 = 1 << 63;
/// Bits 12 to 51 of an entry.
const ADDRESS: u64 = 0x000f_ffff_ffff_f000;
/// Bits that must be zero in a page-directory pointer of PAE paging: 1, 2 and 6 to 8. Bit 5 is reserved as well, but QEMU
/// 7.2 sets it as an accessed bit.
const PAE_POINTER_RESERVED: u64 = 0x1c6;
/// Bits 52 to 62: ignored in long mode, reserved in PAE paging.
const HIGH: u64 = 0x7ff0_0000_0000_0000;

/// Bits of a page fault's error code (APM vol. 2, 8.4.2).
mod code {
    pub(super) const PROTECTION: u32 = 1;
    pub(super) const WRITE: u32 = 1 << 1;
    pub(super) const USER: u32 = 1 << 2;
    pub(super) const RESERVED: u32 = 1 << 3;
    pub(super) const FETCH: u32 = 1 << 4;
}

/// What is to be done at an address.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Access {
    /// Write it.
    pub write: bool,
    /// Execute it.
    pub fetch: bool,
    /// At privilege level 3.
    pub user: bool,
}

/// Where an address leads.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Translation {
    /// The guest-physical address.
    pub address: GuestAddress,
    /// Bytes of the page that holds it: 4 KiB, 2 MiB, 4 MiB or 1 GiB; 4 KiB without paging.
    pub page_bytes: u64,
}

/// The tables do not allow the access.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PageFault {
    /// The guest-virtual address, for CR2.
    pub address: u64,
    /// The error code.
    pub error_code: u32,
}

/// Translates `address` (after segmentation; 32 bits of it outside long mode) for `access`, and marks the entries on the
/// way accessed and the page dirty, as the processor does.
///
/// Tables outside the guest's RAM read as all ones.
///
/// # Errors
/// [`PageFault`]; no entry was marked.
pub fn walk(
    system: &SystemState,
    rflags: u64,
    memory: &dyn GuestMemory,
    address: u64,
    access: Access,
) -> Result<Translation, PageFault> {
    walk_by(system, rflags, memory, address, access).map(|(found, _)| found)
}

/// As [`walk`], with the entries that led there.
pub(super) fn walk_by(
    system: &SystemState,
    rflags: u64,
    memory: &dyn GuestMemory,
    address: u64,
    access: Access,
) -> Result<(Translation, Entries), PageFault> {
    let control = &system.control;
    let Some(format) = Format::of(control) else {
        let found = Translation { address: GuestAddress(address), page_bytes: 4096 };
        return Ok((found, Entries::default()));
    };
    let no_execute = control.efer & EFER_NO_EXECUTE != 0 && format != Format::Legacy;
    let failed = |why: u32| PageFault {
        address,
        error_code: why
            | if access.write { code::WRITE } else { 0 }
            | if access.user { code::USER } else { 0 }
            | if access.fetch && (no_execute || control.cr4 & CR4_SMEP != 0) { code::FETCH } else { 0 },
    };

    let mut table = format.root(control.cr3);
    let mut rights = Rights { user: true, writable: true, executable: true };
    let mut entries = Entries { bytes: format.entry_bytes(), passed: ArrayVec::new() };
    for level in format.levels() {
        let at = GuestAddress(table + format.index(address, level.shift) * format.entry_bytes());
        let entry = format.read(memory, at);
        if entry & PRESENT == 0 {
            return Err(failed(0));
        }
        let large = level.shift > 12 && entry & LARGE != 0 && level.large.allowed(control);
        if entry & format.reserved(level, large, no_execute) != 0 {
            return Err(failed(code::PROTECTION | code::RESERVED));
        }
        if level.has_rights {
            rights.narrow(entry);
            entries.passed.push(Passed { at, entry });
        }
        if level.shift == 12 || large {
            if !rights.allow(control, rflags, access) {
                return Err(failed(code::PROTECTION));
            }
            mark(format, memory, &entries.passed, access.write);
            let offset_mask = (1 << level.shift) - 1;
            let page = format.page(entry, large) & !offset_mask;
            let found = Translation {
                address: GuestAddress(page | (address & offset_mask)),
                page_bytes: 1 << level.shift,
            };
            return Ok((found, entries));
        }
        table = entry & ADDRESS;
    }
    // Every format ends with a level of shift 12, which is a leaf.
    Err(failed(code::PROTECTION | code::RESERVED))
}

/// An entry that was used on the way.
#[derive(Clone, Copy, Debug)]
struct Passed {
    at: GuestAddress,
    entry: u64,
}

/// The entries that led somewhere; those of PAE paging's first level left out, which the processor reads with CR3.
#[derive(Clone, Debug, Default)]
pub(super) struct Entries {
    bytes: u64,
    passed: ArrayVec<Passed, 4>,
}

impl Entries {
    /// Whether all of them still are what they were, whatever has been marked accessed or dirty since.
    pub(super) fn still_hold(&self, memory: &dyn GuestMemory) -> bool {
        self.passed.iter().all(|Passed { at, entry }| {
            let mut now = [0; 8];
            let read = now.get_mut(..self.bytes as usize).is_some_and(|now| memory.read(*at, now).is_ok());
            read && (u64::from_le_bytes(now) ^ entry) & !(ACCESSED | DIRTY) == 0
        })
    }
}

/// Sets the accessed bits, and the last entry's dirty bit for a write.
fn mark(format: Format, memory: &dyn GuestMemory, passed: &[Passed], write: bool) {
    for (place, Passed { at, entry }) in passed.iter().enumerate() {
        let leaf = place + 1 == passed.len();
        let marked = entry | ACCESSED | if leaf && write { DIRTY } else { 0 };
        if marked != *entry {
            // Tables outside RAM keep no marks.
            let _ = memory.write(*at, &marked.to_le_bytes()[..format.entry_bytes() as usize]);
        }
    }
}

/// What all levels together allow.
struct Rights {
    user: bool,
    writable: bool,
    executable: bool,
}

impl Rights {
    fn narrow(&mut self, entry: u64) {
        self.user &= entry & USER != 0;
        self.writable &= entry & WRITABLE != 0;
        self.executable &= entry & NO_EXECUTE == 0;
    }

    fn allow(&self, control: &Control, rflags: u64, access: Access) -> bool {
        let supervisor_on_user = !access.user && self.user;
        if access.user && !self.user {
            return false;
        }
        if access.fetch {
            return self.executable && !(supervisor_on_user && control.cr4 & CR4_SMEP != 0);
        }
        if supervisor_on_user && control.cr4 & CR4_SMAP != 0 && rflags & ACCESS == 0 {
            return false;
        }
        !access.write || self.writable || (!access.user && control.cr0 & CR0_WRITE_PROTECT == 0)
    }
}

/// The three layouts of page tables.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Format {
    /// Two levels of 4-byte entries.
    Legacy,
    /// Three levels of 8-byte entries, the first with four of them.
    Pae,
    /// Four levels of 8-byte entries.
    Long,
}

/// One level of tables.
struct Level {
    /// Address bits below what one entry covers.
    shift: u32,
    /// Whether an entry can be a leaf above 4 KiB.
    large: Large,
    /// Whether its entries carry rights and an accessed bit.
    has_rights: bool,
}

/// When a large leaf is possible at a level.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Large {
    Never,
    Always,
    /// With CR4.PSE; else the bit is ignored.
    WithPse,
}

impl Large {
    fn allowed(self, control: &Control) -> bool {
        match self {
            Self::Never => false,
            Self::Always => true,
            Self::WithPse => control.cr4 & CR4_LARGE_PAGES != 0,
        }
    }
}

impl Format {
    fn of(control: &Control) -> Option<Self> {
        if control.cr0 & CR0_PAGING == 0 {
            None
        } else if control.efer & EFER_LONG != 0 {
            Some(Self::Long)
        } else if control.cr4 & CR4_PAE != 0 {
            Some(Self::Pae)
        } else {
            Some(Self::Legacy)
        }
    }

    const fn levels(self) -> &'static [Level] {
        const PAGE: Level = Level { shift: 12, large: Large::Never, has_rights: true };
        const PAGE_2M: Level = Level { shift: 21, large: Large::Always, has_rights: true };
        match self {
            Self::Legacy => &[Level { shift: 22, large: Large::WithPse, has_rights: true }, PAGE],
            Self::Pae => &[Level { shift: 30, large: Large::Never, has_rights: false }, PAGE_2M, PAGE],
            Self::Long => &[
                Level { shift: 39, large: Large::Never, has_rights: true },
                Level { shift: 30, large: Large::Always, has_rights: true },
                PAGE_2M,
                PAGE,
            ],
        }
    }

    fn root(self, cr3: u64) -> u64 {
        match self {
            Self::Legacy => cr3 & 0xffff_f000,
            // The four pointers are 32-byte aligned.
            Self::Pae => cr3 & 0xffff_ffe0,
            Self::Long => cr3 & ADDRESS,
        }
    }

    const fn entry_bytes(self) -> u64 {
        if matches!(self, Self::Legacy) { 4 } else { 8 }
    }

    fn index(self, address: u64, shift: u32) -> u64 {
        let entries: u64 = match self {
            Self::Legacy => 1024,
            Self::Pae if shift == 30 => 4,
            Self::Pae | Self::Long => 512,
        };
        (address >> shift) & (entries - 1)
    }

    fn read(self, memory: &dyn GuestMemory, at: GuestAddress) -> u64 {
        if self == Self::Legacy {
            let mut entry = [0; 4];
            memory.read(at, &mut entry).map_or(u64::from(u32::MAX), |()| u32::from_le_bytes(entry).into())
        } else {
            let mut entry = [0; 8];
            memory.read(at, &mut entry).map_or(u64::MAX, |()| u64::from_le_bytes(entry))
        }
    }

    /// Bits that must be zero in an entry.
    fn reserved(self, level: &Level, large: bool, no_execute: bool) -> u64 {
        let beside_address = match (self, large) {
            // Bit 21; bits 13 to 20 are bits 32 to 39 of the address.
            (Self::Legacy, true) => return 1 << 21,
            (Self::Legacy, false) => return 0,
            // Bit 12 is the page attribute table's.
            (_, true) => ((1 << level.shift) - 1) & !0x1fff,
            (Self::Pae, false) if level.shift == 30 => return PAE_POINTER_RESERVED | HIGH | NO_EXECUTE,
            (_, false) if level.shift == 39 => LARGE,
            (_, false) => 0,
        };
        let high = if self == Self::Pae { HIGH } else { 0 };
        beside_address | high | if no_execute { 0 } else { NO_EXECUTE }
    }

    /// The address in a leaf, with attribute bits still below it.
    fn page(self, entry: u64, large: bool) -> u64 {
        if self == Self::Legacy && large {
            (entry & 0xffc0_0000) | ((entry >> 13) & 0xff) << 32
        } else {
            entry & ADDRESS
        }
    }
}
