//! The invariants of a zone, checked: for self-tests, which may hold the lock as long as they need.

use core::fmt;

use super::Zone;
use crate::buddies;
use crate::frame::HostFrame;
use crate::header::List;

/// An invariant of the allocator that does not hold: a defect of the allocator or of memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Unsound {
    /// What does not hold.
    pub what: &'static str,
    /// The first frame of the block, GiB or zone where it does not.
    pub at: HostFrame,
}

impl fmt::Display for Unsound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {:?}", self.what, self.at)
    }
}

impl core::error::Error for Unsound {}

impl Zone<'_> {
    /// Checks every invariant; takes time proportional to the zone.
    pub(crate) fn audit(&self) -> Result<(), Unsound> {
        let (mut free, mut total, mut listed) = (0, 0, 0);
        for block in 0..self.block_count() {
            self.audit_block(block)?;
            let header = self.table.header(block);
            free += u64::from(header.free());
            total += 512 - u64::from(header.reserved_frames());
            listed += usize::from(header.list() != List::NONE);
        }
        let zone = |holds: bool, what| self.check(holds, what, 0);
        zone(free == self.free_frames, "the sum of free frames is off")?;
        zone(total == self.total_frames, "the sum of frames is off")?;
        zone(self.audit_lists()? == listed, "a block is not on its list")?;
        zone(self.vacancy.is_sound(), "the counts of vacant buddies are off")?;
        Ok(())
    }

    fn audit_block(&self, block: usize) -> Result<(), Unsound> {
        let header = self.table.header(block);
        let holds = |holds: bool, what| self.check(holds, what, block);
        holds(header.free() + header.reserved_frames() <= 512, "a block has more than 512 frames")?;
        holds(buddies::count(self.bits(block)) == header.free(), "the count of free frames is off")?;
        holds(self.table.is_indexed(block), "the index by level is off")?;
        if header.has_bitmap() {
            let largest = buddies::largest_level(self.bits(block)).unwrap_or(0);
            holds(largest <= header.level(), "the level is below the largest free buddy")?;
            holds(!header.is_vacant(), "a vacant block is owned")?;
        }
        let place = self.place_of(block);
        let vacant = self.vacancy.bits(place / 512)[place % 512 / 64] >> (place % 64) & 1 == 1;
        holds(vacant == header.is_vacant(), "the vacancy does not know the block")
    }

    /// Walks all lists; returns how many blocks are on them.
    fn audit_lists(&self) -> Result<usize, Unsound> {
        let mut count = 0;
        for list in List::all() {
            let mut before = None;
            let mut next = self.table.first(list);
            self.check(self.table.is_marked(list) == next.is_some(), "a list's mark is off", 0)?;
            while let Some(block) = next {
                let here = self.table.header(block).list() == list;
                self.check(here, "a block is on a list that is not its own", block)?;
                self.check(self.table.previous(block) == before, "a back link is off", block)?;
                // A ring would go on for ever: more links than blocks are one.
                count += 1;
                self.check(count <= self.block_count(), "a list runs in a ring", block)?;
                before = next;
                next = self.table.next(block);
            }
        }
        Ok(count)
    }

    fn check(&self, holds: bool, what: &'static str, block: usize) -> Result<(), Unsound> {
        if holds { Ok(()) } else { Err(Unsound { what, at: HostFrame::new(self.frame_of(block)) }) }
    }
}
