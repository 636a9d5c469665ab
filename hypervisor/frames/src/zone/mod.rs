//! One zone: everything known about a contiguous span of frames, behind one lock.
//!
//! A block of 2 MiB is *vacant* (all its frames free; the [`Vacancy`] knows it), *full* (none free) or
//! *mixed*. Mixed blocks are on lists by class and number of free frames, so that the fullest is one step
//! away; blocks that a CPU handle owns are on a list of their own. For runs of several frames mixed blocks
//! are indexed by the largest free buddy that they may hold.
//!
//! - [`small`]: orders 0 to 8 inside blocks, and the words that CPU handles claim
//! - [`range`]: named ranges: take, give back, release, reserve; orders 9 to 18
//! - [`spans`]: free spans of any length
//! - [`survey`]: reports and pictures
//! - [`audit`]: the invariants, checked

mod audit;
mod range;
mod small;
mod spans;
mod survey;

use crate::block::{BLOCK_FRAMES, Content, Mobility};
use crate::buddies::{self, Bits, End};
use crate::candidates::Candidates;
use crate::error::ZoneError;
use crate::frame::{FrameRange, HostFrame};
use crate::header::Header;
use crate::table::BlockTable;
use crate::vacancy::{GIB_BLOCKS, Vacancy};

pub use audit::Unsound;
pub(crate) use small::{Claim, OwnBlock, STOCK_FRAMES, Stock};
pub(crate) use spans::{Fit, Wish};
pub(crate) use survey::Survey;

/// Blocks that are looked at under one hold of the lock where all of them must be: bounds how long others wait.
pub(crate) const BLOCKS_PER_HOLD: usize = 64;

/// A zone's state. Its metadata is the caller's: 10 words per 2 MiB block and little more per GiB.
pub(crate) struct Zone<'m> {
    /// The number (frame / 512) of the zone's first block.
    first_block: u64,
    /// The place of the zone's first block in its GiB.
    first_place: usize,
    /// A set bit per free frame; counts only for mixed and owned blocks.
    bitmaps: &'m mut [Bits],
    table: BlockTable<'m>,
    vacancy: Vacancy<'m>,
    /// Frames that were released and not reserved since.
    total_frames: u64,
    /// Free frames, without those that CPU handles keep at hand.
    free_frames: u64,
}

/// A part of a range that lies in one block.
#[derive(Clone, Copy)]
struct Part {
    block: usize,
    /// The first frame, counted from the start of the block.
    first: u32,
    /// How many frames, 1 to 512.
    count: u32,
}

impl<'m> Zone<'m> {
    /// Words of metadata for `frames` frames wherever they start: the span may cut a block and a GiB at both ends.
    pub(crate) const fn metadata_words(frames: u64) -> usize {
        let blocks = frames.div_ceil(BLOCK_FRAMES) as usize + 1;
        let vacancy = Vacancy::words(blocks.div_ceil(GIB_BLOCKS) + 1);
        blocks * (8 + 2) + BlockTable::HEAD_WORDS + vacancy + Candidates::words(blocks)
    }

    /// A zone over `span`, which is not empty and ends below 2^52 bytes; every frame is reserved.
    pub(crate) fn new(span: FrameRange, metadata: &'m mut [u64]) -> Result<Self, ZoneError> {
        let needed_words = Self::metadata_words(span.frames);
        if metadata.len() < needed_words {
            return Err(ZoneError::Metadata { needed_words, given_words: metadata.len() });
        }
        let start = span.start.number();
        let first_block = start / BLOCK_FRAMES;
        let blocks = ((start + span.frames).div_ceil(BLOCK_FRAMES) - first_block) as usize;
        let first_place = (first_block % GIB_BLOCKS as u64) as usize;
        let gibs = (first_place + blocks).div_ceil(GIB_BLOCKS);

        // Bitmaps come first: where the caller's slice is aligned to 64 bytes, each is one cache line.
        let (bitmaps, rest) = metadata.split_at_mut(blocks * 8);
        let (headers, rest) = rest.split_at_mut(blocks * 2);
        let (heads, rest) = rest.split_at_mut(BlockTable::HEAD_WORDS);
        let (vacancy, rest) = rest.split_at_mut(Vacancy::words(gibs));
        let (candidates, _) = rest.split_at_mut(Candidates::words(blocks));
        let candidates = Candidates::new(blocks, candidates);
        bitmaps.fill(0);
        Ok(Self {
            first_block,
            first_place,
            bitmaps: bitmaps.as_chunks_mut().0,
            table: BlockTable::new(headers.as_chunks_mut().0, heads, candidates),
            vacancy: Vacancy::new(gibs, vacancy),
            total_frames: 0,
            free_frames: 0,
        })
    }

    /// How many blocks the zone has, cut ones counted.
    pub(crate) fn block_count(&self) -> usize {
        self.table.len()
    }

    /// The number of a block's first frame.
    fn frame_of(&self, block: usize) -> u64 {
        (self.first_block + block as u64) * BLOCK_FRAMES
    }

    /// The block that holds frame number `frame`, which lies in the zone.
    fn block_of(&self, frame: u64) -> usize {
        (frame / BLOCK_FRAMES - self.first_block) as usize
    }

    /// The block at a place of the vacancy.
    fn block_at(&self, place: usize) -> usize {
        place - self.first_place
    }

    /// The place of a block in the vacancy.
    fn place_of(&self, block: usize) -> usize {
        block + self.first_place
    }

    /// `frames` frames from frame number `start` on, block by block.
    fn parts(&self, start: u64, frames: u64) -> impl Iterator<Item = Part> + use<> {
        let (first_block, end) = (self.first_block, start + frames);
        (start / BLOCK_FRAMES..end.div_ceil(BLOCK_FRAMES)).map(move |number| {
            let base = number * BLOCK_FRAMES;
            let first = start.saturating_sub(base) as u32;
            let count = (end - base).min(BLOCK_FRAMES) as u32 - first;
            Part { block: (number - first_block) as usize, first, count }
        })
    }

    /// Which frames of a block are free.
    fn bits(&self, block: usize) -> &Bits {
        let header = self.table.header(block);
        if header.has_bitmap() {
            &self.bitmaps[block]
        } else if header.is_vacant() {
            &buddies::ALL
        } else {
            &buddies::NONE
        }
    }

    /// What is known about the bytes of the block that holds `frame`.
    pub(crate) fn set_content(&mut self, frame: HostFrame, content: Content) {
        let block = self.block_of(frame.number());
        let header = self.table.header(block);
        self.table.set_header(block, header.with_content(content));
    }

    /// Stores a block's new header where `frames` of its frames were taken or given back: keeps the lists,
    /// the vacancy and the sums in step. The bitmap is the caller's.
    fn settle(&mut self, block: usize, old: Header, new: Header) {
        let mut new = new;
        if new.is_vacant() {
            // A block that nobody uses serves large runs, whoever owned it: the owner will notice.
            new = new.with_owner(0);
            self.vacancy.give(self.place_of(block), 0);
        } else if new.used() == 0 {
            // Beside reserved frames nothing large can ever be free: the place for what cannot be moved.
            new = new.with_mobility(Mobility::Unmovable);
        }
        self.free_frames = self.free_frames + u64::from(new.free()) - u64::from(old.free());
        self.table.set_header(block, new);
    }

    /// Takes `2^level` vacant blocks for `mobility` out of the vacancy; returns the first one.
    ///
    /// What can be moved fits into the smallest hole there is, from the top down. What cannot be moved stays
    /// as low as it can, however large the buddy that it splits: anywhere higher it would keep a GiB from ever
    /// being whole again.
    fn take_vacant(&mut self, level: u32, mobility: Mobility) -> Option<usize> {
        let place = match mobility {
            Mobility::Movable => self.vacancy.take_best(level),
            Mobility::Unmovable => self.vacancy.take_lowest(level),
        }?;
        Some(self.block_at(place))
    }

    /// Prepares a block for frames to be taken out of it, for `mobility`.
    fn opened(&mut self, block: usize, mobility: Mobility) -> Header {
        let header = self.table.header(block);
        if header.is_vacant() {
            self.vacancy.take(self.place_of(block), 0);
            return self.fresh(block, mobility);
        }
        let header = header.with_content(Content::Dirty);
        // One frame that cannot be moved holds all of its block.
        if mobility == Mobility::Unmovable { header.with_mobility(mobility) } else { header }
    }

    /// The header of a block that was vacant, for frames to be taken out of it.
    fn fresh(&mut self, block: usize, mobility: Mobility) -> Header {
        self.bitmaps[block] = buddies::ALL;
        let header = self.table.header(block).with_mobility(mobility);
        header.with_level(buddies::TOP - 1).with_content(Content::Dirty)
    }

    /// Prepares a block for frames to come back to it.
    fn reopened(&mut self, block: usize) -> Header {
        let header = self.table.header(block);
        if header.has_bitmap() {
            return header.returned();
        }
        debug_assert!(!header.is_vacant(), "frames come back to a block that has all of them");
        self.bitmaps[block] = buddies::NONE;
        header.returned().with_level(0)
    }

    /// Where a class takes from: the two grow towards each other.
    const fn end_of(mobility: Mobility) -> End {
        match mobility {
            Mobility::Movable => End::Top,
            Mobility::Unmovable => End::Bottom,
        }
    }
}
