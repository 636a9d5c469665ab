//! The table of blocks: a header and two links each, and per class a list for every number of free frames.

use crate::block::Mobility;
use crate::buddies::End;
use crate::candidates::{self, Candidates};
use crate::header::{Header, List};

/// No block.
const NONE: u32 = u32::MAX;

/// Headers of a zone's blocks, the lists that thread through them, and the index by level.
pub(crate) struct BlockTable<'m> {
    /// Per block its links (previous low, next high) and its header.
    blocks: &'m mut [[u64; 2]],
    /// Per list its first block, two to a word.
    heads: &'m mut [u64],
    /// Which lists have a block.
    occupied: [u64; List::COUNT / 64],
    candidates: Candidates<'m>,
}

impl<'m> BlockTable<'m> {
    /// Words that the lists need.
    pub(crate) const HEAD_WORDS: usize = List::COUNT / 2;

    /// A table in which every block is reserved; `heads` has [`HEAD_WORDS`](Self::HEAD_WORDS) words.
    pub(crate) fn new(blocks: &'m mut [[u64; 2]], heads: &'m mut [u64], candidates: Candidates<'m>) -> Self {
        blocks.fill([links(NONE, NONE), Header::reserved().word()]);
        heads.fill(links(NONE, NONE));
        Self { blocks, heads, occupied: [0; List::COUNT / 64], candidates }
    }

    /// How many blocks there are.
    pub(crate) fn len(&self) -> usize {
        self.blocks.len()
    }

    pub(crate) fn header(&self, block: usize) -> Header {
        Header::from_word(self.blocks[block][1])
    }

    /// Replaces a block's header, and moves the block to the list and the set that the new one names.
    pub(crate) fn set_header(&mut self, block: usize, new: Header) {
        let old = self.header(block);
        self.blocks[block][1] = new.word();
        if old.either_has_level(new) {
            self.reindex(block, key(old), key(new));
        }
        let (from, to) = (old.list(), new.list());
        if from != to {
            if from != List::NONE {
                self.unlink(block, from);
            }
            if to != List::NONE {
                self.link(block, to);
            }
        }
    }

    /// Moves a block from one set of the index to another.
    fn reindex(&mut self, block: usize, from: Option<usize>, to: Option<usize>) {
        if from == to {
            return;
        }
        if let Some(key) = from {
            self.candidates.remove(block, key);
        }
        if let Some(key) = to {
            self.candidates.insert(block, key);
        }
    }

    /// Replaces a block's header where neither the old nor the new one is on a list.
    pub(crate) fn set_unlisted(&mut self, block: usize, new: Header) {
        debug_assert!(self.header(block).list() == List::NONE && new.list() == List::NONE);
        self.blocks[block][1] = new.word();
    }

    /// The first block on a list.
    pub(crate) fn first(&self, list: List) -> Option<usize> {
        some(self.head(list))
    }

    /// The fullest mixed block of a class that no handle owns.
    pub(crate) fn fullest(&self, mobility: Mobility) -> Option<usize> {
        let words = self.occupied.as_chunks::<{ List::COUNT / 128 }>().0.get(mobility as usize)?;
        // Without the first list, which is that of the blocks that are owned.
        let mut bits = words[0] & !1;
        let mut word = 0;
        while bits == 0 {
            word += 1;
            bits = *words.get(word)?;
        }
        self.first(List::with_free(mobility, word as u32 * 64 + bits.trailing_zeros()))
    }

    /// The block after `block` on its list.
    pub(crate) fn next(&self, block: usize) -> Option<usize> {
        some(high(self.blocks[block][0]))
    }

    /// The block before `block` on its list.
    pub(crate) fn previous(&self, block: usize) -> Option<usize> {
        some(low(self.blocks[block][0]))
    }

    /// A mixed block of the class that may hold a buddy of `level`, 1 to 8, nearest to `end`.
    pub(crate) fn candidate(&self, mobility: Mobility, level: u32, end: End) -> Option<usize> {
        self.candidates.find(mobility, level, end)
    }

    /// Whether the index by level says about a block what its header says.
    pub(crate) fn is_indexed(&self, block: usize) -> bool {
        let key = key(self.header(block));
        (0..candidates::KEYS).all(|other| self.candidates.contains(block, other) == (key == Some(other)))
    }

    /// Whether the mark says that the list has a block.
    pub(crate) fn is_marked(&self, list: List) -> bool {
        self.occupied[list.index() / 64] >> (list.index() % 64) & 1 == 1
    }

    fn head(&self, list: List) -> u32 {
        (self.heads[list.index() / 2] >> (list.index() % 2 * 32)) as u32
    }

    fn set_head(&mut self, list: List, block: u32) {
        let shift = list.index() % 2 * 32;
        let heads = &mut self.heads[list.index() / 2];
        *heads = *heads & !(u64::from(u32::MAX) << shift) | u64::from(block) << shift;
        let marks = &mut self.occupied[list.index() / 64];
        let bit = list.index() % 64;
        *marks = *marks & !(1 << bit) | u64::from(block != NONE) << bit;
    }

    fn link(&mut self, block: usize, list: List) {
        let next = self.head(list);
        self.blocks[block][0] = links(NONE, next);
        if let Some(next) = some(next) {
            let word = &mut self.blocks[next][0];
            *word = links(block as u32, high(*word));
        }
        self.set_head(list, block as u32);
    }

    fn unlink(&mut self, block: usize, list: List) {
        let (previous, next) = (low(self.blocks[block][0]), high(self.blocks[block][0]));
        if let Some(next) = some(next) {
            let word = &mut self.blocks[next][0];
            *word = links(previous, high(*word));
        }
        match some(previous) {
            Some(previous) => {
                let word = &mut self.blocks[previous][0];
                *word = links(low(*word), next);
            }
            None => self.set_head(list, next),
        }
    }
}

/// The set that a block belongs to.
const fn key(header: Header) -> Option<usize> {
    if header.has_bitmap() { candidates::key(header.mobility(), header.level()) } else { None }
}

const fn links(low: u32, high: u32) -> u64 {
    low as u64 | (high as u64) << 32
}

const fn low(word: u64) -> u32 {
    word as u32
}

const fn high(word: u64) -> u32 {
    (word >> 32) as u32
}

const fn some(block: u32) -> Option<usize> {
    if block == NONE { None } else { Some(block as usize) }
}
