//! A guest's RAM: which frame runs back which of its addresses.

use alloc::{boxed::Box, vec::Vec};

use godwit_frames::{CpuFrames, FRAME_BYTES, FrameRun};
use godwit_guest::{GuestAddress, GuestFrame, GuestMemory, NotRam};

use super::marks::WriteMarks;
use crate::machine::HostMemory;

/// A stretch of guest frames that one run backs.
#[derive(Debug)]
pub struct Segment {
    /// The first guest frame.
    pub start: GuestFrame,
    /// The frames behind it.
    pub run: FrameRun,
}

impl Segment {
    /// The first guest frame behind the segment.
    pub fn end(&self) -> u64 {
        self.start.0 + self.run.frames()
    }
}

/// The runs behind a guest's RAM, in the order of its addresses. They are given back by [`free`](Self::free), not by
/// dropping.
#[derive(Debug, Default)]
pub struct Ram {
    segments: Vec<Segment>,
    marks: Box<WriteMarks>,
}

impl Ram {
    /// Adds a run behind guest frames from `start` on. Where runs come in another order than their guest frames,
    /// [`sort`](Self::sort) before anything else.
    pub(crate) fn push(&mut self, start: GuestFrame, run: FrameRun) {
        self.segments.push(Segment { start, run });
    }

    /// Adds what `other` has. [`sort`](Self::sort) before anything else.
    pub(crate) fn append(&mut self, mut other: Self) {
        self.segments.append(&mut other.segments);
    }

    /// Brings the runs into the order of their guest frames.
    pub(crate) fn sort(&mut self) {
        self.segments.sort_unstable_by_key(|segment| segment.start);
    }

    /// The segments, in the order of guest addresses.
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// The first guest frame behind all RAM.
    pub fn end(&self) -> u64 {
        self.segments.last().map_or(0, Segment::end)
    }

    /// Which frames were written, while that is tracked.
    pub fn marks(&self) -> &WriteMarks {
        &self.marks
    }

    /// Frames of RAM.
    pub fn frames(&self) -> u64 {
        self.segments.iter().map(|segment| segment.run.frames()).sum()
    }

    /// The run behind `address`, the byte's offset in it, and how many bytes follow in the run.
    pub fn place(&self, address: GuestAddress) -> Option<(&FrameRun, u64, u64)> {
        let frame = address.frame();
        let index = self.segments.partition_point(|segment| segment.end() <= frame.0);
        let segment = self.segments.get(index).filter(|segment| segment.start <= frame)?;
        let offset = address.0 - segment.start.address().0;
        Some((&segment.run, offset, segment.run.frames() * FRAME_BYTES - offset))
    }

    /// Calls `visit` with each piece of guest memory from `at` on: its run, the offset in it, and which of the bytes
    /// asked for it holds.
    ///
    /// # Errors
    /// [`NotRam`] where a byte has no RAM; nothing was visited then.
    pub fn pieces(
        &self,
        at: GuestAddress,
        bytes: u64,
        mut visit: impl FnMut(&FrameRun, u64, core::ops::Range<usize>),
    ) -> Result<(), NotRam> {
        let end = at.0.checked_add(bytes).ok_or(NotRam { at })?;
        for check_only in [true, false] {
            let mut next = at.0;
            while next < end {
                let (run, offset, left) = self.place(GuestAddress(next)).ok_or(NotRam { at })?;
                let here = left.min(end - next);
                if !check_only {
                    let first = (next - at.0) as usize;
                    visit(run, offset, first..first + here as usize);
                }
                next += here;
            }
        }
        Ok(())
    }

    /// The door to this RAM.
    pub fn door<'a>(&'a self, memory: &'a dyn HostMemory) -> Door<'a> {
        Door { ram: self, memory }
    }

    /// Gives every run back.
    pub(crate) fn free(&mut self, frames: &mut CpuFrames<'_, '_>) {
        for segment in self.segments.drain(..) {
            if let Err(error) = frames.free(segment.run) {
                log::error!("a guest's frames cannot be given back: {error}");
            }
        }
    }
}

/// A guest's memory, read and written. Whatever the host writes for a running guest goes through here, and is marked as written.
#[derive(Clone, Copy)]
pub struct Door<'a> {
    ram: &'a Ram,
    memory: &'a dyn HostMemory,
}

impl Door<'_> {
    /// Marks what was written.
    fn written(&self, at: GuestAddress, bytes: u64) {
        let end = GuestAddress(at.0.saturating_add(bytes).saturating_add(FRAME_BYTES - 1));
        self.ram.marks.mark(at.frame().0..end.frame().0);
    }

    /// Makes guest memory zero.
    ///
    /// # Errors
    /// [`NotRam`]; nothing was changed.
    pub fn zero(&self, at: GuestAddress, bytes: u64) -> Result<(), NotRam> {
        let mut refused = false;
        self.ram.pieces(at, bytes, |run, offset, range| {
            refused |= self.memory.zero(run, offset, range.len() as u64).is_err();
        })?;
        self.written(at, bytes);
        if refused { Err(NotRam { at }) } else { Ok(()) }
    }
}

impl GuestMemory for Door<'_> {
    fn read(&self, at: GuestAddress, out: &mut [u8]) -> Result<(), NotRam> {
        // Nearly all reads lie in one run: no need to look twice.
        if let Some((run, offset, left)) = self.ram.place(at)
            && left >= out.len() as u64
        {
            return self.memory.read(run, offset, out).map_err(|_| NotRam { at });
        }
        let mut refused = false;
        self.ram.pieces(at, out.len() as u64, |run, offset, range| {
            let piece = out.get_mut(range).unwrap_or_default();
            refused |= self.memory.read(run, offset, piece).is_err();
        })?;
        if refused { Err(NotRam { at }) } else { Ok(()) }
    }

    fn write(&self, at: GuestAddress, bytes: &[u8]) -> Result<(), NotRam> {
        let mut refused = false;
        self.ram.pieces(at, bytes.len() as u64, |run, offset, range| {
            let piece = bytes.get(range).unwrap_or_default();
            refused |= self.memory.write(run, offset, piece).is_err();
        })?;
        self.written(at, bytes.len() as u64);
        if refused { Err(NotRam { at }) } else { Ok(()) }
    }
}
