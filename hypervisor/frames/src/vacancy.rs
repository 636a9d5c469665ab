//! Vacant 2 MiB blocks, summed up per GiB: where buddies of 2 MiB to 1 GiB are.
//!
//! A *place* is a block's number counted from the start of the zone's first GiB, so that a place's low nine
//! bits are its position in its GiB. A *level* here is an order less 9: 0 is 2 MiB, 9 is 1 GiB.
//!
//! Each GiB has a [`Tally`] of its maximal buddies, and each group of 64 GiBs one of its GiBs that have a buddy
//! of a level: so a look at each group, and at the GiBs of one, finds the best fit.

use crate::buddies::{self, Bits, End, TOP};
use crate::tally::{Stored, Tally};

/// Blocks in a GiB.
pub(crate) const GIB_BLOCKS: usize = 512;
/// GiBs in a group.
const GROUP: usize = 64;

/// A zone's vacant blocks.
pub(crate) struct Vacancy<'m> {
    /// Per GiB: which of its blocks are vacant.
    bits: &'m mut [Bits],
    /// Per GiB: maximal buddies of each level.
    gibs: &'m mut [Stored],
    /// Per group: GiBs that have a maximal buddy of each level.
    groups: &'m mut [Stored],
}

impl<'m> Vacancy<'m> {
    /// Words that `gibs` GiBs need.
    pub(crate) const fn words(gibs: usize) -> usize {
        gibs * 8 + (gibs + gibs.div_ceil(GROUP)) * size_of::<Stored>() / 8
    }

    /// Nothing vacant, in the [`words`](Self::words) given.
    pub(crate) fn new(gibs: usize, words: &'m mut [u64]) -> Self {
        words.fill(0);
        let (bits, rest) = words.split_at_mut(gibs * 8);
        let (gibs, groups) = rest.split_at_mut(gibs * size_of::<Stored>() / 8);
        let (gibs, groups) = (gibs.as_chunks_mut().0, groups.as_chunks_mut().0);
        Self { bits: bits.as_chunks_mut().0, gibs, groups }
    }

    /// How many GiBs there are.
    pub(crate) fn gibs(&self) -> usize {
        self.bits.len()
    }

    /// Which blocks of a GiB are vacant.
    pub(crate) fn bits(&self, gib: usize) -> &Bits {
        &self.bits[gib]
    }

    /// Takes `2^level` vacant blocks out of the smallest maximal buddy that fits, nearest to the top; returns
    /// their place.
    pub(crate) fn take_best(&mut self, level: u32) -> Option<usize> {
        let (group, maximal) = self.best_group(level)?;
        let start = group * GROUP;
        let gibs = &self.gibs[start..self.gibs.len().min(start + GROUP)];
        let mask = Tally::mask(maximal);
        let gib = start + gibs.iter().rposition(|&tally| Tally::from(tally).any(mask))?;
        let bits = &self.bits[gib];
        let first = if maximal == TOP { 0 } else { buddies::find_maximal(bits, maximal, End::Top)? };
        let first = first + (1 << maximal) - (1 << level);
        self.remove(gib, first, level, maximal);
        Some(gib * GIB_BLOCKS + first as usize)
    }

    /// Takes the lowest `2^level` vacant blocks, whatever buddy they are part of; returns their place.
    pub(crate) fn take_lowest(&mut self, level: u32) -> Option<usize> {
        let has = |&tally: &Stored| Tally::from(tally).present().lowest_from(level).is_some();
        let start = self.groups.iter().position(has)? * GROUP;
        let gib = start + self.gibs.get(start..)?.iter().position(has)?;
        let first = buddies::find_lowest(&self.bits[gib], level)?;
        let place = gib * GIB_BLOCKS + first as usize;
        self.take(place, level);
        Some(place)
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
        if Tally::from(self.gibs[gib]) == Tally::parts(level, TOP) {
            // One buddy of each level up to the top is all of the GiB but these blocks.
            return self.replace(gib, Tally::one(TOP));
        }
        let maximal = buddies::maximal_level(bits, first, level);
        // Merging: one buddy more of the level that results, one less of each level on the way there.
        self.adjust(gib, Tally::one(maximal), Tally::parts(level, maximal));
    }

    /// The last group of those with the smallest maximal buddy from `level` on, and its level.
    #[inline]
    fn best_group(&self, level: u32) -> Option<(usize, u32)> {
        let mut best = None;
        for (index, &group) in self.groups.iter().enumerate() {
            if let Some(lowest) = Tally::from(group).present().lowest_from(level)
                && best.is_none_or(|(_, best)| lowest <= best)
            {
                best = Some((index, lowest));
            }
        }
        best
    }

    // Always inlined, as `adjust` and `replace` are: a call each is a tenth of the time that a 2 MiB run takes.
    #[inline(always)]
    fn remove(&mut self, gib: usize, first: u32, level: u32, maximal: u32) {
        buddies::clear_group(&mut self.bits[gib], first, level);
        // Splitting: the exact opposite of merging.
        if maximal == TOP {
            self.replace(gib, Tally::parts(level, TOP));
        } else {
            self.adjust(gib, Tally::parts(level, maximal), Tally::one(maximal));
        }
    }

    /// Adjusts a GiB's tally and, where a level has appeared or gone, its group's.
    #[inline(always)]
    fn adjust(&mut self, gib: usize, more: Tally, less: Tally) {
        let stored = &mut self.gibs[gib];
        let before = Tally::from(*stored);
        let after = before.adjusted(more, less);
        *stored = after.into();
        let (appeared, gone) = (after.present(), before.present());
        if appeared != gone {
            let group = &mut self.groups[gib / GROUP];
            *group = Tally::from(*group).adjusted(appeared, gone).into();
        }
    }

    /// Replaces a GiB's tally where neither the old nor the new one counts more than one of any level.
    #[inline(always)]
    fn replace(&mut self, gib: usize, after: Tally) {
        let before = core::mem::replace(&mut self.gibs[gib], after.into());
        let group = &mut self.groups[gib / GROUP];
        *group = Tally::from(*group).adjusted(after, before.into()).into();
    }

    /// Whether the tallies say what the bits of all GiBs say.
    pub(crate) fn is_sound(&self) -> bool {
        let group = |gibs: &[Stored]| {
            let present = gibs.iter().map(|&gib| Tally::from(gib).present());
            present.fold(Tally::NONE, |sum, present| sum.adjusted(present, Tally::NONE))
        };
        let mut groups = self.gibs.chunks(GROUP).zip(&*self.groups);
        (0..self.gibs()).all(|gib| self.is_gib_sound(gib))
            && groups.all(|(gibs, &stored)| group(gibs) == Tally::from(stored))
    }

    fn is_gib_sound(&self, gib: usize) -> bool {
        let mut counts = [0; TOP as usize + 1];
        buddies::count_maximal(self.bits(gib), &mut counts);
        (0..).zip(counts).all(|(level, count)| Tally::from(self.gibs[gib]).of(level) == count)
    }
}
