//! Ten small counts in two words, one per buddy level, added and compared all at once.

use crate::buddies::TOP;

/// Levels 0 to 9.
pub(crate) const LEVELS: usize = TOP as usize + 1;
/// Words of a tally, each with the counts of five levels.
const WORDS: usize = 2;
const LEVELS_PER_WORD: u32 = 5;
/// Bits of a count.
const WIDTH: u32 = 11;
/// From one count to the next: above each stands a bit that is always 0 in a tally.
const STRIDE: u32 = WIDTH + 1;

/// For each level from 0 to 9, how many of something there are: 0 to 2047.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Tally([u64; WORDS]);

/// One of each level below the index.
const ONE_BELOW: [Tally; LEVELS + 1] = {
    let mut table = [Tally::NONE; LEVELS + 1];
    let mut level = 0;
    while level < LEVELS {
        let (word, shift) = position(level as u32);
        table[level + 1] = table[level];
        table[level + 1].0[word] |= 1 << shift;
        level += 1;
    }
    table
};
/// One of each level, in each word.
const ONE_EACH: u64 = ONE_BELOW[LEVELS].0[0];
/// The largest count in each count's place.
const LARGEST: u64 = ONE_EACH * ((1 << WIDTH) - 1);

/// The word and bit where a level's count starts.
const fn position(level: u32) -> (usize, u32) {
    ((level / LEVELS_PER_WORD) as usize, level % LEVELS_PER_WORD * STRIDE)
}

impl Tally {
    /// None of any level.
    pub(crate) const NONE: Self = Self([0; WORDS]);

    /// How many of `level` there are.
    pub(crate) const fn of(self, level: u32) -> u64 {
        let (word, shift) = position(level);
        (self.0[word] >> shift) & ((1 << WIDTH) - 1)
    }

    /// One of each level of which there is at least one: adding the largest count to every count carries into
    /// the bit above exactly where it is not 0.
    #[inline]
    pub(crate) fn present(self) -> Self {
        Self(self.0.map(|word| ((word + LARGEST) >> WIDTH) & ONE_EACH))
    }

    /// The lowest level from `level` on of which there is one; only for what [`present`](Self::present) gives.
    #[inline]
    pub(crate) fn lowest_from(self, level: u32) -> Option<u32> {
        let [low, high] = Self::parts(level, LEVELS as u32).0;
        let bit = match (self.0[0] & low, self.0[1] & high) {
            (0, 0) => return None,
            (0, high) => LEVELS_PER_WORD * STRIDE + high.trailing_zeros(),
            (low, _) => low.trailing_zeros(),
        };
        Some(bit / STRIDE)
    }

    /// The largest count of `level`, for [`any`](Self::any).
    #[inline]
    pub(crate) fn mask(level: u32) -> Self {
        Self(Self::one(level).0.map(|one| one * ((1 << WIDTH) - 1)))
    }

    /// Whether there is one of the levels in `mask`.
    #[inline]
    pub(crate) fn any(self, mask: Self) -> bool {
        (self.0[0] & mask.0[0]) | (self.0[1] & mask.0[1]) != 0
    }

    /// This tally with the counts of `more` added and those of `less`, which it has, taken away.
    #[inline]
    pub(crate) fn adjusted(self, more: Self, less: Self) -> Self {
        Self(core::array::from_fn(|word| self.0[word] + more.0[word] - less.0[word]))
    }

    /// One of each level from `from` to `to - 1`: what is left of a buddy of `to` that is split for one of `from`.
    #[inline]
    pub(crate) const fn parts(from: u32, to: u32) -> Self {
        let (below, all) = (&ONE_BELOW[from as usize].0, &ONE_BELOW[to as usize].0);
        Self([all[0] - below[0], all[1] - below[1]])
    }

    /// One of `level`.
    #[inline]
    pub(crate) const fn one(level: u32) -> Self {
        Self::parts(level, level + 1)
    }
}

/// How a tally lies in memory.
pub(crate) type Stored = [u64; WORDS];

impl From<Stored> for Tally {
    fn from(words: Stored) -> Self {
        Self(words)
    }
}

impl From<Tally> for Stored {
    fn from(tally: Tally) -> Self {
        tally.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(counts: [u64; LEVELS]) -> Tally {
        let mut tally = Tally::NONE;
        for (level, count) in (0..).zip(counts) {
            (0..count).for_each(|_| tally = tally.adjusted(Tally::one(level), Tally::NONE));
        }
        tally
    }

    #[test]
    fn every_level_counts_for_itself() {
        let counts = [2047, 0, 1, 0, 0, 512, 2047, 0, 2, 0];
        let tally = tally(counts);
        for level in 0..=TOP {
            let count = counts[level as usize];
            assert_eq!(tally.of(level), count);
            assert_eq!(tally.any(Tally::mask(level)), count > 0);
            assert_eq!(tally.present().of(level), count.min(1));
            let expected = (level..=TOP).find(|&level| counts[level as usize] > 0);
            assert_eq!(tally.present().lowest_from(level), expected);
        }
    }

    #[test]
    fn a_split_leaves_one_of_each_level_and_a_merge_takes_it_back() {
        let whole = tally([0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
        let split = whole.adjusted(Tally::parts(3, 9), Tally::one(9));
        assert_eq!(split, tally([0, 0, 0, 1, 1, 1, 1, 1, 1, 0]));
        assert_eq!(split.adjusted(Tally::one(9), Tally::parts(3, 9)), whole);
        assert_eq!(Tally::parts(4, 4), tally([0; LEVELS]));
    }
}
