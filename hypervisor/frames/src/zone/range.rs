//! Ranges by name: taking them, giving them back, and what can be allocated at all. Orders 9 to 18.

use super::{Part, Zone};
use crate::block::{BLOCK_FRAMES, Mobility};
use crate::buddies::{self, TOP};
use crate::error::RangeError;
use crate::frame::{FrameRange, HostFrame};
use crate::header::Header;

/// A piece of a range: a part of one block, or an aligned power of two of whole blocks.
enum Piece {
    Part(Part),
    Blocks { block: usize, level: u32 },
}

impl Zone<'_> {
    /// Takes `2^level` whole blocks; returns their first frame's number.
    pub(crate) fn allocate_large(&mut self, level: u32, mobility: Mobility) -> Option<u64> {
        let block = self.take_vacant(level, mobility)?;
        self.lend(block, level, mobility);
        Some(self.frame_of(block))
    }

    /// Gives back what [`allocate_large`](Self::allocate_large) took.
    pub(crate) fn free_large(&mut self, start: u64, level: u32) {
        self.give_blocks(self.block_of(start), level);
    }

    /// Takes exactly the frames of `range`, which lies in the zone.
    pub(crate) fn allocate_at(&mut self, range: FrameRange, mobility: Mobility) -> Result<(), RangeError> {
        let start = range.start.number();
        for part in self.parts(start, range.frames) {
            if let Some(frame) = self.first_with(part, false) {
                return Err(in_use(frame));
            }
        }
        self.take_range(start, range.frames, mobility);
        Ok(())
    }

    /// Takes frames that are all free.
    pub(crate) fn take_range(&mut self, start: u64, frames: u64, mobility: Mobility) {
        self.for_pieces(start, frames, |zone, piece| match piece {
            Piece::Part(part) => zone.take_part(part, mobility),
            Piece::Blocks { block, level } => zone.take_blocks(block, level, mobility),
        });
    }

    /// Gives back frames of a run, which are all in use.
    pub(crate) fn give_range(&mut self, start: u64, frames: u64) {
        self.for_pieces(start, frames, |zone, piece| match piece {
            Piece::Part(part) => zone.give_part(part),
            Piece::Blocks { block, level } => zone.give_blocks(block, level),
        });
    }

    /// Makes reserved frames free; see [`Frames::release`](crate::Frames::release).
    pub(crate) fn release(&mut self, range: FrameRange) -> Result<u64, RangeError> {
        let start = range.start.number();
        for part in self.parts(start, range.frames) {
            // A bit that is not set means used or reserved. Only where nothing is used is it surely the latter.
            if self.table.header(part.block).used() != 0 {
                return Err(in_use(self.frame_of(part.block).max(start)));
            }
            if let Some(frame) = self.first_with(part, true) {
                return Err(RangeError::AlreadyFree { frame: HostFrame::new(frame) });
            }
        }
        for part in self.parts(start, range.frames) {
            let old = self.table.header(part.block);
            let reopened = self.reopened(part.block);
            self.set_bits(part);
            let level = buddies::largest_level(&self.bitmaps[part.block]).unwrap_or(0).min(TOP - 1);
            let new = reopened
                .with_level(level)
                .with_free(reopened.free() + part.count)
                .with_reserved_frames(reopened.reserved_frames() - part.count);
            self.settle(part.block, old, new);
        }
        self.total_frames += range.frames;
        Ok(range.frames)
    }

    /// Takes free frames out for good; see [`Frames::reserve`](crate::Frames::reserve).
    pub(crate) fn reserve(&mut self, range: FrameRange) -> Result<u64, RangeError> {
        let start = range.start.number();
        for part in self.parts(start, range.frames) {
            if self.table.header(part.block).used() != 0
                && let Some(frame) = self.first_with(part, false)
            {
                return Err(in_use(frame));
            }
        }
        let mut taken = 0;
        for part in self.parts(start, range.frames) {
            let bits = self.bits(part.block);
            let free: u32 = buddies::masks(part.first, part.count)
                .map(|(word, mask)| (bits[word] & mask).count_ones())
                .sum();
            if free == 0 {
                continue;
            }
            let old = self.table.header(part.block);
            let opened = self.opened(part.block, old.mobility());
            for (word, mask) in buddies::masks(part.first, part.count) {
                self.bitmaps[part.block][word] &= !mask;
            }
            let new =
                opened.with_free(opened.free() - free).with_reserved_frames(opened.reserved_frames() + free);
            self.settle(part.block, old, new);
            taken += u64::from(free);
        }
        self.total_frames -= taken;
        Ok(taken)
    }

    /// Takes frames of one block that are all free.
    fn take_part(&mut self, part: Part, mobility: Mobility) {
        let opened = self.opened(part.block, mobility);
        self.take_bits(part, opened);
    }

    /// Takes frames out of a block's bitmap, the block's header being prepared for that.
    pub(super) fn take_bits(&mut self, part: Part, opened: Header) {
        for (word, mask) in buddies::masks(part.first, part.count) {
            let word = &mut self.bitmaps[part.block][word];
            debug_assert!(*word & mask == mask, "a frame is taken twice");
            *word &= !mask;
        }
        let old = self.table.header(part.block);
        self.settle(part.block, old, opened.with_free(opened.free() - part.count));
    }

    fn give_part(&mut self, part: Part) {
        let old = self.table.header(part.block);
        let reopened = self.reopened(part.block);
        self.set_bits(part);
        let level = buddies::largest_level(&self.bitmaps[part.block]).unwrap_or(0).min(TOP - 1);
        let new = reopened.with_free(reopened.free() + part.count).with_level(level);
        self.settle(part.block, old, new);
    }

    fn set_bits(&mut self, part: Part) {
        for (word, mask) in buddies::masks(part.first, part.count) {
            let word = &mut self.bitmaps[part.block][word];
            debug_assert!(*word & mask == 0, "a frame comes back twice");
            *word |= mask;
        }
    }

    fn take_blocks(&mut self, block: usize, level: u32, mobility: Mobility) {
        self.vacancy.take(self.place_of(block), level);
        self.lend(block, level, mobility);
    }

    /// Hands out whole blocks that the vacancy has given.
    fn lend(&mut self, block: usize, level: u32, mobility: Mobility) {
        self.free_frames -= BLOCK_FRAMES << level;
        for block in block..block + (1 << level) {
            let header = self.table.header(block);
            debug_assert!(header.is_vacant(), "a block is taken that is not vacant");
            self.table.set_unlisted(block, header.with_free(0).with_mobility(mobility).lent());
        }
    }

    fn give_blocks(&mut self, block: usize, level: u32) {
        for block in block..block + (1 << level) {
            let header = self.table.header(block);
            debug_assert!(header.used() == BLOCK_FRAMES as u32, "a block comes back that is not in use");
            self.table.set_unlisted(block, header.with_free(BLOCK_FRAMES as u32).returned());
        }
        self.vacancy.give(self.place_of(block), level);
        self.free_frames += BLOCK_FRAMES << level;
    }

    /// The number of the part's first frame that is free, or is not.
    fn first_with(&self, part: Part, free: bool) -> Option<u64> {
        let bits = self.bits(part.block);
        let invert = if free { 0 } else { u64::MAX };
        buddies::masks(part.first, part.count).find_map(|(word, mask)| {
            let found = (bits[word] ^ invert) & mask;
            let frame = self.frame_of(part.block) + word as u64 * 64 + u64::from(found.trailing_zeros());
            (found != 0).then_some(frame)
        })
    }

    /// Cuts a range into pieces, lowest first.
    fn for_pieces(&mut self, start: u64, frames: u64, mut visit: impl FnMut(&mut Self, Piece)) {
        let end = start + frames;
        let mut at = start;
        while at < end {
            let block = self.block_of(at);
            let blocks = (end - at) / BLOCK_FRAMES;
            let piece = if at.is_multiple_of(BLOCK_FRAMES) && blocks > 0 {
                let level = self.place_of(block).trailing_zeros().min(blocks.ilog2()).min(TOP);
                at += BLOCK_FRAMES << level;
                Piece::Blocks { block, level }
            } else {
                let first = (at % BLOCK_FRAMES) as u32;
                let count = (end - at).min(BLOCK_FRAMES - u64::from(first)) as u32;
                at += u64::from(count);
                Piece::Part(Part { block, first, count })
            };
            visit(self, piece);
        }
    }
}

/// The zone does not know what CPU handles keep at hand; its caller adds that.
const fn in_use(frame: u64) -> RangeError {
    RangeError::InUse { frame: HostFrame::new(frame), cached_frames_at_most: 0 }
}
