//! What can be wrong with a start info, in words for a person.

use core::fmt;

use godwit_host::boot::MAX_MODULES;

use super::MAGIC;

/// Why there is no usable boot information at all.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StartInfoError {
    /// The structure itself cannot be read.
    Unreadable {
        /// Where it should be.
        address: u64,
    },
    /// The address holds something else.
    BadMagic {
        /// What stands in place of [`MAGIC`].
        found: u32,
    },
    /// Version 0 of the structure has no memory map, and version 1 gave none.
    NoMemoryMap {
        /// The structure's version.
        version: u32,
    },
    /// The memory map's first entry cannot be read.
    MemoryMapUnreadable {
        /// Where the map should be.
        address: u64,
    },
}

impl fmt::Display for StartInfoError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable { address } => {
                write!(f, "no PVH start info can be read at {address:#x}: start the image by its PVH entry")
            }
            Self::BadMagic { found } => {
                write!(
                    f,
                    "PVH start info has magic {found:#x}, not {MAGIC:#x}: start the image by its PVH entry"
                )
            }
            Self::NoMemoryMap { version } => write!(
                f,
                "PVH start info of version {version} has no memory map: use a loader that gives version 1 with a map"
            ),
            Self::MemoryMapUnreadable { address } => {
                write!(f, "the memory map of the PVH start info cannot be read at {address:#x}")
            }
        }
    }
}

impl core::error::Error for StartInfoError {}

/// Something in the structure that was cut, dropped or left out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Problem {
    /// The memory map is shorter than it says: only the first `read` of `listed` entries can be read.
    MemoryMapCut {
        /// Entries that were read.
        read: usize,
        /// Entries that the structure lists.
        listed: u32,
    },
    /// The command line cannot be read to its end; what was read is kept.
    CommandLineUnreadable {
        /// Physical address of the first byte that cannot be read.
        address: u64,
    },
    /// The list of modules cannot be read from entry `index` on.
    ModuleListCut {
        /// The first entry that cannot be read.
        index: usize,
    },
    /// More modules than are supported; the last `count` were dropped.
    ModulesDropped {
        /// How many.
        count: u32,
    },
    /// A module that ends beyond the physical address space was dropped.
    ModuleOutOfRange {
        /// Its place in the list.
        index: usize,
    },
    /// A module's own command line cannot be read to its end; what was read is kept.
    ModuleNameUnreadable {
        /// The module's place in the list.
        index: usize,
    },
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MemoryMapCut { read, listed } => {
                write!(f, "memory map: only {read} of {listed} entries can be read")
            }
            Self::CommandLineUnreadable { address } => {
                write!(f, "command line: cannot be read from {address:#x} on; what comes before is kept")
            }
            Self::ModuleListCut { index } => {
                write!(f, "boot modules: the list cannot be read from module {index} on")
            }
            Self::ModulesDropped { count } => {
                write!(f, "boot modules: {count} beyond the first {MAX_MODULES} were dropped")
            }
            Self::ModuleOutOfRange { index } => {
                write!(
                    f,
                    "boot modules: module {index} ends beyond the physical address space and was dropped"
                )
            }
            Self::ModuleNameUnreadable { index } => {
                write!(f, "boot modules: the name of module {index} cannot be read to its end")
            }
        }
    }
}
