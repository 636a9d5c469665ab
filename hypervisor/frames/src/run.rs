//! Owned runs of frames.

use core::fmt;

use crate::block::Mobility;
use crate::frame::{FrameRange, HostFrame};
use crate::order::Order;

/// Bits of a frame number: x86-64 has at most 52 bits of physical address, 12 of them inside a frame.
pub(crate) const FRAME_NUMBER_BITS: u32 = 40;
/// The length's part of a tag.
const LENGTH: u64 = (1 << FRAME_NUMBER_BITS) - 1;
/// Where a tag says what the run was allocated for.
const MOBILITY: u32 = FRAME_NUMBER_BITS;
/// Where a tag says who made the run.
const MAKER: u32 = FRAME_NUMBER_BITS + 1;

/// Contiguous frames that belong to whoever holds this value.
///
/// Only an allocator makes one, and freeing consumes it: neither `Copy` nor `Clone`. A run that is dropped
/// without being freed is lost until the next boot.
#[must_use = "a run that is dropped is lost: free it, or keep it with what uses its frames"]
#[derive(PartialEq, Eq)]
pub struct FrameRun {
    start: u64,
    /// From the lowest bit: frames (40 bits), mobility (1), the number of the allocator (23).
    tag: u64,
}

impl FrameRun {
    /// A run of `frames` (below 2^40) from frame number `start` on, made by allocator `maker` for `mobility`.
    #[inline]
    pub(crate) const fn made_by(maker: AllocatorNumber, start: u64, frames: u64, mobility: Mobility) -> Self {
        Self { start, tag: (maker.0 as u64) << MAKER | (mobility as u64) << MOBILITY | frames }
    }

    /// What the run was allocated for.
    #[inline]
    pub const fn mobility(&self) -> Mobility {
        if self.tag >> MOBILITY & 1 == Mobility::Movable as u64 {
            Mobility::Movable
        } else {
            Mobility::Unmovable
        }
    }

    /// The first frame.
    #[inline]
    pub const fn start(&self) -> HostFrame {
        HostFrame::new(self.start)
    }

    /// How many frames the run has, never 0.
    #[inline]
    pub const fn frames(&self) -> u64 {
        self.tag & LENGTH
    }

    /// The frames of the run, as a description that owns nothing.
    pub const fn range(&self) -> FrameRange {
        FrameRange::new(self.start(), self.frames())
    }

    /// The run's order where it is a naturally aligned power of two of at most 2^18 frames.
    pub fn order(&self) -> Option<Order> {
        let frames = self.frames();
        if !frames.is_power_of_two() || self.start & (frames - 1) != 0 {
            return None;
        }
        Order::new(frames.trailing_zeros() as u8)
    }

    /// Splits the run after its first `frames` frames.
    ///
    /// # Errors
    /// Gives the whole run back where one of the halves would be empty.
    pub const fn split_at(self, frames: u64) -> Result<(Self, Self), Self> {
        let whole = self.frames();
        if frames == 0 || frames >= whole {
            return Err(self);
        }
        let maker = self.tag & !LENGTH;
        let first = Self { start: self.start, tag: maker | frames };
        let second = Self { start: self.start + frames, tag: maker | (whole - frames) };
        Ok((first, second))
    }
}

impl fmt::Debug for FrameRun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "run of {} frames at {:#x}", self.frames(), self.start)
    }
}

/// The number of one allocator: every run carries it, so that a foreign run is told from an own one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct AllocatorNumber(u32);

impl AllocatorNumber {
    /// The allocator's number from a counter: 23 bits, so that it repeats after 8 million allocators.
    pub(crate) const fn from_count(count: u32) -> Self {
        Self(count & (u32::MAX >> (MAKER - 32)))
    }

    /// Whether this allocator made `run`.
    #[inline]
    pub(crate) const fn made(self, run: &FrameRun) -> bool {
        run.tag >> MAKER == self.0 as u64
    }
}
