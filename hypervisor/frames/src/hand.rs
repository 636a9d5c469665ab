//! What one CPU keeps at hand of one class: single frames that need no lock.

use arrayvec::ArrayVec;

use crate::block::Mobility;
use crate::frame::{FrameRange, HostFrame};
use crate::frames::{Frames, LockedZone};
use crate::zone::{Claim, OwnBlock, STOCK_FRAMES, Stock};

/// A claim of nothing: no frame is in this word.
const NOTHING: Claim = Claim { word: u64::MAX, bits: 0 };
/// Words of freed frames that wait to be given back together.
const FREED_WORDS: usize = 32;
/// Freed frames that wait, at most.
const FREED_FRAMES: u32 = 64;
/// Of so many chances to take a freed frame again, one is passed by; a power of two.
///
/// To take what was freed last is cheap and leaves memory as it is. Only frames that go through the zone can
/// move to fuller blocks and let emptier ones run out, so that memory heals even where each free is followed
/// by an allocation.
const HEALING: u32 = 64;
/// Frames at hand, at most: the stock, a word in use that frees have filled up again, and those that wait.
pub(crate) const HAND_FRAMES: u64 = STOCK_FRAMES + 64 + FREED_FRAMES as u64;

/// A CPU's frames of one class.
pub(crate) struct Hand {
    /// The word in use.
    current: Claim,
    freed_frames: u32,
    turn: u32,
    /// Frames that wait to be given back, by the word.
    freed: ArrayVec<Claim, FREED_WORDS>,
    /// Words claimed from the zone and not used yet.
    stock: Stock,
    /// The block that words are claimed from, and its zone.
    own: OwnBlock,
    zone: usize,
}

impl Hand {
    /// An empty hand of the handle with the number `owner`.
    pub(crate) const fn new(owner: u32) -> Self {
        Self {
            current: NOTHING,
            freed_frames: 0,
            turn: 0,
            freed: ArrayVec::new_const(),
            stock: Stock::new_const(),
            own: OwnBlock { owner, block: None },
            zone: 0,
        }
    }

    /// Takes a frame of the word in use; returns its number.
    #[inline]
    pub(crate) fn take_current(&mut self) -> Option<u64> {
        let Claim { word, bits } = self.current;
        if bits == 0 {
            return None;
        }
        self.current.bits = bits & (bits - 1);
        Some(word * 64 + u64::from(bits.trailing_zeros()))
    }

    /// Takes a frame of another word, the one in use having none left: of the stock, or of newly claimed ones.
    #[inline(never)]
    pub(crate) fn take_next(&mut self, frames: &Frames<'_>, mobility: Mobility) -> Option<u64> {
        if self.stock.is_empty() {
            self.claim(frames, mobility);
        }
        self.current = self.stock.pop()?;
        self.take_current()
    }

    /// Puts a freed frame into the word in use, or makes its word the one in use where that has none left; says
    /// whether it did.
    #[inline]
    pub(crate) fn put_current(&mut self, frame: u64) -> bool {
        let (word, bit) = (frame / 64, 1 << (frame % 64));
        if self.current.word == word {
            debug_assert!(self.current.bits & bit == 0, "a frame came back twice");
            self.current.bits |= bit;
            return true;
        }
        if self.current.bits != 0 {
            return false;
        }
        self.turn = self.turn.wrapping_add(1);
        if self.turn.is_multiple_of(HEALING) {
            return false;
        }
        self.current = Claim { word, bits: bit };
        true
    }

    /// Lets a freed frame wait, and gives all that wait back where they are many.
    #[inline]
    pub(crate) fn put(&mut self, frame: u64, frames: &Frames<'_>) {
        let (word, bit) = (frame / 64, 1 << (frame % 64));
        self.freed_frames += 1;
        match self.freed.last_mut() {
            Some(last) if last.word == word => last.bits |= bit,
            _ => self.freed.push(Claim { word, bits: bit }),
        }
        if self.freed_frames == FREED_FRAMES || self.freed.is_full() {
            self.give_freed(frames);
        }
    }

    /// Gives everything back.
    pub(crate) fn drain(&mut self, frames: &Frames<'_>) {
        self.give_freed(frames);
        if self.current.bits != 0 {
            give(frames, &[self.current]);
        }
        self.current = NOTHING;
        give(frames, &self.stock);
        self.stock.clear();
        if self.own.block.is_some()
            && let Some(zone) = frames.zones.get(self.zone)
        {
            zone.state.lock().let_go(&mut self.own);
        }
    }

    /// How many frames there are.
    pub(crate) fn frames(&self) -> u64 {
        let claims = self.freed.iter().chain(&self.stock).chain([&self.current]);
        claims.map(|claim| u64::from(claim.bits.count_ones())).sum()
    }

    fn claim(&mut self, frames: &Frames<'_>, mobility: Mobility) {
        let zones = &frames.zones;
        // The zone with the own block comes first: it is left once it has nothing more to claim.
        let first = if self.own.block.is_some() { self.zone } else { 0 };
        for index in core::iter::once(first).chain((0..zones.len()).filter(|&index| index != first)) {
            zones[index].state.lock().claim(mobility, &mut self.own, &mut self.stock);
            if !self.stock.is_empty() {
                // Words leave the stock from its end: those claimed first, of the fullest block, come first.
                self.stock.reverse();
                self.zone = index;
                return;
            }
        }
    }

    #[inline(never)]
    fn give_freed(&mut self, frames: &Frames<'_>) {
        give(frames, &self.freed);
        self.freed.clear();
        self.freed_frames = 0;
    }
}

/// Gives the frames of some words back to their zones, under one hold of the lock where one zone has them all.
fn give(frames: &Frames<'_>, claims: &[Claim]) {
    let zone_of = |claim: &Claim| {
        let first = claim.word * 64 + u64::from(claim.bits.trailing_zeros());
        frames.zone_of(FrameRange::new(HostFrame::new(first), 1)).ok()
    };
    let mut rest = claims;
    while let [claim, others @ ..] = rest {
        let Some(LockedZone { span, state }) = zone_of(claim) else {
            debug_assert!(false, "a frame at hand is of no zone");
            rest = others;
            continue;
        };
        let mut zone = state.lock();
        let end = span.start.number() + span.frames;
        while let [claim, others @ ..] = rest
            && (span.start.number() / 64..end.div_ceil(64)).contains(&claim.word)
        {
            zone.give_word(claim.word, claim.bits);
            rest = others;
        }
    }
}
