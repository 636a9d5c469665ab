//! Orders 0 to 8: runs inside one block, and the bitmap words that CPU handles claim.

use arrayvec::ArrayVec;

use super::{Part, Zone};
use crate::block::Mobility;
use crate::buddies::{self, End};
use crate::header::{Header, List};

/// Words that a handle claims at once, at most: in full memory each may hold a single frame.
const STOCK_WORDS: usize = 16;
/// Frames after which a handle claims no further word.
const ENOUGH_FRAMES: u32 = 32;
/// Frames that a handle has after claiming, at most.
pub(crate) const STOCK_FRAMES: u64 = ENOUGH_FRAMES as u64 - 1 + 64;

/// A bitmap word in a CPU handle: frames that the zone counts as used and the handle as free.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Claim {
    /// The number (frame / 64) of the word.
    pub(crate) word: u64,
    /// A set bit per free frame.
    pub(crate) bits: u64,
}

/// Words claimed and not used yet.
pub(crate) type Stock = ArrayVec<Claim, STOCK_WORDS>;

/// The block that a CPU handle takes its words from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct OwnBlock {
    /// The handle's number, never 0.
    pub(crate) owner: u32,
    /// The block, where there is one and nobody took it away meanwhile.
    pub(crate) block: Option<usize>,
}

impl Zone<'_> {
    /// Fills an empty stock with the free frames of whole bitmap words: from the handle's own block, then from
    /// the fullest mixed blocks of the class; where those have none from a new block; else from wherever
    /// there is a free frame at all. The stock stays empty only where there is none.
    pub(crate) fn claim(&mut self, mobility: Mobility, own: &mut OwnBlock, stock: &mut Stock) {
        debug_assert!(stock.is_empty());
        let mut missing = ENOUGH_FRAMES;
        let mut source = self.still_owned(own);
        own.block = None;
        while let Some(block) = source.or_else(|| self.table.fullest(mobility)) {
            source = None;
            let opened = self.opened(block, mobility);
            self.claim_from(block, opened, Some(own), stock, &mut missing);
            if missing == 0 || stock.is_full() {
                return;
            }
        }
        if !stock.is_empty() {
            return;
        }
        if let Some(block) = self.take_vacant(0, mobility) {
            let opened = self.fresh(block, mobility);
            return self.claim_from(block, opened, Some(own), stock, &mut missing);
        }
        let other = mobility.other();
        if let Some(block) = self.owned_by_others(mobility) {
            let opened = self.opened(block, mobility);
            self.claim_from(block, opened, None, stock, &mut missing);
        } else if let Some(block) = self.table.fullest(other) {
            let opened = self.opened(block, mobility);
            self.claim_from(block, opened, Some(own), stock, &mut missing);
        } else if let Some(block) = self.owned_by_others(other) {
            let opened = self.opened(block, mobility);
            self.claim_from(block, opened, None, stock, &mut missing);
        }
    }

    /// The handle's block, where it still is the handle's.
    fn still_owned(&self, own: &OwnBlock) -> Option<usize> {
        own.block.filter(|&block| self.table.header(block).owner() == own.owner)
    }

    /// Ends a handle's ownership of its block.
    pub(crate) fn let_go(&mut self, own: &mut OwnBlock) {
        if let Some(block) = self.still_owned(own) {
            let header = self.table.header(block);
            self.table.set_header(block, header.with_owner(0));
        }
        own.block = None;
    }

    /// Takes words of a block until it has no more or the stock has enough. What is left of the block is then
    /// `own`; without that, the block is left to whoever owns it.
    fn claim_from(
        &mut self,
        block: usize,
        opened: Header,
        own: Option<&mut OwnBlock>,
        stock: &mut Stock,
        missing: &mut u32,
    ) {
        let first_word = (self.first_block + block as u64) * 8;
        let mut free = opened.free();
        // Words that are in use already come first, so that whole free words stay for runs of several frames.
        'enough: for whole in [false, true] {
            for (word, index) in self.bitmaps[block].iter_mut().zip(0..) {
                if *word == 0 || (*word == u64::MAX) != whole {
                    continue;
                }
                let bits = core::mem::take(word);
                let frames = ones(bits);
                stock.push(Claim { word: first_word + index, bits });
                free -= frames;
                *missing = missing.saturating_sub(frames);
                if free == 0 || *missing == 0 || stock.is_full() {
                    break 'enough;
                }
            }
        }
        let old = self.table.header(block);
        let new = opened.with_free(free);
        let new = match own {
            Some(own) if free > 0 => {
                own.block = Some(block);
                new.with_owner(own.owner)
            }
            Some(_) => new.with_owner(0),
            None => new,
        };
        self.settle(block, old, new);
    }

    /// A block with a free frame that another handle owns.
    fn owned_by_others(&self, mobility: Mobility) -> Option<usize> {
        let first = self.table.first(List::owned(mobility));
        let mut owned = core::iter::successors(first, |&block| self.table.next(block));
        owned.find(|&block| self.table.header(block).free() > 0)
    }

    /// Gives back frames of one bitmap word: what is left of a claim, or single frames that were freed.
    pub(crate) fn give_word(&mut self, word: u64, bits: u64) {
        if bits == 0 {
            return;
        }
        let block = (word / 8 - self.first_block) as usize;
        let old = self.table.header(block);
        let reopened = self.reopened(block);
        let bitmap = &mut self.bitmaps[block];
        let index = (word % 8) as usize;
        debug_assert!(bitmap[index] & bits == 0, "a frame came back twice");
        bitmap[index] |= bits;
        let level = match buddies::largest_in_word(bitmap[index]) {
            Some(level) if bitmap[index] == u64::MAX => {
                buddies::maximal_level(bitmap, index as u32 * 64, level)
            }
            Some(level) => level,
            None => 0,
        };
        let level = reopened.level().max(level.min(buddies::TOP - 1));
        let new = reopened.with_free(reopened.free() + ones(bits)).with_level(level);
        self.settle(block, old, new);
    }

    /// Takes a run of `2^level` frames, `level` from 1 to 8; returns its first frame's number.
    ///
    /// From a mixed block of the class, the tightest that fits; else from a new block; and only where there is
    /// none, from a block of the other class.
    pub(crate) fn allocate_small(&mut self, level: u32, mobility: Mobility) -> Option<u64> {
        let mixed = self.mixed_with(level, mobility);
        let (block, opened) = if let Some(block) = mixed {
            (block, self.opened(block, mobility))
        } else if let Some(block) = self.take_vacant(0, mobility) {
            (block, self.fresh(block, mobility))
        } else {
            let block = self.mixed_with(level, mobility.other())?;
            (block, self.opened(block, mobility))
        };
        let first = buddies::best_fit(&self.bitmaps[block], level, End::Bottom)?;
        self.take_bits(Part { block, first, count: 1 << level }, opened);
        Some(self.frame_of(block) + u64::from(first))
    }

    /// A mixed block of the class that holds a run of `level`.
    ///
    /// A block that disappoints has its level put right, and is not looked at for this level again before
    /// frames come back to it: each look in vain is paid for by a free.
    fn mixed_with(&mut self, level: u32, mobility: Mobility) -> Option<usize> {
        while let Some(block) = self.table.candidate(mobility, level, Self::end_of(mobility)) {
            let largest = buddies::largest_level(&self.bitmaps[block]).unwrap_or(0);
            if largest >= level {
                return Some(block);
            }
            let header = self.table.header(block);
            self.table.set_header(block, header.with_level(largest));
        }
        None
    }
}

/// How many bits of a word that is not 0 are set. In full memory it is mostly one, and x86-64 as it is compiled
/// for has no instruction to count more.
const fn ones(bits: u64) -> u32 {
    if bits.is_power_of_two() { 1 } else { bits.count_ones() }
}
