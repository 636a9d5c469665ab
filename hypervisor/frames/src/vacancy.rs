//! Vacant 2 MiB blocks, summed up per GiB: where buddies of 2 MiB to 1 GiB are.
//!
//! A *place* is a block's number counted from the start of the zone's first GiB, so that a place's low nine
//! bits are its position in its GiB. A *level* here is an order less 9: 0 is 2 MiB, 9 is 1 GiB.

use crate::buddies::{self, Bits, End, TOP};

/// Levels 0 to 9.
const LEVELS: usize = TOP as usize + 1;
/// Blocks in a GiB.
pub(crate) const GIB_BLOCKS: usize = 512;
/// GiBs in a group: one bit of a word each.
const GROUP: usize = 64;

/// Where the count of a level's maximal buddies starts in a GiB's word of counts. Level `l < 9` has at most
/// `2^(8-l)` of them (of two neighbours one is taken), so that all ten counts need 46 bits.
const COUNT_SHIFT: [u32; LEVELS] = [0, 9, 17, 24, 30, 35, 39, 42, 44, 45];
const COUNT_BITS: [u32; LEVELS] = [9, 8, 7, 6, 5, 4, 3, 2, 1, 1];
/// One maximal buddy of each level below the index.
const ONE_EACH_BELOW: [u64; LEVELS] = {
    let mut sums = [0; LEVELS];
    let mut level = 1;
    while level < LEVELS {
        sums[level] = sums[level - 1] + (1 << COUNT_SHIFT[level - 1]);
        level += 1;
    }
    sums
};

/// How many maximal buddies of `level` a word of counts says.
const fn count_of(counts: u64, level: u32) -> u64 {
    (counts >> COUNT_SHIFT[level as usize]) & ((1 << COUNT_BITS[level as usize]) - 1)
}

/// A zone's vacant blocks.
pub(crate) struct Vacancy<'m> {
    /// Per GiB: which of its blocks are vacant, and the counts of its maximal buddies.
    gibs: &'m mut [[u64; 9]],
    /// Per group of GiBs and level: which of them have a maximal buddy of exactly that level.
    groups: &'m mut [[u64; LEVELS]],
}

impl<'m> Vacancy<'m> {
    /// Words that `gibs` GiBs need, the first part for the GiBs and the second for their groups.
    pub(crate) const fn words(gibs: usize) -> (usize, usize) {
        (gibs * 9, gibs.div_ceil(GROUP) * LEVELS)
    }

    /// Nothing vacant; the slices have the lengths that [`words`](Self::words) says.
    pub(crate) fn new(gibs: &'m mut [u64], groups: &'m mut [u64]) -> Self {
        gibs.fill(0);
        groups.fill(0);
        Self { gibs: gibs.as_chunks_mut().0, groups: groups.as_chunks_mut().0 }
    }

    /// How many GiBs there are.
    pub(crate) fn gibs(&self) -> usize {
        self.gibs.len()
    }

    /// Which blocks of a GiB are vacant.
    pub(crate) fn bits(&self, gib: usize) -> &Bits {
        let [bits @ .., _] = &self.gibs[gib];
        bits
    }

    /// Makes the `2^level` vacant blocks at `place` not vacant.
    pub(crate) fn take(&mut self, place: usize, level: u32) {
        self.change(place, level, false);
    }

    /// Makes the `2^level` blocks at `place` vacant.
    pub(crate) fn give(&mut self, place: usize, level: u32) {
        self.change(place, level, true);
    }

    /// A place where `2^level` vacant blocks lie: in the smallest maximal buddy that fits, nearest to `end`.
    pub(crate) fn best_fit(&self, level: u32, end: End) -> Option<usize> {
        (level..=TOP).find_map(|exact| self.find_exactly(exact, level, end))
    }

    /// A place for `level` in a maximal buddy of exactly the level `exact`.
    fn find_exactly(&self, exact: u32, level: u32, end: End) -> Option<usize> {
        let has = |words: &&[u64; LEVELS]| words[exact as usize] != 0;
        let group = match end {
            End::Bottom => self.groups.iter().position(|words| has(&words))?,
            End::Top => self.groups.iter().rposition(|words| has(&words))?,
        };
        let word = self.groups[group][exact as usize];
        let gib = group * GROUP
            + match end {
                End::Bottom => word.trailing_zeros(),
                End::Top => word.ilog2(),
            } as usize;
        let first = if exact == TOP { 0 } else { buddies::best_fit(self.bits(gib), exact, end)? };
        let first = match end {
            End::Bottom => first,
            End::Top => first + (1 << exact) - (1 << level),
        };
        Some(gib * GIB_BLOCKS + first as usize)
    }

    /// Splitting a maximal buddy of level `m` down to `level` leaves one buddy on each level from `level` to
    /// `m - 1`; merging is the exact opposite. So both are one sum on the word of counts.
    fn change(&mut self, place: usize, level: u32, vacant: bool) {
        let gib = place / GIB_BLOCKS;
        let first = (place % GIB_BLOCKS) as u32;
        let [bits @ .., counts] = &mut self.gibs[gib];
        if vacant {
            for (word, mask) in buddies::masks(first, 1 << level) {
                bits[word] |= mask;
            }
        }
        let merged = buddies::maximal_level(bits, first, level);
        let parts = ONE_EACH_BELOW[merged as usize] - ONE_EACH_BELOW[level as usize];
        let whole = 1 << COUNT_SHIFT[merged as usize];
        if vacant {
            *counts = *counts + whole - parts;
        } else {
            *counts = *counts + parts - whole;
            for (word, mask) in buddies::masks(first, 1 << level) {
                bits[word] &= !mask;
            }
        }
        let counts = *counts;
        let group = &mut self.groups[gib / GROUP];
        let bit = gib % GROUP;
        for level in level..=merged {
            let has = u64::from(count_of(counts, level) != 0);
            let word = &mut group[level as usize];
            *word = *word & !(1 << bit) | has << bit;
        }
    }

    /// Whether the counts of a GiB and its group say what its bits say.
    pub(crate) fn is_sound(&self, gib: usize) -> bool {
        let mut expected = [0; LEVELS];
        buddies::count_maximal(self.bits(gib), &mut expected);
        (0..=TOP).all(|level| {
            let counted = count_of(self.gibs[gib][8], level);
            let listed = self.groups[gib / GROUP][level as usize] >> (gib % GROUP) & 1 == 1;
            counted == expected[level as usize] && listed == (counted != 0)
        })
    }
}
