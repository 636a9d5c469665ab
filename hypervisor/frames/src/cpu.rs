//! One CPU's way to its frames.

use core::sync::atomic::Ordering::Relaxed;

use arrayvec::ArrayVec;

use crate::block::Mobility;
use crate::error::{AllocateError, FreeError};
use crate::frame::{FrameRange, HostFrame};
use crate::frames::{Frames, LockedZone};
use crate::order::Order;
use crate::run::FrameRun;
use crate::runs;
use crate::zone::{Claim, OwnBlock, STOCK_FRAMES, Stock};

/// A claim of nothing: no frame is in this word.
const NOTHING: Claim = Claim { word: u64::MAX, bits: 0 };
/// Words of freed frames that wait to be given back together.
const PENDING_WORDS: usize = 32;
/// Freed frames that wait, at most.
const PENDING_FRAMES: u32 = 64;
/// Frames that a handle keeps at hand, at most. Per class: its stock, and a word that frees have filled up again.
pub(crate) const HELD_FRAMES: u64 = 2 * (STOCK_FRAMES + 64) + PENDING_FRAMES as u64;

/// A CPU's handle on the shared [`Frames`]: every CPU has its own.
///
/// Single frames come out of bitmap words that the handle has claimed, some per class, and go back into the
/// word in use or wait to be given back together: most calls touch nothing but the handle, and the others
/// share the cost of the lock between many. At most 382 frames are kept at hand. Dropping the handle
/// gives them back, as [`drain`](Self::drain) does.
// Two cache lines, so that handles side by side in an array do not share one (nor a prefetched pair).
#[repr(align(128))]
pub struct CpuFrames<'f, 'm> {
    frames: &'f Frames<'m>,
    /// The tag of a single frame of this allocator.
    frame_tag: u64,
    /// The words in use, by class.
    current: [Claim; 2],
    pending_frames: u32,
    /// The shared count of failed allocations as last seen.
    pressure: u32,
    /// Whether the handle keeps frames at hand, as the shared count of such handles knows.
    active: bool,
    /// Freed frames that wait to be given back together.
    pending: ArrayVec<Claim, PENDING_WORDS>,
    classes: [Class; 2],
}

/// What a handle has to allocate from, for one class.
struct Class {
    stock: Stock,
    /// The block that words are claimed from, and its zone.
    own: OwnBlock,
    zone: usize,
}

impl<'f, 'm> CpuFrames<'f, 'm> {
    pub(crate) fn new(frames: &'f Frames<'m>) -> Self {
        let owner = frames.next_handle();
        let class = || Class { stock: Stock::new(), own: OwnBlock { owner, block: None }, zone: 0 };
        Self {
            frames,
            frame_tag: frames.number.tag(1),
            current: [NOTHING; 2],
            pending_frames: 0,
            pressure: frames.pressure.load(Relaxed),
            active: false,
            pending: ArrayVec::new(),
            classes: [class(), class()],
        }
    }

    /// Allocates one naturally aligned run of `order`.
    ///
    /// # Errors
    /// [`AllocateError::Exhausted`] where no such run is free outside other CPUs' handles. That also asks
    /// those CPUs to drain at their next [`poll`](Self::poll).
    #[inline]
    pub fn allocate(&mut self, order: Order, mobility: Mobility) -> Result<FrameRun, AllocateError> {
        let start = match order {
            Order::FRAME => self.take_current(mobility).or_else(|| self.take_claimed(mobility)),
            _ => self.take_run(order, mobility),
        };
        match start {
            Some(start) => Ok(FrameRun::made_by(self.frames.number, start, order.frames())),
            None => self.allocate_drained(order, mobility),
        }
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
        for claim in &mut self.current {
            if claim.word == word {
                debug_assert!(claim.bits & bit == 0, "a frame came back twice");
                claim.bits |= bit;
                return Ok(());
            }
        }
        self.pending_frames += 1;
        match self.pending.last_mut() {
            Some(last) if last.word == word => last.bits |= bit,
            _ => {
                self.activate();
                self.pending.push(Claim { word, bits: bit });
            }
        }
        if self.pending_frames == PENDING_FRAMES || self.pending.is_full() {
            self.give_pending();
        }
        Ok(())
    }

    /// Gives back all free frames that this handle keeps at hand; do so before the CPU goes idle.
    pub fn drain(&mut self) {
        self.give_pending();
        for (claim, class) in self.current.iter_mut().zip(&mut self.classes) {
            class.stock.extend((claim.bits != 0).then_some(*claim));
            *claim = NOTHING;
            give(self.frames, &mut class.stock);
            if class.own.block.is_some()
                && let Some(zone) = self.frames.zones.get(class.zone)
            {
                zone.state.lock().let_go(&mut class.own);
            }
        }
        if self.active {
            self.active = false;
            self.frames.active_handles.fetch_sub(1, Relaxed);
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

    /// Free frames that this handle keeps at hand, at most 382.
    pub fn held_frames(&self) -> u64 {
        let stock = self.classes.iter().flat_map(|class| &class.stock);
        let claims = self.current.iter().chain(&self.pending).chain(stock);
        claims.map(|claim| u64::from(claim.bits.count_ones())).sum()
    }

    /// Takes a frame of the word in use.
    #[inline]
    fn take_current(&mut self, mobility: Mobility) -> Option<u64> {
        let claim = &mut self.current[mobility as usize];
        if claim.bits == 0 {
            return None;
        }
        let start = claim.word * 64 + u64::from(claim.bits.trailing_zeros());
        claim.bits &= claim.bits - 1;
        Some(start)
    }

    /// Takes a frame of the next word in stock, claiming some where there is none.
    #[inline(never)]
    fn take_claimed(&mut self, mobility: Mobility) -> Option<u64> {
        let class = mobility as usize;
        if self.classes[class].stock.is_empty() {
            self.claim(mobility);
        }
        self.current[class] = self.classes[class].stock.pop()?;
        self.take_current(mobility)
    }

    /// Takes a run of several frames, which handles do not keep.
    #[inline(never)]
    fn take_run(&mut self, order: Order, mobility: Mobility) -> Option<u64> {
        self.frames.zones.iter().find_map(|zone| {
            let mut zone = zone.state.lock();
            match order.get().checked_sub(Order::LARGE.get()) {
                Some(level) => zone.allocate_large(level.into(), mobility),
                None => zone.allocate_small(order.get().into(), mobility),
            }
        })
    }

    /// Allocates once more, after all that this handle had at hand is back.
    #[cold]
    fn allocate_drained(&mut self, order: Order, mobility: Mobility) -> Result<FrameRun, AllocateError> {
        self.drain();
        let start = match order {
            Order::FRAME => self.take_claimed(mobility),
            _ => self.take_run(order, mobility),
        };
        match start {
            Some(start) => Ok(FrameRun::made_by(self.frames.number, start, order.frames())),
            None => Err(self.pressed(AllocateError::Exhausted {
                wanted_frames: order.frames(),
                cached_frames_at_most: self.frames.cached_frames_at_most(),
            })),
        }
    }

    fn claim(&mut self, mobility: Mobility) {
        // Before the frames leave the zone: the shared count may be too high for a moment, never too low.
        self.activate();
        let Class { stock, own, zone } = &mut self.classes[mobility as usize];
        let zones = &self.frames.zones;
        // The zone with the handle's own block comes first: it is left once it has nothing more to claim.
        let first = if own.block.is_some() { *zone } else { 0 };
        for index in core::iter::once(first).chain((0..zones.len()).filter(|&index| index != first)) {
            zones[index].state.lock().claim(mobility, own, stock);
            if !stock.is_empty() {
                *zone = index;
                return;
            }
        }
    }

    #[inline(never)]
    fn give_pending(&mut self) {
        self.pending_frames = 0;
        give(self.frames, &mut self.pending);
    }

    /// Counts the handle among those that keep frames at hand.
    #[inline]
    fn activate(&mut self) {
        if !self.active {
            self.active = true;
            self.frames.active_handles.fetch_add(1, Relaxed);
        }
    }

    fn free_run(&mut self, run: FrameRun) -> Result<(), FreeError> {
        if !self.frames.number.made(&run) {
            return Err(FreeError { run });
        }
        let Ok(zone) = self.frames.zone_of(run.range()) else { return Err(FreeError { run }) };
        zone.state.lock().give_range(run.start().number(), run.frames());
        Ok(())
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

/// Gives the frames of some words back to their zones, under one hold of the lock where one zone has them all.
fn give<const N: usize>(frames: &Frames<'_>, claims: &mut ArrayVec<Claim, N>) {
    let zone_of = |claim: &Claim| {
        let first = claim.word * 64 + u64::from(claim.bits.trailing_zeros());
        frames.zone_of(FrameRange::new(HostFrame::new(first), 1)).ok()
    };
    let mut rest = &claims[..];
    while let [claim, others @ ..] = rest {
        let Some(LockedZone { span, state }) = zone_of(claim) else {
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
    claims.clear();
}
