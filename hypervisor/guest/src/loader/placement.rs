//! Who has which part of the guest's memory while a plan is made.

use alloc::vec::Vec;

use super::{InitrdProblem, KernelProblem, PlacedTables};
use crate::{
    GuestAddress,
    layout::{E820Kind, LEGACY_HOLE, LOW_RAM_END, MemoryLayout, Region},
};

/// An initial RAM disk begins on a page.
const PAGE_BYTES: u64 = 4096;

/// The ACPI tables lie outside the legacy hole, or their root pointer outside them.
pub(super) struct MisplacedTables;

/// A guest's memory and what of it is taken.
pub(super) struct Placement<'l> {
    layout: &'l MemoryLayout,
    taken: Vec<Region>,
    /// Where the loader's own data ends.
    boot_data_end: u64,
}

impl<'l> Placement<'l> {
    /// All memory of `layout`, of which the loader takes what lies below `boot_data_end` for itself.
    pub(super) fn new(layout: &'l MemoryLayout, boot_data_end: u64) -> Self {
        Self { layout, taken: Vec::new(), boot_data_end }
    }

    /// Takes the place of the ACPI tables.
    pub(super) fn claim_reserved(&self, tables: PlacedTables<'_>) -> Result<(), MisplacedTables> {
        let hole =
            Region { start: GuestAddress(LEGACY_HOLE.start), bytes: LEGACY_HOLE.end - LEGACY_HOLE.start };
        let all = Region { start: tables.at, bytes: tables.bytes.len() as u64 };
        // Nothing else is ever placed in the hole: it is reserved in the guest's memory map.
        let fits = hole.holds(all.start.0, all.bytes) && all.holds(tables.rsdp.0, 1);
        if fits { Ok(()) } else { Err(MisplacedTables) }
    }

    /// Takes `start..start + bytes` for a part of the kernel, of which `what` says which.
    pub(super) fn claim(&mut self, what: &'static str, start: u64, bytes: u64) -> Result<(), KernelProblem> {
        let misplaced = |taken| KernelProblem::Misplaced { what, start: GuestAddress(start), bytes, taken };
        let end = start.checked_add(bytes).ok_or_else(|| misplaced("no address is"))?;
        let map = self.layout.e820();
        let mut usable = map.iter().filter(|entry| entry.kind == E820Kind::Usable);
        if !usable.any(|entry| entry.region.holds(start, bytes)) {
            if start >= LEGACY_HOLE.end && end > self.layout.low_end() && end <= LOW_RAM_END {
                let needed_bytes = end.next_multiple_of(MemoryLayout::STEP_BYTES);
                let memory_bytes = self.layout.memory_bytes();
                return Err(KernelProblem::TooLarge { needed_bytes, memory_bytes });
            }
            return Err(misplaced("the guest has no RAM to use"));
        }
        if start < self.boot_data_end {
            return Err(misplaced("the boot data lies"));
        }
        if self.taken.iter().any(|other| start < other.end() && other.start.0 < end) {
            return Err(misplaced("another part of it lies"));
        }
        self.taken.push(Region { start: GuestAddress(start), bytes });
        Ok(())
    }

    /// Takes the highest place of `bytes` bytes that begins on a page and ends at `end` and below 3 GiB at most: there it
    /// is out of the way of a kernel that grows behind its own end.
    pub(super) fn place_high(&mut self, bytes: u64, end: u64) -> Result<Region, InitrdProblem> {
        let mut end = end.min(self.layout.low_end());
        let mut room_bytes = 0;
        loop {
            // The part that is taken highest below `end`, and the free room above it.
            let below = self.taken.iter().filter(|part| part.start.0 < end).max_by_key(|part| part.end());
            let floor = below.map_or(LEGACY_HOLE.end, |part| part.end()).next_multiple_of(PAGE_BYTES);
            let room = end.saturating_sub(floor.max(LEGACY_HOLE.end));
            room_bytes = room_bytes.max(room);
            if room >= bytes {
                // `floor` is a multiple of a page, so rounding down does not pass it.
                let start = (end - bytes) / PAGE_BYTES * PAGE_BYTES;
                let place = Region { start: GuestAddress(start), bytes };
                self.taken.push(place);
                return Ok(place);
            }
            match below {
                Some(part) => end = part.start.0,
                None => return Err(InitrdProblem::TooLarge { bytes, room_bytes }),
            }
        }
    }
}
