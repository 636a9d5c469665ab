//! Where a guest's RAM lies, and what the guest is told about it.

use arrayvec::ArrayVec;

use crate::GuestAddress;

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// RAM below this address at most; what is more lies from [`HIGH_RAM`] on. Between them are the devices.
pub const LOW_RAM_END: u64 = 3 * GIB;
/// Where RAM that does not fit below the devices begins.
pub const HIGH_RAM: u64 = 4 * GIB;
/// The legacy hole, end exclusive: video memory and firmware on a PC. It is RAM here, so that the first GiB can be one leaf of the
/// nested tables, but the guest is told to leave it alone: the ACPI tables lie there.
pub const LEGACY_HOLE: core::ops::Range<u64> = 0xa_0000..0x10_0000;

/// A range of guest-physical addresses.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Region {
    /// The first byte.
    pub start: GuestAddress,
    /// Length in bytes, never 0.
    pub bytes: u64,
}

impl Region {
    /// The first address behind it. No region of a layout ends beyond 2^40.
    pub const fn end(self) -> u64 {
        self.start.0.saturating_add(self.bytes)
    }

    /// Whether all of `start..start + bytes` lies inside.
    pub fn holds(self, start: u64, bytes: u64) -> bool {
        start >= self.start.0 && start.checked_add(bytes).is_some_and(|end| end <= self.end())
    }
}

/// What the guest may do with a range of memory (ACPI 6.5, table 15.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub enum E820Kind {
    /// Use it.
    Usable = 1,
    /// Leave it alone.
    Reserved = 2,
}

/// One range of the memory map that the guest is given.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct E820Entry {
    /// The range.
    pub region: Region,
    /// What it is for.
    pub kind: E820Kind,
}

/// An amount of memory that no guest can have.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum LayoutError {
    /// Less than [`MemoryLayout::MIN_BYTES`].
    #[error("memory of {bytes} bytes is too little for a guest: give at least {} MiB", MemoryLayout::MIN_BYTES / MIB)]
    TooSmall {
        /// The amount asked for.
        bytes: u64,
    },
    /// More than [`MemoryLayout::MAX_BYTES`].
    #[error("memory of {bytes} bytes is more than a guest can address: give at most {} GiB", MemoryLayout::MAX_BYTES / GIB)]
    TooLarge {
        /// The amount asked for.
        bytes: u64,
    },
    /// Not whole leaves of 2 MiB.
    #[error("memory of {bytes} bytes is no multiple of 2 MiB: give {} or {} MiB", below / MIB, below / MIB + 2)]
    Odd {
        /// The amount asked for.
        bytes: u64,
        /// The next lower amount that is possible.
        below: u64,
    },
}

/// Where a guest's RAM lies: from 0 up to at most 3 GiB, and the rest from 4 GiB on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MemoryLayout {
    memory_bytes: u64,
    regions: ArrayVec<Region, 2>,
}

impl MemoryLayout {
    /// The least memory of a guest.
    pub const MIN_BYTES: u64 = 8 * MIB;
    /// The most memory of a guest: with the GiB of devices it ends at 1 TiB, the end of the baseline's 40-bit addresses.
    pub const MAX_BYTES: u64 = 1023 * GIB;
    /// Memory comes in leaves of this size.
    pub const STEP_BYTES: u64 = 2 * MIB;

    /// The layout of `memory_bytes` of RAM.
    ///
    /// # Errors
    /// [`LayoutError`] says which amounts are possible.
    pub fn new(memory_bytes: u64) -> Result<Self, LayoutError> {
        let bytes = memory_bytes;
        if bytes < Self::MIN_BYTES {
            return Err(LayoutError::TooSmall { bytes });
        }
        if bytes > Self::MAX_BYTES {
            return Err(LayoutError::TooLarge { bytes });
        }
        if !bytes.is_multiple_of(Self::STEP_BYTES) {
            return Err(LayoutError::Odd { bytes, below: bytes - bytes % Self::STEP_BYTES });
        }
        let low = bytes.min(LOW_RAM_END);
        let mut regions = ArrayVec::new();
        regions.push(Region { start: GuestAddress(0), bytes: low });
        if bytes > low {
            regions.push(Region { start: GuestAddress(HIGH_RAM), bytes: bytes - low });
        }
        Ok(Self { memory_bytes, regions })
    }

    /// All RAM in bytes.
    pub const fn memory_bytes(&self) -> u64 {
        self.memory_bytes
    }

    /// The ranges of RAM, lowest first. The legacy hole is part of the first.
    pub fn regions(&self) -> &[Region] {
        &self.regions
    }

    /// Where the RAM below the devices ends.
    pub const fn low_end(&self) -> u64 {
        if self.memory_bytes < LOW_RAM_END { self.memory_bytes } else { LOW_RAM_END }
    }

    /// The memory map for the guest, lowest range first: RAM, with the legacy hole reserved.
    pub fn e820(&self) -> ArrayVec<E820Entry, 4> {
        let entry = |start: u64, end: u64, kind| E820Entry {
            region: Region { start: GuestAddress(start), bytes: end - start },
            kind,
        };
        let mut entries = ArrayVec::new();
        entries.push(entry(0, LEGACY_HOLE.start, E820Kind::Usable));
        entries.push(entry(LEGACY_HOLE.start, LEGACY_HOLE.end, E820Kind::Reserved));
        entries.push(entry(LEGACY_HOLE.end, self.low_end(), E820Kind::Usable));
        for high in self.regions.iter().skip(1) {
            entries.push(E820Entry { region: *high, kind: E820Kind::Usable });
        }
        entries
    }
}

#[cfg(test)]
mod tests;
