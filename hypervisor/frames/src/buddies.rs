//! Buddies in a set of 512 bits: the arithmetic that blocks and GiBs share.
//!
//! A set bit is a free unit: a frame of a 2 MiB block, or a 2 MiB block of a GiB. A *buddy* of level `l` is
//! a naturally aligned group of `2^l` set bits, `l` from 0 to 9; it is *maximal* where the group of the next
//! level around it is not all set. Bits are handled by the word: no loop here runs over single bits.

use core::array::from_fn;

/// 512 units, a set bit for a free one.
pub(crate) type Bits = [u64; 8];

/// All 512 units.
pub(crate) const TOP: u32 = 9;
/// Nothing free.
pub(crate) const NONE: Bits = [0; 8];
/// Everything free.
pub(crate) const ALL: Bits = [u64::MAX; 8];

/// A word is a buddy of this level.
const WORD: u32 = 6;

/// Per level up to a word: the lowest bit of each aligned group.
const LOWEST: [u64; 7] = [
    u64::MAX,
    0x5555_5555_5555_5555,
    0x1111_1111_1111_1111,
    0x0101_0101_0101_0101,
    0x0001_0001_0001_0001,
    0x0000_0001_0000_0001,
    1,
];

/// Which end of memory to take from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum End {
    /// The lowest fitting place.
    Bottom,
    /// The highest fitting place.
    Top,
}

/// The words that `count` units from `first` on touch, each with its mask.
pub(crate) fn masks(first: u32, count: u32) -> impl Iterator<Item = (usize, u64)> {
    let end = first + count;
    (first / 64..end.div_ceil(64)).map(move |word| {
        let low = first.saturating_sub(word * 64);
        let high = (end - word * 64).min(64);
        (word as usize, (u64::MAX >> (64 - (high - low))) << low)
    })
}

/// How many units are set.
pub(crate) fn count(bits: &Bits) -> u32 {
    bits.iter().map(|word| word.count_ones()).sum()
}

/// Sets an aligned group of `level` at `first`.
#[inline]
pub(crate) fn set_group(bits: &mut Bits, first: u32, level: u32) {
    let word = first as usize / 64;
    if level < WORD {
        bits[word] |= group_mask(first, level);
    } else {
        bits[word..word + (1 << (level - WORD))].fill(u64::MAX);
    }
}

/// Clears an aligned group of `level` at `first`.
#[inline]
pub(crate) fn clear_group(bits: &mut Bits, first: u32, level: u32) {
    let word = first as usize / 64;
    if level < WORD {
        bits[word] &= !group_mask(first, level);
    } else {
        bits[word..word + (1 << (level - WORD))].fill(0);
    }
}

/// Whether no unit is set. (Comparing arrays would call `memcmp`.)
#[inline]
fn is_none(bits: &Bits) -> bool {
    bits.iter().fold(0, |any, word| any | word) == 0
}

/// The bits of a group in its first word.
const fn group_mask(first: u32, level: u32) -> u64 {
    match level {
        WORD.. => u64::MAX,
        _ => ((1 << (1 << level)) - 1) << (first % 64),
    }
}

/// The level of the maximal buddy around the group of `level` at `first`, which is all set.
pub(crate) fn maximal_level(bits: &Bits, first: u32, level: u32) -> u32 {
    let mut level = level;
    let word = (first / 64) as usize;
    while level < WORD {
        let mask = group_mask(first >> (level + 1) << (level + 1), level + 1);
        if bits[word] & mask != mask {
            return level;
        }
        level += 1;
    }
    while level < TOP {
        let words = 1 << (level + 1 - WORD);
        let start = word & !(words - 1);
        if bits[start..start + words].iter().any(|&word| word != u64::MAX) {
            return level;
        }
        level += 1;
    }
    level
}

/// The level of the largest buddy inside one word, or `None` where the word is empty.
pub(crate) const fn largest_in_word(word: u64) -> Option<u32> {
    if word == 0 {
        return None;
    }
    let mut groups = word;
    let mut level = 0;
    while level < WORD {
        groups &= groups >> (1 << level);
        level += 1;
        groups &= LOWEST[level as usize];
        if groups == 0 {
            return Some(level - 1);
        }
    }
    Some(level)
}

/// The level of the largest buddy, or `None` where nothing is set.
pub(crate) fn largest_level(bits: &Bits) -> Option<u32> {
    let level = bits.iter().filter_map(|&word| largest_in_word(word)).max()?;
    if level < WORD {
        return Some(level);
    }
    let whole = (0..bits.len()).filter(|&word| bits[word] == u64::MAX);
    whole.map(|word| maximal_level(bits, word as u32 * 64, WORD)).max()
}

/// The first unit of the smallest maximal buddy of at least `level`, the one nearest to `end`.
pub(crate) fn best_fit(bits: &Bits, level: u32, end: End) -> Option<u32> {
    (level..=TOP).find_map(|level| find_maximal(bits, level, end))
}

/// The first unit of the maximal buddy of exactly `level` that is nearest to `end`.
pub(crate) fn find_maximal(bits: &Bits, level: u32, end: End) -> Option<u32> {
    let in_word = |word: usize| {
        let maximal = maximal_in_word(bits, word, level);
        let bit = match end {
            End::Bottom => maximal.trailing_zeros(),
            End::Top => maximal.checked_ilog2()?,
        };
        (maximal != 0).then_some(word as u32 * 64 + bit)
    };
    match end {
        End::Bottom => (0..bits.len()).find_map(in_word),
        End::Top => (0..bits.len()).rev().find_map(in_word),
    }
}

/// The first unit of the lowest buddy of `level`, maximal or not.
pub(crate) fn find_lowest(bits: &Bits, level: u32) -> Option<u32> {
    if level < WORD {
        let in_word = |word: usize| {
            let groups = groups_in_word(bits[word], level);
            (groups != 0).then(|| word as u32 * 64 + groups.trailing_zeros())
        };
        return (0..bits.len()).find_map(in_word);
    }
    let words = 1 << (level - WORD);
    let is_set = |group: &[u64]| group.iter().all(|&word| word == u64::MAX);
    let group = bits.chunks_exact(words).position(is_set)?;
    Some((group * words) as u32 * 64)
}

/// The lowest bits of the buddies of `level`, below that of a word, in a word.
#[inline]
fn groups_in_word(word: u64, level: u32) -> u64 {
    let mut groups = word;
    for level in 0..level {
        groups &= groups >> (1 << level) & LOWEST[level as usize + 1];
    }
    groups
}

/// The lowest bits of the maximal buddies of exactly `level` that begin in a word.
#[inline]
fn maximal_in_word(bits: &Bits, word: usize, level: u32) -> u64 {
    if level < WORD {
        let groups = groups_in_word(bits[word], level);
        let above = groups & groups >> (1 << level) & LOWEST[level as usize + 1];
        return groups & !(above | above << (1 << level));
    }
    let is_maximal = || {
        let (words, first) = (1 << (level - WORD), word as u32 * 64);
        bits[word..word + words].iter().all(|&word| word == u64::MAX)
            && maximal_level(bits, first, level) == level
    };
    let aligned = word.is_multiple_of(1 << (level - WORD));
    u64::from(bits[word] == u64::MAX && aligned && is_maximal())
}

/// Adds the number of maximal buddies of each level to `counts`.
pub(crate) fn count_maximal(bits: &Bits, counts: &mut [u64; 10]) {
    let mut groups = Groups { level: 0, lowest: *bits };
    while groups.level < TOP && !groups.is_empty() {
        let above = groups.above();
        counts[groups.level as usize] += u64::from(count(&groups.outside(&above).lowest));
        groups = above;
    }
    if groups.level == TOP {
        counts[TOP as usize] += u64::from(!groups.is_empty());
    }
}

/// Which aligned groups of one level are all set, each named by its lowest bit.
#[derive(Clone, Copy)]
struct Groups {
    level: u32,
    lowest: Bits,
}

impl Groups {
    fn is_empty(&self) -> bool {
        is_none(&self.lowest)
    }

    /// The groups of the next level.
    fn above(&self) -> Self {
        let level = self.level + 1;
        let lowest =
            if level <= WORD {
                let half = 1 << self.level;
                from_fn(|word| {
                    let set = self.lowest[word];
                    set & (set >> half) & LOWEST[level as usize]
                })
            } else {
                let half = 1 << (self.level - WORD);
                from_fn(|word| {
                    if word & (2 * half - 1) == 0 { self.lowest[word] & self.lowest[word + half] } else { 0 }
                })
            };
        Self { level, lowest }
    }

    /// The groups that lie in none of the groups `above`.
    fn outside(&self, above: &Self) -> Self {
        let lowest = if self.level < WORD {
            let half = 1 << self.level;
            from_fn(|word| self.lowest[word] & !(above.lowest[word] | above.lowest[word] << half))
        } else {
            let half = 1 << (self.level - WORD);
            from_fn(|word| self.lowest[word] & !(above.lowest[word] | above.lowest[word & !half]))
        };
        Self { level: self.level, lowest }
    }
}

#[cfg(test)]
mod tests;
