//! Which mixed blocks may hold a run of several frames.
//!
//! Every block of which frames are free, and that is not vacant, is in one set: that of its class and of the
//! level its header says. A header never says too low a level, so a search by this index misses nothing.

use crate::block::Mobility;
use crate::buddies::{End, TOP};

/// Levels 1 to 8 of two classes.
pub(crate) const KEYS: usize = 16;
/// Members of a word.
const WORD: usize = u64::BITS as usize;

/// The set of a class and level, from 0 to 15; `None` for level 0, which needs no search.
pub(crate) const fn key(mobility: Mobility, level: u32) -> Option<usize> {
    match level {
        0 => None,
        _ => Some(mobility as usize * (KEYS / 2) + level as usize - 1),
    }
}

/// Sixteen sets of blocks.
pub(crate) struct Candidates<'m> {
    /// Per 64 blocks: which are in each set.
    members: &'m mut [[u64; KEYS]],
    /// Per 4,096 blocks: which words of `members` are not zero.
    occupied: &'m mut [[u64; KEYS]],
}

impl<'m> Candidates<'m> {
    /// Words that the sets need for `blocks` blocks.
    pub(crate) const fn words(blocks: usize) -> usize {
        (blocks.div_ceil(WORD) + blocks.div_ceil(WORD * WORD)) * KEYS
    }

    /// Empty sets for `blocks` blocks, in the [`words`](Self::words) given.
    pub(crate) fn new(blocks: usize, words: &'m mut [u64]) -> Self {
        words.fill(0);
        let (members, occupied) = words.split_at_mut(blocks.div_ceil(WORD) * KEYS);
        Self { members: members.as_chunks_mut().0, occupied: occupied.as_chunks_mut().0 }
    }

    pub(crate) fn insert(&mut self, block: usize, key: usize) {
        self.members[block / WORD][key] |= 1 << (block % WORD);
        self.occupied[block / (WORD * WORD)][key] |= 1 << (block / WORD % WORD);
    }

    pub(crate) fn remove(&mut self, block: usize, key: usize) {
        let members = &mut self.members[block / WORD][key];
        *members &= !(1 << (block % WORD));
        if *members == 0 {
            self.occupied[block / (WORD * WORD)][key] &= !(1 << (block / WORD % WORD));
        }
    }

    pub(crate) fn contains(&self, block: usize, key: usize) -> bool {
        self.members[block / WORD][key] >> (block % WORD) & 1 == 1
    }

    /// A block of the class that may hold a run of `level`: of the lowest level that may, nearest to `end`.
    pub(crate) fn find(&self, mobility: Mobility, level: u32, end: End) -> Option<usize> {
        (level..TOP).filter_map(|level| key(mobility, level)).find_map(|key| {
            let group = nearest_index(self.occupied, key, end)?;
            let word = group * WORD + nearest_bit(self.occupied[group][key], end)?;
            Some(word * WORD + nearest_bit(self.members[word][key], end)?)
        })
    }
}

fn nearest_index(words: &[[u64; KEYS]], key: usize, end: End) -> Option<usize> {
    match end {
        End::Bottom => words.iter().position(|word| word[key] != 0),
        End::Top => words.iter().rposition(|word| word[key] != 0),
    }
}

fn nearest_bit(word: u64, end: End) -> Option<usize> {
    let bit = match end {
        End::Bottom => (word != 0).then(|| word.trailing_zeros()),
        End::Top => word.checked_ilog2(),
    };
    bit.map(|bit| bit as usize)
}
