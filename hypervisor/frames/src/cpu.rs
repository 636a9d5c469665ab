//! One CPU's way to its frames.

use core::sync::atomic::Ordering::Relaxed;

use arrayvec::ArrayVec;

use crate::block::Mobility;
use crate::error::{AllocateError, FreeError};
use crate::frame::{FrameRange, HostFrame};
use crate::frames::Frames;
use crate::order::Order;
use crate::run::FrameRun;
use crate::runs;
use crate::zone::{Claim, OwnBlock};

/// The number of a word that does not exist.
const NO_WORD: u64 = u64::MAX;
/// No word.
const NOTHING: Claim = Claim { word: NO_WORD, bits: 0 };

/// A CPU's handle on the shared [`Frames`]: every CPU has its own.
///
/// Single frames come out of bitmap words that the handle has claimed, one per class, and go back into them
/// or into a third word of frames that wait to be given back: most calls touch nothing but the handle. It
/// keeps at most 192 frames at hand. Dropping it gives them back, as [`drain`](Self::drain) does.
// Two cache lines, so that handles side by side in an array do not share one (nor a prefetched pair).
#[repr(align(128))]
pub struct CpuFrames<'f, 'm> {
    frames: &'f Frames<'m>,
    /// The tag of a single frame of this allocator.
    frame_tag: u64,
    /// Words to allocate from, by class.
    claims: [Claim; 2],
    /// Freed frames of one word, which go back together.
    pending: Claim,
    /// Blocks to claim words from, by class, each with its zone.
    own: [(usize, OwnBlock); 2],
    /// The shared count of failed allocations as last seen.
    pressure: u32,
}

impl<'f, 'm> CpuFrames<'f, 'm> {
    pub(crate) fn new(frames: &'f Frames<'m>) -> Self {
        let owner = frames.next_handle();
        Self {
            frames,
            frame_tag: frames.number.tag(1),
            claims: [NOTHING; 2],
            pending: NOTHING,
            own: [(0, OwnBlock { owner, block: None }); 2],
            pressure: frames.pressure.load(Relaxed),
        }
    }

    /// Allocates one naturally aligned run of `order`.
    ///
    /// # Errors
    /// [`AllocateError::Exhausted`] where no such run is free outside other CPUs' handles. That also asks
    /// those CPUs to drain at their next [`poll`](Self::poll).
    #[inline]
    pub fn allocate(&mut self, order: Order, mobility: Mobility) -> Result<FrameRun, AllocateError> {
        let claim = &mut self.claims[mobility as usize];
        if order == Order::FRAME && claim.bits != 0 {
            let start = claim.word * 64 + u64::from(claim.bits.trailing_zeros());
            claim.bits &= claim.bits - 1;
            return Ok(FrameRun::made_by(self.frames.number, start, 1));
        }
        self.allocate_shared(order, mobility)
    }

    /// Allocates exactly the frames of `range`.
    ///
    /// # Errors
    /// [`AllocateError::Range`] where one of them is not free, or the range does not lie in one zone.
    pub fn allocate_at(&mut self, range: FrameRange, mobility: Mobility) -> Result<FrameRun, AllocateError> {
        let zone = self.frames.zone_of(range)?;
        self.drain();
        let taken = zone.state.lock().allocate_at(range, mobility);
        taken.map_err(|error| self.pressed(self.frames.with_cached(error).into()))?;
        Ok(FrameRun::made_by(self.frames.number, range.start.number(), range.frames))
    }

    /// Allocates `frames` frames as a list of at most `max_runs` (and at most `N`) runs, best fit: the
    /// smallest free span that holds all of them, else the largest spans. Spans are aligned to `preferred`
    /// first and to smaller leaves (2 MiB, then one frame) where that is not to be had.
    ///
    /// Locks all zones for as long as it searches them: this is for guests, not for single tables.
    ///
    /// # Errors
    /// [`AllocateError::Scattered`] where the frames cannot be had in so few runs; nothing is taken then.
    pub fn allocate_runs<const N: usize>(
        &mut self,
        frames: u64,
        preferred: Order,
        max_runs: usize,
        mobility: Mobility,
    ) -> Result<ArrayVec<FrameRun, N>, AllocateError> {
        self.drain();
        runs::allocate_runs(self.frames, frames, preferred, max_runs, mobility).map_err(|short| {
            self.pressed(AllocateError::Scattered {
                wanted_frames: frames,
                had_frames: short.had_frames,
                had_runs: short.had_runs,
                cached_frames_at_most: self.frames.cached_frames_at_most(),
            })
        })
    }

    /// Gives a run back.
    ///
    /// # Errors
    /// [`FreeError`] gives back, untouched, a run that another allocator made.
    #[inline]
    pub fn free(&mut self, run: FrameRun) -> Result<(), FreeError> {
        if !run.has_tag(self.frame_tag) {
            return self.free_run(run);
        }
        let start = run.start().number();
        let (word, bit) = (start / 64, 1 << (start % 64));
        let [movable, unmovable] = &mut self.claims;
        for claim in [movable, unmovable, &mut self.pending] {
            if claim.word == word {
                debug_assert!(claim.bits & bit == 0, "a frame came back twice");
                claim.bits |= bit;
                return Ok(());
            }
        }
        self.replace_pending(Claim { word, bits: bit });
        Ok(())
    }

    /// Gives back all free frames that this handle keeps at hand; do so before the CPU goes idle.
    pub fn drain(&mut self) {
        self.replace_pending(NOTHING);
        for mobility in Mobility::ALL {
            let claim = core::mem::replace(&mut self.claims[mobility as usize], NOTHING);
            self.give_back(claim, true);
            let (zone, own) = &mut self.own[mobility as usize];
            if own.block.is_some()
                && let Some(zone) = self.frames.zones.get(*zone)
            {
                zone.state.lock().let_go(own);
            }
        }
    }

    /// Drains where another CPU ran out of frames since the last call; call it once per turn of the CPU's loop.
    #[inline]
    pub fn poll(&mut self) {
        let pressure = self.frames.pressure.load(Relaxed);
        if pressure != self.pressure {
            self.pressure = pressure;
            self.drain();
        }
    }

    /// Free frames that this handle keeps at hand, at most 192.
    pub fn held_frames(&self) -> u64 {
        let [movable, unmovable] = self.claims;
        [movable, unmovable, self.pending].iter().map(|claim| u64::from(claim.bits.count_ones())).sum()
    }

    /// Allocates under a lock; where that fails, once more with what this handle had kept at hand.
    #[cold]
    fn allocate_shared(&mut self, order: Order, mobility: Mobility) -> Result<FrameRun, AllocateError> {
        if let Some(run) = self.try_zones(order, mobility) {
            return Ok(run);
        }
        if self.claims != [NOTHING; 2] || self.pending != NOTHING {
            self.drain();
            if let Some(run) = self.try_zones(order, mobility) {
                return Ok(run);
            }
        }
        Err(self.pressed(AllocateError::Exhausted {
            wanted_frames: order.frames(),
            cached_frames_at_most: self.frames.cached_frames_at_most(),
        }))
    }

    fn try_zones(&mut self, order: Order, mobility: Mobility) -> Option<FrameRun> {
        if order == Order::FRAME {
            return self.claim(mobility);
        }
        let large = order.get().checked_sub(Order::LARGE.get());
        let start = self.frames.zones.iter().find_map(|zone| {
            let mut zone = zone.state.lock();
            match large {
                Some(level) => zone.allocate_large(level.into(), mobility),
                None => zone.allocate_small(order.get().into(), mobility),
            }
        })?;
        Some(FrameRun::made_by(self.frames.number, start, order.frames()))
    }

    /// Claims a new word, the old one being used up, and takes its first frame.
    fn claim(&mut self, mobility: Mobility) -> Option<FrameRun> {
        let class = mobility as usize;
        let fresh = self.claims[class].word == NO_WORD;
        if fresh {
            // Before the frames leave the zone: the shared count may be too high for a moment, never too low.
            self.frames.cached_words.fetch_add(1, Relaxed);
        }
        let (home, own) = &mut self.own[class];
        let zones = &self.frames.zones;
        // The zone with the handle's own block comes first: it is left once it has nothing more to claim.
        let first = if own.block.is_some() { *home } else { 0 };
        let order = core::iter::once(first).chain((0..zones.len()).filter(|&zone| zone != first));
        let mut claimed = None;
        for index in order {
            claimed = zones[index].state.lock().claim(mobility, own);
            if claimed.is_some() {
                *home = index;
                break;
            }
        }
        let Some(Claim { word, bits }) = claimed else {
            if fresh {
                self.frames.cached_words.fetch_sub(1, Relaxed);
            }
            return None;
        };
        self.claims[class] = Claim { word, bits: bits & (bits - 1) };
        let start = word * 64 + u64::from(bits.trailing_zeros());
        Some(FrameRun::made_by(self.frames.number, start, 1))
    }

    fn free_run(&mut self, run: FrameRun) -> Result<(), FreeError> {
        if !self.frames.number.made(&run) {
            return Err(FreeError { run });
        }
        let Ok(zone) = self.frames.zone_of(run.range()) else { return Err(FreeError { run }) };
        zone.state.lock().give_range(run.start().number(), run.frames());
        Ok(())
    }

    #[inline(never)]
    fn replace_pending(&mut self, pending: Claim) {
        if self.pending.word == NO_WORD && pending.word != NO_WORD {
            self.frames.cached_words.fetch_add(1, Relaxed);
        }
        let old = core::mem::replace(&mut self.pending, pending);
        self.give_back(old, pending.word == NO_WORD);
    }

    /// Gives the frames of a word back; `last` says that no other word takes its place.
    fn give_back(&self, claim: Claim, last: bool) {
        if claim.bits != 0 {
            let first = claim.word * 64 + u64::from(claim.bits.trailing_zeros());
            if let Ok(zone) = self.frames.zone_of(FrameRange::new(HostFrame::new(first), 1)) {
                zone.state.lock().give_word(claim.word, claim.bits);
            }
        }
        if last && claim.word != NO_WORD {
            self.frames.cached_words.fetch_sub(1, Relaxed);
        }
    }

    /// Asks the other CPUs to drain, since this one failed.
    fn pressed(&mut self, error: AllocateError) -> AllocateError {
        let before = self.frames.pressure.fetch_add(1, Relaxed);
        if self.pressure == before {
            self.pressure = before.wrapping_add(1);
        }
        error
    }
}

impl Drop for CpuFrames<'_, '_> {
    fn drop(&mut self) {
        self.drain();
    }
}
