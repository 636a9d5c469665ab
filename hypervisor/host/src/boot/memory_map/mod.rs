//! The memory map as the host uses it: whole frames, sorted, nothing claimed twice.
//!
//! Firmware maps come with overlaps, holes, odd edges and worse. [`MemoryMap::from_regions`] turns any of them into
//! disjoint spans and says what it corrected. It runs before there is a heap, so everything is bounded.

mod normalize;
mod note;

use core::fmt;

use arrayvec::ArrayVec;
use godwit_frames::{FRAME_BYTES, FrameRange, HostFrame};

pub use note::MapNote;

use super::{MAX_REGIONS, MemoryRegion, RegionKind};

/// Spans a map can have: the edges of [`MAX_REGIONS`] regions bound no more stretches.
pub const MAX_SPANS: usize = 2 * MAX_REGIONS;
/// Usable ranges a map can have, after ranges were taken out of its middle.
pub const MAX_USABLE: usize = 2 * MAX_REGIONS;
/// Corrections that are kept in words; more are counted.
pub const MAX_NOTES: usize = 24;

/// A stretch of whole frames that holds one kind of memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Span {
    /// Which frames.
    pub range: FrameRange,
    /// What they hold.
    pub kind: RegionKind,
}

/// There is less memory than the host needs to start.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TooLittleMemory {
    /// Frames that are needed.
    pub needed_frames: u64,
    /// Frames that are usable.
    pub usable_frames: u64,
}

impl fmt::Display for TooLittleMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kib = |frames: u64| frames.saturating_mul(FRAME_BYTES / 1024);
        write!(
            f,
            "too little memory: {} KiB are usable, godwit needs {} KiB ({} MiB): give this machine more",
            kib(self.usable_frames),
            kib(self.needed_frames),
            kib(self.needed_frames).div_ceil(1024),
        )
    }
}

impl core::error::Error for TooLittleMemory {}

/// The normalized memory map and what of it is still free to use.
#[derive(Clone, Debug)]
pub struct MemoryMap {
    spans: ArrayVec<Span, MAX_SPANS>,
    usable: ArrayVec<FrameRange, MAX_USABLE>,
    notes: ArrayVec<MapNote, MAX_NOTES>,
    notes_left_out: usize,
    frames_given_up: u64,
}

impl MemoryMap {
    /// Normalizes the firmware's map; `left_out` entries were already dropped on the way here.
    ///
    /// Every frame gets the most cautious kind that any entry claims for it. Usable memory shrinks to whole frames,
    /// anything else grows to them. Nothing reaches beyond 52 address bits. Frame 0 is never usable: an address of
    /// zero stays a mistake.
    pub fn from_regions(regions: &[MemoryRegion], left_out: usize) -> Self {
        let mut notes = normalize::Notes::default();
        let spans = normalize::spans(regions, left_out, &mut notes);
        let mut map = Self {
            usable: spans.iter().filter(|s| s.kind == RegionKind::Usable).map(|s| s.range).collect(),
            spans,
            notes: notes.kept,
            notes_left_out: notes.more,
            frames_given_up: 0,
        };
        map.withhold(FrameRange::new(HostFrame::new(0), 1));
        map
    }

    /// Gives up all RAM from frame `end` on, which the machine cannot reach: it is no memory then, and a note says so.
    pub fn cap(&mut self, end: u64) {
        let mut frames = 0;
        let mut capped = ArrayVec::new();
        for span in &self.spans {
            let start = span.range.start.number();
            let span_end = start.saturating_add(span.range.frames);
            let cut = end.clamp(start, span_end);
            let kept = if span.kind == RegionKind::Usable { cut } else { span_end };
            frames += span_end - kept;
            if kept > start {
                capped.push(Span { range: FrameRange::new(span.range.start, kept - start), ..*span });
            }
        }
        if frames == 0 {
            return;
        }
        self.spans = capped;
        self.withhold(FrameRange::new(HostFrame::new(end), u64::MAX - end));
        let note = MapNote::OutOfReach { frames, from: end.saturating_mul(FRAME_BYTES) };
        if self.notes.try_push(note).is_err() {
            self.notes_left_out += 1;
        }
    }

    /// The whole map by address, whatever was withheld since; frames in no span hold no memory.
    pub fn spans(&self) -> &[Span] {
        &self.spans
    }

    /// What is still free to use: sorted, disjoint, not touching each other unless something between was withheld.
    pub fn usable(&self) -> &[FrameRange] {
        &self.usable
    }

    /// Frames that are still free to use.
    pub fn usable_frames(&self) -> u64 {
        self.usable.iter().map(|range| range.frames).sum()
    }

    /// The number of the first frame after all usable RAM of the machine, 0 where there is none.
    pub fn end_of_ram(&self) -> u64 {
        let ram = self.spans.iter().filter(|span| span.kind == RegionKind::Usable);
        ram.filter_map(|span| span.range.end()).max().unwrap_or(0)
    }

    /// What was corrected.
    pub fn notes(&self) -> &[MapNote] {
        &self.notes
    }

    /// Corrections beyond [`MAX_NOTES`].
    pub fn notes_left_out(&self) -> usize {
        self.notes_left_out
    }

    /// Usable frames that were given up because [`MAX_USABLE`] ranges were not enough to name them.
    pub fn frames_given_up(&self) -> u64 {
        self.frames_given_up
    }

    /// Takes `range` out of what is usable: the image, boot modules, anything that is in use already.
    ///
    /// A range that is not usable, wholly or in part, is no error. Where the cut leaves more pieces than there is room
    /// for, the piece above it is given up and counted.
    pub fn withhold(&mut self, range: FrameRange) {
        let cut_start = range.start.number();
        let cut_end = range.end().unwrap_or(u64::MAX);
        if cut_start >= cut_end {
            return;
        }
        let mut index = 0;
        while let Some(&piece) = self.usable.get(index) {
            let start = piece.start.number();
            let end = start.saturating_add(piece.frames);
            if end <= cut_start || cut_end <= start {
                index += 1;
                continue;
            }
            self.usable.remove(index);
            index += self.put_back(index, start, cut_start.min(end));
            index += self.put_back(index, cut_end.max(start), end);
        }
    }

    /// Puts `start..end` back at `index`, where it is not empty; answers how many ranges that added.
    fn put_back(&mut self, index: usize, start: u64, end: u64) -> usize {
        if start >= end {
            return 0;
        }
        let piece = FrameRange::new(HostFrame::new(start), end - start);
        if self.usable.try_insert(index, piece).is_err() {
            self.frames_given_up += piece.frames;
            return 0;
        }
        1
    }

    /// Takes the lowest `frames` frames that start at a multiple of `alignment_frames` and end at or below frame
    /// `below`; `None` where there is no such place.
    ///
    /// It serves what must exist before the frame allocator does: its own metadata, the heap, the start page of the
    /// other CPUs.
    pub fn carve(&mut self, frames: u64, alignment_frames: u64, below: u64) -> Option<FrameRange> {
        if frames == 0 {
            return None;
        }
        let found = self.usable.iter().find_map(|range| {
            let start = range.start.number().checked_next_multiple_of(alignment_frames.max(1))?;
            let end = start.checked_add(frames)?;
            (end <= range.end()?.min(below)).then(|| FrameRange::new(HostFrame::new(start), frames))
        })?;
        self.withhold(found);
        Some(found)
    }

    /// Checks that `needed_frames` frames are still usable.
    ///
    /// # Errors
    /// [`TooLittleMemory`] says how much is needed and how much there is.
    pub fn require(&self, needed_frames: u64) -> Result<(), TooLittleMemory> {
        let usable_frames = self.usable_frames();
        if usable_frames < needed_frames {
            return Err(TooLittleMemory { needed_frames, usable_frames });
        }
        Ok(())
    }
}

/// The whole frames that hold the `bytes` bytes at physical address `start`; empty where `bytes` is 0.
pub fn covering(start: u64, bytes: u64) -> FrameRange {
    let first = start / FRAME_BYTES;
    if bytes == 0 {
        return FrameRange::new(HostFrame::new(first), 0);
    }
    let last = start.saturating_add(bytes - 1) / FRAME_BYTES;
    FrameRange::new(HostFrame::new(first), last - first + 1)
}
