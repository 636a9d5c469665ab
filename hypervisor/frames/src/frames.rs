//! The allocator that all CPUs share.

use core::sync::atomic::Ordering::Relaxed;

use arrayvec::ArrayVec;

use crate::block::{BLOCK_FRAMES, BlockView, Content};
use crate::compact::CompactReport;
use crate::cpu::{CpuFrames, HELD_FRAMES};
use crate::error::{RangeError, ZoneError};
use crate::frame::{FrameRange, HostFrame};
use crate::lock::{AtomicU32, AtomicU64, Lock};
use crate::report::Report;
use crate::run::{AllocatorNumber, FRAME_NUMBER_BITS};
use crate::zone::{BLOCKS_PER_HOLD, Survey, Unsound, Zone};

/// How many zones an allocator can have.
pub const MAX_ZONES: usize = 8;

/// Numbers allocators in the order they are made.
static ALLOCATORS: core::sync::atomic::AtomicU32 = core::sync::atomic::AtomicU32::new(0);

/// One zone: a contiguous span, and the lock around everything known about it.
pub(crate) struct LockedZone<'m> {
    pub(crate) span: FrameRange,
    pub(crate) state: Lock<Zone<'m>>,
}

/// The host's frames, shared between its CPUs: 1 to [`MAX_ZONES`] contiguous zones.
pub struct Frames<'m> {
    pub(crate) number: AllocatorNumber,
    pub(crate) zones: ArrayVec<LockedZone<'m>, MAX_ZONES>,
    /// Counts failed allocations: a CPU that sees it move drains what it keeps at hand.
    pub(crate) pressure: AtomicU32,
    /// CPU handles that may keep frames at hand.
    pub(crate) active_handles: AtomicU64,
    /// Counts the handles made.
    handles: AtomicU32,
}

impl<'m> Frames<'m> {
    /// Words of metadata that a zone of `frames` frames needs, wherever it starts.
    pub const fn metadata_words(frames: u64) -> usize {
        Zone::metadata_words(frames)
    }

    /// An allocator with one zone over `span`, every frame of it reserved until [`release`](Self::release).
    ///
    /// `metadata` needs [`metadata_words`](Self::metadata_words) of the span's frames; its content is overwritten.
    ///
    /// # Errors
    /// [`ZoneError`] where the span is empty or beyond 2^52 bytes, or the metadata too short.
    pub fn new(span: FrameRange, metadata: &'m mut [u64]) -> Result<Self, ZoneError> {
        let mut frames = Self {
            number: AllocatorNumber::from_count(ALLOCATORS.fetch_add(1, Relaxed)),
            zones: ArrayVec::new(),
            pressure: AtomicU32::new(0),
            active_handles: AtomicU64::new(0),
            handles: AtomicU32::new(0),
        };
        frames.add_zone(span, metadata)?;
        Ok(frames)
    }

    /// Adds a zone over `span`, every frame of it reserved; runs never reach from one zone into another.
    ///
    /// # Errors
    /// As [`new`](Self::new), and where the span shares a 2 MiB block with a zone or there are [`MAX_ZONES`] already.
    pub fn add_zone(&mut self, span: FrameRange, metadata: &'m mut [u64]) -> Result<(), ZoneError> {
        let end = match span.end() {
            Some(end) if end <= 1 << FRAME_NUMBER_BITS => end,
            _ => return Err(ZoneError::BeyondMemory),
        };
        if span.frames == 0 {
            return Err(ZoneError::Empty);
        }
        // Whole blocks must differ: what CPU handles keep at hand is told apart by bitmap word alone.
        let blocks = blocks_of(span.start.number(), end);
        let overlaps = |zone: &LockedZone<'_>| {
            let start = zone.span.start.number();
            let other = blocks_of(start, start + zone.span.frames);
            blocks.start < other.end && other.start < blocks.end
        };
        if self.zones.iter().any(overlaps) {
            return Err(ZoneError::Overlap);
        }
        if self.zones.is_full() {
            return Err(ZoneError::TooMany);
        }
        let state = Lock::new(Zone::new(span, metadata)?);
        self.zones.push(LockedZone { span, state });
        Ok(())
    }

    /// Makes the reserved frames of `range` allocatable; returns how many.
    ///
    /// # Errors
    /// Nothing changes where the range is empty, does not lie in one zone, holds a frame that is free, or
    /// touches a 2 MiB block of which frames are in use: release memory before allocating beside it.
    pub fn release(&self, range: FrameRange) -> Result<u64, RangeError> {
        let (zone, cached) = (self.zone_of(range)?, self.cached_frames_at_most());
        zone.state.lock().release(range).map_err(|error| error.with_cached(cached))
    }

    /// Takes the free frames of `range` out for good (holes, firmware, the image); returns how many were
    /// free, the others being reserved already.
    ///
    /// # Errors
    /// Nothing changes where the range is empty, does not lie in one zone, or touches a frame that is in use.
    pub fn reserve(&self, range: FrameRange) -> Result<u64, RangeError> {
        let (zone, cached) = (self.zone_of(range)?, self.cached_frames_at_most());
        zone.state.lock().reserve(range).map_err(|error| error.with_cached(cached))
    }

    /// A handle for one CPU to allocate and free with.
    pub fn cpu(&self) -> CpuFrames<'_, 'm> {
        CpuFrames::new(self)
    }

    /// What is free, and in what pieces. Locks each zone for a bounded time only, so that it is exact where
    /// no other CPU allocates meanwhile and every handle is drained.
    pub fn report(&self) -> Report {
        let mut survey = Survey::new();
        for zone in &self.zones {
            let mut next = 0;
            loop {
                let state = zone.state.lock();
                let end = state.block_count().min(next + BLOCKS_PER_HOLD);
                state.count(next..end, &mut survey);
                if end == state.block_count() {
                    break;
                }
                next = end;
            }
            survey.end_zone();
        }
        survey.finish(self.cached_frames_at_most())
    }

    /// Checks every invariant of the allocator's own state, one zone after the other: for self-tests.
    ///
    /// # Errors
    /// [`Unsound`] names the first invariant that does not hold.
    pub fn audit(&self) -> Result<(), Unsound> {
        self.zones.iter().try_for_each(|zone| zone.state.lock().audit())
    }

    /// [`report`](Self::report) in its compact form.
    pub fn compact_report(&self) -> CompactReport {
        self.report().encode()
    }

    /// Every 2 MiB block, lowest first within a zone, zones in the order they were added.
    pub fn blocks(&self) -> Blocks<'_, 'm> {
        Blocks { frames: self, zone: 0, next: 0, ahead: ArrayVec::new() }
    }

    /// The 2 MiB block that holds `frame`, or `None` outside all zones.
    pub fn block(&self, frame: HostFrame) -> Option<BlockView> {
        let zone = self.zone_of(FrameRange::new(frame, 1)).ok()?;
        let view = zone.state.lock().view_of(frame);
        Some(view)
    }

    /// What is known about the bytes of the 2 MiB block that holds `frame`, or `None` outside all zones.
    pub fn content(&self, frame: HostFrame) -> Option<Content> {
        self.block(frame).map(|view| view.content)
    }

    /// Marks the 2 MiB block that holds `frame`; the caller owns all of the block, or speaks for whoever does.
    ///
    /// # Errors
    /// [`RangeError::Outside`] where the frame lies in no zone.
    pub fn set_content(&self, frame: HostFrame, content: Content) -> Result<(), RangeError> {
        self.zone_of(FrameRange::new(frame, 1))?.state.lock().set_content(frame, content);
        Ok(())
    }

    /// Free frames that CPU handles keep at hand, at most; 0 once all are drained.
    pub fn cached_frames_at_most(&self) -> u64 {
        self.active_handles.load(Relaxed) * HELD_FRAMES
    }

    /// A number for a new CPU handle, never 0.
    pub(crate) fn next_handle(&self) -> u32 {
        self.handles.fetch_add(1, Relaxed).wrapping_add(1).max(1)
    }

    /// The zone that holds all of `range`.
    pub(crate) fn zone_of(&self, range: FrameRange) -> Result<&LockedZone<'m>, RangeError> {
        if range.frames == 0 {
            return Err(RangeError::Empty);
        }
        let start = range.start.number();
        let holds = |zone: &&LockedZone<'_>| {
            start
                .checked_sub(zone.span.start.number())
                .is_some_and(|offset| offset < zone.span.frames && range.frames <= zone.span.frames - offset)
        };
        self.zones.iter().find(holds).ok_or(RangeError::Outside)
    }
}

/// The numbers of the blocks that frames `start..end` touch.
const fn blocks_of(start: u64, end: u64) -> core::ops::Range<u64> {
    start / BLOCK_FRAMES..end.div_ceil(BLOCK_FRAMES)
}

/// An iterator over all 2 MiB blocks; see [`Frames::blocks`].
pub struct Blocks<'f, 'm> {
    frames: &'f Frames<'m>,
    zone: usize,
    next: usize,
    ahead: ArrayVec<BlockView, BLOCKS_PER_HOLD>,
}

impl Iterator for Blocks<'_, '_> {
    type Item = BlockView;

    fn next(&mut self) -> Option<BlockView> {
        while self.ahead.is_empty() {
            let zone = self.frames.zones.get(self.zone)?;
            let state = zone.state.lock();
            let count = state.block_count();
            let end = count.min(self.next + BLOCKS_PER_HOLD);
            // Highest first, so that taking from the end gives the lowest.
            self.ahead.extend((self.next..end).rev().map(|block| state.view(block)));
            self.next = end;
            if end == count {
                self.zone += 1;
                self.next = 0;
            }
        }
        self.ahead.pop()
    }
}
