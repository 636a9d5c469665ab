//! Xen's `hvm_start_info`, the structure EBX points to at a PVH entry, as [`BootInfo`].
//!
//! Layout: Xen `xen/include/public/arch-x86/hvm/start_info.h`. All fields are little-endian.
//!
//! Nothing here allocates: it runs before there is a heap.
#![forbid(unsafe_code)]

use arrayvec::{ArrayString, ArrayVec};
use godwit_host::boot::{
    BootInfo, BootPath, MAX_COMMAND_LINE, MAX_MODULES, MAX_REGIONS, MemoryRegion, Module, RegionKind,
};

pub use self::errors::{Problem, StartInfoError};
use self::text::read_text;
use crate::{
    fields::{u32_at, u64_at},
    physical::{PHYSICAL_END, PhysicalMemory},
};

mod errors;
#[cfg(test)]
mod tests;
mod text;

/// `XEN_HVM_START_MAGIC_VALUE`: "xEn3" with the top bit of the E set.
pub const MAGIC: u32 = 0x336e_c578;
/// Bytes of the structure in version 0.
const HEADER_V0_BYTES: usize = 40;
/// Bytes that version 1 adds: the memory map.
const HEADER_V1_MORE_BYTES: usize = 16;
/// Bytes of one `hvm_modlist_entry`.
const MODULE_ENTRY_BYTES: u64 = 32;
/// Bytes of one `hvm_memmap_table_entry`.
const MEMORY_MAP_ENTRY_BYTES: u64 = 24;
/// Bytes of a module's own command line that are kept.
const MAX_MODULE_NAME: usize = 64;
/// Ranges of boot data there can be: the structure, three tables or strings, and two for each module.
pub const MAX_OCCUPIED: usize = 4 + 2 * MAX_MODULES;
/// Kinds of [`Problem`] times how often one start_info can show it.
const MAX_PROBLEMS: usize = 4 + 2 * MAX_MODULES;

/// What the boot loader left, in neutral form, with where it lies and what was wrong with it. About 8 KiB.
#[derive(Clone, Debug)]
pub struct Handover {
    /// The neutral boot information.
    pub info: BootInfo,
    /// Memory that boot data occupies, in no order: keep it from the allocator while it is needed. No range
    /// is empty, and none ends beyond 2^52.
    pub occupied: ArrayVec<Occupied, MAX_OCCUPIED>,
    /// What could not be taken over as it was given; boot goes on.
    pub problems: ArrayVec<Problem, MAX_PROBLEMS>,
}

/// A range of physical memory that holds boot data.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Occupied {
    /// Physical address of the first byte.
    pub start: u64,
    /// Length in bytes, at least 1.
    pub bytes: u64,
    /// What lies there.
    pub what: BootData,
}

/// What a range of boot data holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BootData {
    /// `hvm_start_info` itself.
    StartInfo,
    /// The memory map.
    MemoryMap,
    /// The list of modules.
    ModuleList,
    /// The image's command line, or a module's.
    CommandLine,
    /// A module's content.
    Module,
}

/// Reads the structure at physical address `start_info` and all it points to.
///
/// Reads are bounded: at most [`MAX_REGIONS`] map entries, [`MAX_MODULES`] modules and the kept bytes of each
/// string.
///
/// # Errors
/// [`StartInfoError`] where there is no structure or no memory map; anything less is a [`Problem`] in the
/// result.
pub fn read(memory: &impl PhysicalMemory, start_info: u64) -> Result<Handover, StartInfoError> {
    let header = Header::read(memory, start_info)?;
    let info = BootInfo {
        path: BootPath::Pvh,
        regions: ArrayVec::new(),
        regions_dropped: 0,
        command_line: ArrayString::new(),
        command_line_cut: false,
        rsdp: Some(header.rsdp).filter(|&address| address != 0),
        modules: ArrayVec::new(),
    };
    let mut handover = Handover { info, occupied: ArrayVec::new(), problems: ArrayVec::new() };
    handover.occupy(start_info, header.bytes, BootData::StartInfo);
    handover.read_memory_map(memory, &header)?;
    handover.read_command_line(memory, header.command_line);
    handover.read_modules(memory, &header);
    Ok(handover)
}

/// The fixed part of the structure. A null pointer is 0, as it comes.
struct Header {
    version: u32,
    bytes: u64,
    modules: u32,
    module_list: u64,
    command_line: u64,
    rsdp: u64,
    memory_map: u64,
    memory_map_entries: u32,
}

impl Header {
    fn read(memory: &impl PhysicalMemory, address: u64) -> Result<Self, StartInfoError> {
        let unreadable = StartInfoError::Unreadable { address };
        let v0: [u8; HEADER_V0_BYTES] = read_array(memory, address).ok_or(unreadable)?;
        let u32_of = |offset| u32_at(&v0, offset).ok_or(unreadable);
        let u64_of = |offset| u64_at(&v0, offset).ok_or(unreadable);
        let found = u32_of(0)?;
        if found != MAGIC {
            return Err(StartInfoError::BadMagic { found });
        }
        let version = u32_of(4)?;
        if version == 0 {
            return Err(StartInfoError::NoMemoryMap { version });
        }
        // Later versions only add fields at the end, so that 1 is a minimum.
        let at = address.checked_add(HEADER_V0_BYTES as u64).ok_or(unreadable)?;
        let v1: [u8; HEADER_V1_MORE_BYTES] = read_array(memory, at).ok_or(unreadable)?;
        Ok(Self {
            version,
            bytes: (HEADER_V0_BYTES + HEADER_V1_MORE_BYTES) as u64,
            // Offset 8 holds the SIF_ flags of a Xen domain, which mean nothing to a host.
            modules: u32_of(12)?,
            module_list: u64_of(16)?,
            command_line: u64_of(24)?,
            rsdp: u64_of(32)?,
            memory_map: u64_at(&v1, 0).ok_or(unreadable)?,
            memory_map_entries: u32_at(&v1, 8).ok_or(unreadable)?,
        })
    }
}

impl Handover {
    fn read_memory_map(
        &mut self,
        memory: &impl PhysicalMemory,
        header: &Header,
    ) -> Result<(), StartInfoError> {
        let listed = header.memory_map_entries;
        if header.memory_map == 0 || listed == 0 {
            return Err(StartInfoError::NoMemoryMap { version: header.version });
        }
        let wanted = (listed as usize).min(MAX_REGIONS);
        for index in 0..wanted {
            match read_region(memory, header.memory_map, index) {
                Some(region) => self.info.regions.push(region),
                None if index == 0 => {
                    return Err(StartInfoError::MemoryMapUnreadable { address: header.memory_map });
                }
                None => {
                    self.problem(Problem::MemoryMapCut { read: index, listed });
                    break;
                }
            }
        }
        self.info.regions_dropped = listed as usize - self.info.regions.len();
        let bytes = self.info.regions.len() as u64 * MEMORY_MAP_ENTRY_BYTES;
        self.occupy(header.memory_map, bytes, BootData::MemoryMap);
        Ok(())
    }

    fn read_command_line(&mut self, memory: &impl PhysicalMemory, address: u64) {
        if address == 0 {
            return;
        }
        let text = read_text::<MAX_COMMAND_LINE>(memory, address);
        self.occupy(address, text.bytes_read, BootData::CommandLine);
        if let Some(address) = text.unreadable_at {
            self.problem(Problem::CommandLineUnreadable { address });
        }
        self.info.command_line = text.text;
        self.info.command_line_cut = text.cut;
    }

    fn read_modules(&mut self, memory: &impl PhysicalMemory, header: &Header) {
        let wanted = (header.modules as usize).min(MAX_MODULES);
        if header.modules as usize > wanted {
            self.problem(Problem::ModulesDropped { count: header.modules - wanted as u32 });
        }
        let mut entries_read = 0;
        for index in 0..wanted {
            let entry = entry_address(header.module_list, index, MODULE_ENTRY_BYTES)
                .filter(|_| header.module_list != 0)
                .and_then(|address| ModuleEntry::read(memory, address));
            let Some(entry) = entry else {
                self.problem(Problem::ModuleListCut { index });
                break;
            };
            entries_read += 1;
            self.read_module(memory, index, &entry);
        }
        self.occupy(header.module_list, entries_read * MODULE_ENTRY_BYTES, BootData::ModuleList);
    }

    fn read_module(&mut self, memory: &impl PhysicalMemory, index: usize, entry: &ModuleEntry) {
        if entry.start.checked_add(entry.bytes).is_none_or(|end| end > PHYSICAL_END) {
            self.problem(Problem::ModuleOutOfRange { index });
            return;
        }
        let mut name = ArrayString::new();
        if entry.command_line != 0 {
            let text = read_text::<MAX_MODULE_NAME>(memory, entry.command_line);
            self.occupy(entry.command_line, text.bytes_read, BootData::CommandLine);
            if text.unreadable_at.is_some() {
                self.problem(Problem::ModuleNameUnreadable { index });
            }
            name = text.text;
        }
        self.occupy(entry.start, entry.bytes, BootData::Module);
        let module = Module { start: entry.start, bytes: entry.bytes, name };
        // The loop over the list stops at MAX_MODULES.
        let _ = self.info.modules.try_push(module);
    }

    fn occupy(&mut self, start: u64, bytes: u64, what: BootData) {
        if bytes != 0 && start.checked_add(bytes).is_some_and(|end| end <= PHYSICAL_END) {
            // MAX_OCCUPIED counts every call there can be.
            let _ = self.occupied.try_push(Occupied { start, bytes, what });
        }
    }

    fn problem(&mut self, problem: Problem) {
        // MAX_PROBLEMS counts every call there can be.
        let _ = self.problems.try_push(problem);
    }
}

/// One `hvm_modlist_entry`.
struct ModuleEntry {
    start: u64,
    bytes: u64,
    command_line: u64,
}

impl ModuleEntry {
    fn read(memory: &impl PhysicalMemory, address: u64) -> Option<Self> {
        let entry: [u8; MODULE_ENTRY_BYTES as usize] = read_array(memory, address)?;
        Some(Self { start: u64_at(&entry, 0)?, bytes: u64_at(&entry, 8)?, command_line: u64_at(&entry, 16)? })
    }
}

/// Entry `index` of the `hvm_memmap_table_entry` list at `map`.
fn read_region(memory: &impl PhysicalMemory, map: u64, index: usize) -> Option<MemoryRegion> {
    let address = entry_address(map, index, MEMORY_MAP_ENTRY_BYTES)?;
    let entry: [u8; MEMORY_MAP_ENTRY_BYTES as usize] = read_array(memory, address)?;
    // The types are those of E820: XEN_HVM_MEMMAP_TYPE_*. Disabled (6), persistent (7) and unknown memory is
    // not ours.
    let kind = match u32_at(&entry, 16)? {
        1 => RegionKind::Usable,
        3 => RegionKind::AcpiReclaimable,
        4 => RegionKind::AcpiNonVolatile,
        5 => RegionKind::Unusable,
        _ => RegionKind::Reserved,
    };
    Some(MemoryRegion { start: u64_at(&entry, 0)?, bytes: u64_at(&entry, 8)?, kind })
}

fn entry_address(list: u64, index: usize, entry_bytes: u64) -> Option<u64> {
    list.checked_add(index as u64 * entry_bytes)
}

fn read_array<const N: usize>(memory: &impl PhysicalMemory, address: u64) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    memory.read(address, &mut bytes).ok()?;
    Some(bytes)
}
