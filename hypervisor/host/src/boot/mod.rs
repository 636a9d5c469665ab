//! What a boot path hands over, in one neutral shape: PVH now, another path is one file more in the machine.

pub mod memory_map;

use arrayvec::{ArrayString, ArrayVec};

pub use memory_map::{MemoryMap, TooLittleMemory};

/// Memory map entries a boot path can hand over; more are dropped and counted.
pub const MAX_REGIONS: usize = 128;
/// Boot modules a boot path can hand over.
pub const MAX_MODULES: usize = 16;
/// Bytes of the command line that are kept.
pub const MAX_COMMAND_LINE: usize = 2048;

/// How the image was started.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BootPath {
    /// PVH: a 32-bit entry named by an ELF note (Xen `docs/misc/pvh.pandoc`).
    Pvh,
}

/// What a region of the physical address space holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RegionKind {
    /// Ordinary RAM, free to use.
    Usable,
    /// Not RAM for us: firmware, devices, anything unknown.
    Reserved,
    /// ACPI tables, RAM once they have been read.
    AcpiReclaimable,
    /// ACPI non-volatile storage: never touched.
    AcpiNonVolatile,
    /// RAM that the firmware found faulty.
    Unusable,
}

/// One entry of the firmware's memory map, as it came: it may be empty, odd, overlapping or out of order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MemoryRegion {
    /// Physical address of the first byte.
    pub start: u64,
    /// Length in bytes.
    pub bytes: u64,
    /// What it holds.
    pub kind: RegionKind,
}

/// A file that the boot loader put into memory beside the image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Module {
    /// Physical address of its first byte.
    pub start: u64,
    /// Length in bytes.
    pub bytes: u64,
    /// The module's own command line, cut at 64 bytes.
    pub name: ArrayString<64>,
}

/// Everything the boot path told us.
#[derive(Clone, Debug)]
pub struct BootInfo {
    /// How the image was started.
    pub path: BootPath,
    /// The raw memory map, in the firmware's order.
    pub regions: ArrayVec<MemoryRegion, MAX_REGIONS>,
    /// Entries of the memory map beyond [`MAX_REGIONS`].
    pub regions_dropped: usize,
    /// The image's own command line; bytes that are not UTF-8 are replaced.
    pub command_line: ArrayString<MAX_COMMAND_LINE>,
    /// Whether the command line was longer than what is kept.
    pub command_line_cut: bool,
    /// Physical address of the ACPI root pointer, where the boot path names it.
    pub rsdp: Option<u64>,
    /// Boot modules.
    pub modules: ArrayVec<Module, MAX_MODULES>,
}
