//! Vacant 2 MiB blocks, summed up per GiB: where buddies of 2 MiB to 1 GiB are.
//!
//! A *place* is a block's number counted from the start of the zone's first GiB, so that a place's low nine
//! bits are its position in its GiB. A *level* here is an order less 9: 0 is 2 MiB, 9 is 1 GiB.

use crate::buddies::{self, Bits, End, TOP};

/// Levels 0 to 9.
const LEVELS: usize = TOP as usize + 1;
/// Blocks in a GiB.
pub(crate) const GIB_BLOCKS: usize = 512;
/// GiBs in a group.
const GROUP: usize = 64;

/// How many maximal buddies of each level a GiB has, all in one word.
///
/// Level `l < 9` has at most `2^(8-l)` of them (of two neighbours one is taken), level 9 at most one. Above
/// each count stands a bit that is always 0 here, so that one addition says which counts are not 0.
#[derive(Clone, Copy)]
struct Counts(u64);

/// Bits of each level's count.
const WIDTH: [u32; LEVELS] = [9, 8, 7, 6, 5, 4, 3, 2, 1, 1];
/// Where each level's count starts.
const SHIFT: [u32; LEVELS] = {
    let mut shift = [0; LEVELS];
    let mut level = 1;
    while level < LEVELS {
        shift[level] = shift[level - 1] + WIDTH[level - 1] + 1;
        level += 1;
    }
    shift
};
/// One maximal buddy of each level below the index.
const ONE_EACH_BELOW: [u64; LEVELS] = {
    let mut sums = [0; LEVELS];
    let mut level = 1;
    while level < LEVELS {
        sums[level] = sums[level - 1] + (1 << SHIFT[level - 1]);
        level += 1;
    }
    sums
};
/// The bit above each count.
const MARKS: u64 = {
    let mut marks = 0;
    let mut level = 0;
    while level < LEVELS {
        marks |= 1 << (SHIFT[level] + WIDTH[level]);
        level += 1;
    }
    marks
};
/// The largest count that each level's bits can hold.
const LARGEST: u64 = MARKS - ONE_EACH_BELOW[LEVELS - 1] - (1 << SHIFT[LEVELS - 1]);
/// The level of a mark by its position.
const LEVEL_OF: [u8; 64] = {
    let mut levels = [0; 64];
    let mut level = 0;
    while level < LEVELS {
        levels[(SHIFT[level] + WIDTH[level]) as usize] = level as u8;
        level += 1;
    }
    levels
};

impl Counts {
    /// A mark for each level that has a maximal buddy.
    const fn present(self) -> u64 {
        (self.0 + LARGEST) & MARKS
    }

    /// Splitting a maximal buddy of the level `maximal` down to `level` leaves one buddy on each level from
    /// `level` to `maximal - 1`, and one of `level` that is taken.
    const fn split(self, maximal: u32, level: u32) -> Self {
        let parts = ONE_EACH_BELOW[maximal as usize] - ONE_EACH_BELOW[level as usize];
        Self(self.0 + parts - (1 << SHIFT[maximal as usize]))
    }

    /// The opposite of [`split`](Self::split).
    const fn merged(self, maximal: u32, level: u32) -> Self {
        let parts = ONE_EACH_BELOW[maximal as usize] - ONE_EACH_BELOW[level as usize];
        Self(self.0 + (1 << SHIFT[maximal as usize]) - parts)
    }

    const fn of(self, level: u32) -> u64 {
        (self.0 >> SHIFT[level as usize]) & ((1 << WIDTH[level as usize]) - 1)
    }
}

/// A zone's vacant blocks.
pub(crate) struct Vacancy<'m> {
    /// Per GiB: which of its blocks are vacant.
    bits: &'m mut [Bits],
    /// Per GiB: its [`Counts`].
    counts: &'m mut [u64],
    /// Per group of GiBs: marks of the levels that they may have; never one too few, sometimes one too many.
    groups: &'m mut [u64],
}

impl<'m> Vacancy<'m> {
    /// Words that `gibs` GiBs need.
    pub(crate) const fn words(gibs: usize) -> usize {
        gibs * 9 + gibs.div_ceil(GROUP)
    }

    /// Nothing vacant, in the [`words`](Self::words) given.
    pub(crate) fn new(gibs: usize, words: &'m mut [u64]) -> Self {
        words.fill(0);
        let (bits, rest) = words.split_at_mut(gibs * 8);
        let (counts, groups) = rest.split_at_mut(gibs);
        Self { bits: bits.as_chunks_mut().0, counts, groups }
    }

    /// How many GiBs there are.
    pub(crate) fn gibs(&self) -> usize {
        self.bits.len()
    }

    /// Which blocks of a GiB are vacant.
    pub(crate) fn bits(&self, gib: usize) -> &Bits {
        &self.bits[gib]
    }

    /// Takes `2^level` vacant blocks out of the smallest maximal buddy that fits, nearest to `end`; returns
    /// their place.
    pub(crate) fn take_best(&mut self, level: u32, end: End) -> Option<usize> {
        let (gib, maximal) = self.find(level, end)?;
        let first = if maximal == TOP { 0 } else { buddies::best_fit(&self.bits[gib], maximal, end)? };
        let first = match end {
            End::Bottom => first,
            End::Top => first + (1 << maximal) - (1 << level),
        };
        self.remove(gib, first, level, maximal);
        Some(gib * GIB_BLOCKS + first as usize)
    }

    /// Makes the `2^level` vacant blocks at `place` not vacant.
    pub(crate) fn take(&mut self, place: usize, level: u32) {
        let (gib, first) = (place / GIB_BLOCKS, (place % GIB_BLOCKS) as u32);
        let maximal = buddies::maximal_level(&self.bits[gib], first, level);
        self.remove(gib, first, level, maximal);
    }

    /// Makes the `2^level` blocks at `place` vacant.
    pub(crate) fn give(&mut self, place: usize, level: u32) {
        let (gib, first) = (place / GIB_BLOCKS, (place % GIB_BLOCKS) as u32);
        let bits = &mut self.bits[gib];
        buddies::set_group(bits, first, level);
        let maximal = buddies::maximal_level(bits, first, level);
        let counts = Counts(self.counts[gib]).merged(maximal, level);
        self.store(gib, counts);
    }

    fn remove(&mut self, gib: usize, first: u32, level: u32, maximal: u32) {
        buddies::clear_group(&mut self.bits[gib], first, level);
        let counts = Counts(self.counts[gib]).split(maximal, level);
        self.store(gib, counts);
    }

    fn store(&mut self, gib: usize, counts: Counts) {
        self.counts[gib] = counts.0;
        self.groups[gib / GROUP] |= counts.present();
    }

    /// The GiB nearest to `end` of those with the smallest maximal buddy that is at least of `level`, and the
    /// level of that.
    fn find(&mut self, level: u32, end: End) -> Option<(usize, u32)> {
        let fitting = u64::MAX << SHIFT[level as usize];
        loop {
            let lowest = |marks: u64| (marks & fitting).trailing_zeros();
            let mark = self.groups.iter().map(|&marks| lowest(marks)).min()?;
            if mark == u64::BITS {
                return None;
            }
            let has = |&marks: &u64| lowest(marks) == mark;
            let group = match end {
                End::Bottom => self.groups.iter().position(has)?,
                End::Top => self.groups.iter().rposition(has)?,
            };
            let start = group * GROUP;
            let gibs = &self.counts[start..self.counts.len().min(start + GROUP)];
            let has = |&counts: &u64| Counts(counts).present() >> mark & 1 == 1;
            let gib = match end {
                End::Bottom => gibs.iter().position(has),
                End::Top => gibs.iter().rposition(has),
            };
            if let Some(gib) = gib {
                return Some((start + gib, LEVEL_OF[mark as usize].into()));
            }
            // The group promised too much: every look in vain is paid for by the buddy that went away.
            self.groups[group] = gibs.iter().fold(0, |marks, &counts| marks | Counts(counts).present());
        }
    }

    /// Whether the counts of a GiB and its group say what its bits say.
    pub(crate) fn is_sound(&self, gib: usize) -> bool {
        let mut expected = [0; LEVELS];
        buddies::count_maximal(self.bits(gib), &mut expected);
        let counts = Counts(self.counts[gib]);
        let counted = (0..=TOP).all(|level| counts.of(level) == expected[level as usize]);
        counted && counts.0 & MARKS == 0 && counts.present() & !self.groups[gib / GROUP] == 0
    }
}
