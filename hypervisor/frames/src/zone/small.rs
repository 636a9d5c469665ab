//! Orders 0 to 8: runs inside one block, and the bitmap words that CPU handles claim.

use super::{Part, Zone};
use crate::block::Mobility;
use crate::buddies::{self, End};
use crate::header::OWNED;

/// A bitmap word in a CPU handle: frames that the zone counts as used and the handle as free.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Claim {
    /// The number (frame / 64) of the word.
    pub(crate) word: u64,
    /// A set bit per free frame.
    pub(crate) bits: u64,
}

/// The block that a CPU handle takes its words from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct OwnBlock {
    /// The handle's number, never 0.
    pub(crate) owner: u32,
    /// The block, where there is one and nobody took it away meanwhile.
    pub(crate) block: Option<usize>,
}

impl Zone<'_> {
    /// Takes all free frames of one bitmap word: from the handle's own block, else from the fullest mixed
    /// block of the class, else from a new one, else wherever there is a free frame at all.
    pub(crate) fn claim(&mut self, mobility: Mobility, own: &mut OwnBlock) -> Option<Claim> {
        if let Some(block) = self.still_owned(own)
            && self.table.header(block).free() > 0
        {
            return Some(self.claim_from(block, mobility, own.owner));
        }
        self.let_go(own);
        let other = mobility.other();
        let block = self
            .fullest(mobility)
            .or_else(|| self.vacancy.best_fit(0, Self::end_of(mobility)).map(|place| self.block_at(place)))
            .or_else(|| self.owned_by_others(mobility))
            .or_else(|| self.fullest(other))
            .or_else(|| self.owned_by_others(other))?;
        let owner = match self.table.header(block).owner() {
            0 => own.owner,
            // Somebody else's block: take a word of it and leave it to its owner.
            owner => owner,
        };
        if owner == own.owner {
            own.block = Some(block);
        }
        Some(self.claim_from(block, mobility, owner))
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

    /// The fullest mixed block of a class that no handle owns.
    fn fullest(&self, mobility: Mobility) -> Option<usize> {
        let list = self.table.occupied_from(mobility, OWNED + 1)?;
        self.table.first(mobility, list)
    }

    /// A block with a free frame that another handle owns.
    fn owned_by_others(&self, mobility: Mobility) -> Option<usize> {
        self.list(mobility, OWNED).find(|&block| self.table.header(block).free() > 0)
    }

    fn list(&self, mobility: Mobility, list: usize) -> impl Iterator<Item = usize> {
        core::iter::successors(self.table.first(mobility, list), |&block| self.table.next(block))
    }

    /// Takes a word of a block that has free frames; the block then belongs to `owner`.
    fn claim_from(&mut self, block: usize, mobility: Mobility, owner: u32) -> Claim {
        let old = self.table.header(block);
        let opened = self.opened(block, mobility);
        let bitmap = &mut self.bitmaps[block];
        // A word that is in use already, so that whole free words stay for runs of several frames.
        let word = bitmap
            .iter()
            .position(|&word| word != 0 && word != u64::MAX)
            .or_else(|| bitmap.iter().position(|&word| word != 0))
            .unwrap_or(0);
        let bits = core::mem::take(&mut bitmap[word]);
        debug_assert!(bits != 0, "a block with free frames has none in its bitmap");
        let new = opened.with_free(opened.free() - bits.count_ones()).with_owner(owner);
        self.settle(block, old, new);
        Claim { word: (self.first_block + block as u64) * 8 + word as u64, bits }
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
        let new = reopened.with_free(reopened.free() + bits.count_ones()).with_level(level);
        self.settle(block, old, new);
    }

    /// Takes a run of `2^level` frames, `level` from 1 to 8; returns its first frame's number.
    ///
    /// From a mixed block of the class, the tightest that fits; else from a new block; and only where there is
    /// none, from a block of the other class.
    pub(crate) fn allocate_small(&mut self, level: u32, mobility: Mobility) -> Option<u64> {
        let end = Self::end_of(mobility);
        let block = self
            .mixed_with(level, mobility, end)
            .or_else(|| self.vacancy.best_fit(0, end).map(|place| self.block_at(place)))
            .or_else(|| self.mixed_with(level, mobility.other(), end))?;
        let first = buddies::best_fit(self.bits(block), level, End::Bottom)?;
        self.take_part(Part { block, first, count: 1 << level }, mobility);
        Some(self.frame_of(block) + u64::from(first))
    }

    /// A mixed block of the class that holds a run of `level`.
    ///
    /// A block that disappoints has its level put right, and is not looked at for this level again before
    /// frames come back to it: each look in vain is paid for by a free.
    fn mixed_with(&mut self, level: u32, mobility: Mobility, end: End) -> Option<usize> {
        while let Some(block) = self.table.candidate(mobility, level, end) {
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
