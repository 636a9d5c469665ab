//! The table of blocks: a header and two links each, and per class a list for every number of free frames.

use crate::block::Mobility;
use crate::buddies::End;
use crate::candidates::{self, Candidates};
use crate::header::{Header, LISTS};

/// No block.
const NONE: u32 = u32::MAX;

/// Headers of a zone's blocks, the lists that thread through them, and the index by level.
pub(crate) struct BlockTable<'m> {
    /// Per block its links (previous low, next high) and its header.
    blocks: &'m mut [[u64; 2]],
    /// Per list its first block: movable low, unmovable high.
    heads: &'m mut [u64],
    /// Per class, which lists have a block.
    occupied: [[u64; LISTS / 64]; 2],
    candidates: Candidates<'m>,
}

impl<'m> BlockTable<'m> {
    /// Words that the lists need.
    pub(crate) const HEAD_WORDS: usize = LISTS;

    /// A table in which every block is reserved; `heads` has [`HEAD_WORDS`](Self::HEAD_WORDS) words.
    pub(crate) fn new(blocks: &'m mut [[u64; 2]], heads: &'m mut [u64], candidates: Candidates<'m>) -> Self {
        blocks.fill([links(NONE, NONE), Header::reserved().word()]);
        heads.fill(links(NONE, NONE));
        Self { blocks, heads, occupied: [[0; LISTS / 64]; 2], candidates }
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
        let (old_key, new_key) = (key(old), key(new));
        if old_key != new_key {
            if let Some(key) = old_key {
                self.candidates.remove(block, key);
            }
            if let Some(key) = new_key {
                self.candidates.insert(block, key);
            }
        }
        if old.list() == new.list() && old.mobility() == new.mobility() {
            return;
        }
        if let Some(list) = old.list() {
            self.unlink(block, old.mobility(), list);
        }
        if let Some(list) = new.list() {
            self.link(block, new.mobility(), list);
        }
    }

    /// Replaces a block's header where neither the old nor the new one is on a list.
    pub(crate) fn set_unlisted(&mut self, block: usize, new: Header) {
        debug_assert!(self.header(block).list().is_none() && new.list().is_none());
        self.blocks[block][1] = new.word();
    }

    /// The first block on a list.
    pub(crate) fn first(&self, mobility: Mobility, list: usize) -> Option<usize> {
        some(self.head(mobility, list))
    }

    /// The block after `block` on its list.
    pub(crate) fn next(&self, block: usize) -> Option<usize> {
        some(high(self.blocks[block][0]))
    }

    /// The block before `block` on its list.
    pub(crate) fn previous(&self, block: usize) -> Option<usize> {
        some(low(self.blocks[block][0]))
    }

    /// The first list from `from` on that has a block: from 1 on, the one with the fullest blocks.
    pub(crate) fn occupied_from(&self, mobility: Mobility, from: usize) -> Option<usize> {
        let words = &self.occupied[mobility as usize];
        let mut word = from / 64;
        let mut bits = words.get(word)? & (u64::MAX << (from % 64));
        while bits == 0 {
            word += 1;
            bits = *words.get(word)?;
        }
        Some(word * 64 + bits.trailing_zeros() as usize)
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

    fn head(&self, mobility: Mobility, list: usize) -> u32 {
        match mobility {
            Mobility::Movable => low(self.heads[list]),
            Mobility::Unmovable => high(self.heads[list]),
        }
    }

    fn set_head(&mut self, mobility: Mobility, list: usize, block: u32) {
        let heads = &mut self.heads[list];
        *heads = match mobility {
            Mobility::Movable => links(block, high(*heads)),
            Mobility::Unmovable => links(low(*heads), block),
        };
        let word = &mut self.occupied[mobility as usize][list / 64];
        let bit = 1 << (list % 64);
        *word = if block == NONE { *word & !bit } else { *word | bit };
    }

    fn link(&mut self, block: usize, mobility: Mobility, list: usize) {
        let next = self.head(mobility, list);
        self.blocks[block][0] = links(NONE, next);
        if let Some(next) = some(next) {
            let word = &mut self.blocks[next][0];
            *word = links(block as u32, high(*word));
        }
        self.set_head(mobility, list, block as u32);
    }

    fn unlink(&mut self, block: usize, mobility: Mobility, list: usize) {
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
            None => self.set_head(mobility, list, next),
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
