//! One bit for each frame of a guest's RAM.

use alloc::vec::Vec;

use godwit_guest::GuestFrame;
use godwit_wire::{Offer, Region};

#[derive(Debug)]
struct Piece {
    ram: Region,
    /// Frames of the pieces before it: where its bits begin.
    first_bit: u64,
}

/// A set of frames out of a guest's RAM.
#[derive(Debug)]
pub(super) struct FrameSet {
    pieces: Vec<Piece>,
    words: Vec<u64>,
    frames: u64,
    members: u64,
}

/// Consecutive frames that are all RAM, by their bits in a [`FrameSet`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Bits {
    first: u64,
    count: u64,
}

/// Words of the largest set: 32 GiB of RAM. The heap is the whole host's, and a peer says how large its guest is.
const MAX_WORDS: usize = 1 << 17;

impl Bits {
    /// How many frames.
    pub(super) fn count(self) -> u64 {
        self.count
    }
}

impl FrameSet {
    /// The empty set of frames out of the RAM that `offer` names; `None` where there is no memory for it.
    pub(super) fn new(offer: &Offer) -> Option<Self> {
        let mut pieces = Vec::new();
        let mut frames = 0;
        for ram in offer.pieces() {
            pieces.push(Piece { ram, first_bit: frames });
            frames += ram.frames;
        }
        let length = usize::try_from(frames.div_ceil(64)).ok().filter(|&length| length <= MAX_WORDS)?;
        let mut words = Vec::new();
        words.try_reserve_exact(length).ok()?;
        words.resize(length, 0);
        Some(Self { pieces, words, frames, members: 0 })
    }

    /// How many frames could be in the set.
    pub(super) fn frames(&self) -> u64 {
        self.frames
    }

    /// How many are.
    pub(super) fn members(&self) -> u64 {
        self.members
    }

    /// The bits of `count` frames from `first` on, where all of them are RAM in one piece.
    pub(super) fn bits(&self, first: GuestFrame, count: u64) -> Option<Bits> {
        let before = self.pieces.partition_point(|piece| piece.ram.start <= first);
        let piece = self.pieces.get(before.checked_sub(1)?)?;
        let into = first.0 - piece.ram.start.0;
        let fits = into.checked_add(count)? <= piece.ram.frames;
        fits.then_some(Bits { first: piece.first_bit + into, count })
    }

    /// How many of `bits` are in the set.
    pub(super) fn count(&self, bits: Bits) -> u64 {
        masks(bits)
            .map(|(word, mask)| self.words.get(word).map_or(0, |word| u64::from((word & mask).count_ones())))
            .sum()
    }

    /// Puts `bits`, none of which is in it, into the set.
    pub(super) fn insert(&mut self, bits: Bits) {
        for (word, mask) in masks(bits) {
            if let Some(word) = self.words.get_mut(word) {
                *word |= mask;
            }
        }
        self.members += bits.count;
    }
}

/// The words that `bits` lie in, and which bits of each.
fn masks(bits: Bits) -> impl Iterator<Item = (usize, u64)> {
    let end = bits.first + bits.count;
    let mut at = bits.first;
    core::iter::from_fn(move || {
        let left = end.checked_sub(at).filter(|&left| left > 0)?;
        let shift = at % 64;
        let count = left.min(64 - shift);
        let word = (at / 64) as usize;
        at += count;
        Some((word, (u64::MAX >> (64 - count)) << shift))
    })
}

#[cfg(test)]
mod tests;
