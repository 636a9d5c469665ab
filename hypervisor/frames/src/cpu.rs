//! One CPU's way to its frames.

use core::sync::atomic::Ordering::Relaxed;

use arrayvec::ArrayVec;

use crate::block::Mobility;
use crate::error::{AllocateError, FreeError};
use crate::frame::FrameRange;
use crate::frames::Frames;
use crate::hand::{HAND_FRAMES, Hand};
use crate::order::Order;
use crate::run::FrameRun;
use crate::runs;

/// Frames that a handle keeps at hand, at most.
pub(crate) const HELD_FRAMES: u64 = 2 * HAND_FRAMES;

/// A CPU's handle on the shared [`Frames`]: every CPU has its own.
///
/// Single frames come out of bitmap words that the handle has claimed, and go back into the word in use or wait
/// to be given back together: most calls touch nothing but the handle, and the others share the cost of the
/// lock between many. At most 446 frames are kept at hand. Dropping the handle gives them back,
/// as [`drain`](Self::drain) does.
// Two cache lines, so that handles side by side in an array do not share one (nor a prefetched pair).
#[repr(align(128))]
pub struct CpuFrames<'f, 'm> {
    frames: &'f Frames<'m>,
    /// By class.
    hands: [Hand; 2],
    /// The shared count of failed allocations as last seen.
    pressure: u32,
    /// Whether the handle keeps frames at hand, as the shared count of such handles knows.
    active: bool,
}

impl<'f, 'm> CpuFrames<'f, 'm> {
    pub(crate) fn new(frames: &'f Frames<'m>) -> Self {
        let owner = frames.next_handle();
        let pressure = frames.pressure.load(Relaxed);
        Self { frames, hands: [Hand::new(owner), Hand::new(owner)], pressure, active: false }
    }

    /// Allocates one naturally aligned run of `order`.
    ///
    /// # Errors
    /// [`AllocateError::Exhausted`] where no such run is free outside other CPUs' handles. That also asks
    /// those CPUs to drain at their next [`poll`](Self::poll).
    #[inline]
    pub fn allocate(&mut self, order: Order, mobility: Mobility) -> Result<FrameRun, AllocateError> {
        let start = match order {
            Order::FRAME => self.take_frame(mobility),
            _ => self.take_run(order, mobility),
        };
        match start {
            Some(start) => Ok(self.made(start, order.frames(), mobility)),
            None => self.allocate_drained(order, mobility),
        }
    }

    /// Allocates exactly the frames of `range`.
    ///
    /// # Errors
    /// [`AllocateError::Range`] where one of them is not free, or the range does not lie in one zone.
    pub fn allocate_at(&mut self, range: FrameRange, mobility: Mobility) -> Result<FrameRun, AllocateError> {
        let zone = self.frames.zone_of(range)?;
        let cached_frames_at_most = self.cached_by_others();
        let taken = zone.state.lock().allocate_at(range, mobility);
        taken.map_err(|error| self.pressed(error.with_cached(cached_frames_at_most).into()))?;
        Ok(self.made(range.start.number(), range.frames, mobility))
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
        let cached_frames_at_most = self.cached_by_others();
        runs::allocate_runs(self.frames, frames, preferred, max_runs, mobility).map_err(|short| {
            self.pressed(AllocateError::Scattered {
                wanted_frames: frames,
                had_frames: short.had_frames,
                had_runs: short.had_runs,
                cached_frames_at_most,
            })
        })
    }

    /// Gives a run back.
    ///
    /// # Errors
    /// [`FreeError`] gives back, untouched, a run that another allocator made.
    #[inline]
    pub fn free(&mut self, run: FrameRun) -> Result<(), FreeError> {
        if run.frames() != 1 || !self.frames.number.made(&run) {
            return self.free_run(run);
        }
        let frame = run.start().number();
        self.activate();
        let hand = &mut self.hands[run.mobility() as usize];
        if !hand.put_current(frame) {
            hand.put(frame, self.frames);
        }
        Ok(())
    }

    /// Gives back all free frames that this handle keeps at hand; do so before the CPU goes idle.
    pub fn drain(&mut self) {
        if self.active {
            self.hands.iter_mut().for_each(|hand| hand.drain(self.frames));
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

    /// Free frames that this handle keeps at hand, at most 446.
    pub fn held_frames(&self) -> u64 {
        self.hands.iter().map(Hand::frames).sum()
    }

    #[inline]
    fn take_frame(&mut self, mobility: Mobility) -> Option<u64> {
        let hand = &mut self.hands[mobility as usize];
        hand.take_current().or_else(|| {
            // Before frames leave the zone: the shared count may be too high for a moment, never too low.
            self.activate();
            self.hands[mobility as usize].take_next(self.frames, mobility)
        })
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
        let cached_frames_at_most = self.cached_by_others();
        let start = match order {
            Order::FRAME => self.take_frame(mobility),
            _ => self.take_run(order, mobility),
        };
        match start {
            Some(start) => Ok(self.made(start, order.frames(), mobility)),
            None => Err(self
                .pressed(AllocateError::Exhausted { wanted_frames: order.frames(), cached_frames_at_most })),
        }
    }

    /// What the other CPUs keep at hand, at most, this one having given back everything.
    ///
    /// To be asked before an attempt: were it asked after one that failed, another CPU might just have given back
    /// what was missing, and nothing would say that to try again is worth it.
    fn cached_by_others(&mut self) -> u64 {
        self.drain();
        self.frames.cached_frames_at_most()
    }

    #[inline]
    fn made(&self, start: u64, frames: u64, mobility: Mobility) -> FrameRun {
        FrameRun::made_by(self.frames.number, start, frames, mobility)
    }

    #[inline(never)]
    fn free_run(&mut self, run: FrameRun) -> Result<(), FreeError> {
        if !self.frames.number.made(&run) {
            return Err(FreeError { run });
        }
        let Ok(zone) = self.frames.zone_of(run.range()) else { return Err(FreeError { run }) };
        let mut zone = zone.state.lock();
        match run.order().and_then(|order| order.get().checked_sub(Order::LARGE.get())) {
            Some(level) => zone.free_large(run.start().number(), level.into()),
            None => zone.give_range(run.start().number(), run.frames()),
        }
        Ok(())
    }

    /// Counts the handle among those that keep frames at hand.
    #[inline]
    fn activate(&mut self) {
        if !self.active {
            self.active = true;
            self.frames.active_handles.fetch_add(1, Relaxed);
        }
    }

    /// Asks the other CPUs to drain, since this one failed.
    fn pressed(&mut self, error: AllocateError) -> AllocateError {
        // A handle that could claim nothing keeps nothing: it need not count.
        self.drain();
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
