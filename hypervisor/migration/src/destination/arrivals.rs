//! What of a guest's memory is here: each frame summed once, when it is complete.

use alloc::{boxed::Box, vec::Vec};

use godwit_guest::{GuestAddress, GuestFrame, GuestMemory};
use godwit_wire::Offer;
use godwit_wire::record::{FRAME_BYTES, GRANULE_BYTES, WINDOW_PACKETS, ZeroRanges};

use super::frame_set::{Bits, FrameSet};
use crate::Failure;
use crate::sum::{FRAME, SumKey};

/// Frames of which some pieces are here and some are not, at most: a sender has a window of datagrams on the way, and the
/// frame whose pieces it is just sending.
const MAX_INCOMPLETE: usize = WINDOW_PACKETS + 1;

/// What a record means for what is here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Fit {
    /// None of it was here.
    New,
    /// All of it was here.
    Known,
}

#[derive(Debug)]
pub(super) struct Arrivals {
    key: SumKey,
    complete: FrameSet,
    /// Frames of which pieces are here: bit i for the granule i.
    incomplete: Vec<(GuestFrame, u64)>,
    root: u64,
    zero_frames: u64,
    buffer: Box<[u8; FRAME]>,
}

/// Where the bytes of a page record lie.
enum Span {
    Whole(GuestFrame, u64, Bits),
    Piece(GuestFrame, u64, Bits),
}

impl Arrivals {
    /// Nothing of what `offer` names; `None` where there is no memory to keep track of it.
    pub(super) fn new(offer: &Offer, key: SumKey) -> Option<Self> {
        let mut incomplete = Vec::new();
        incomplete.try_reserve_exact(MAX_INCOMPLETE).ok()?;
        let complete = FrameSet::new(offer)?;
        Some(Self { key, complete, incomplete, root: 0, zero_frames: 0, buffer: Box::new([0; FRAME]) })
    }

    pub(super) fn root(&self) -> u64 {
        self.root
    }

    pub(super) fn zero_frames(&self) -> u64 {
        self.zero_frames
    }

    pub(super) fn frames_total(&self) -> u64 {
        self.complete.frames()
    }

    pub(super) fn frames_done(&self) -> u64 {
        self.complete.members()
    }

    /// Whether `bytes` bytes at `at` are new here.
    ///
    /// # Errors
    /// What cannot be: not RAM, or known in part, which no honest sending leads to.
    pub(super) fn fit_pages(&self, at: GuestAddress, bytes: usize) -> Result<Fit, &'static str> {
        match self.span(at, bytes)? {
            Span::Whole(first, count, bits) => {
                self.refuse_incomplete(first, count)?;
                self.fit(bits)
            }
            Span::Piece(_, _, bits) if self.complete.count(bits) > 0 => Ok(Fit::Known),
            Span::Piece(frame, granules, _) => match self.granules(frame) & granules {
                0 if self.granules(frame) == 0 && self.incomplete.len() >= MAX_INCOMPLETE => {
                    Err("pieces of more frames than a window holds")
                }
                0 => Ok(Fit::New),
                known if known == granules => Ok(Fit::Known),
                _ => Err("a piece that overlaps an earlier one"),
            },
        }
    }

    /// The same for zero frames.
    pub(super) fn fit_zeros(&self, ranges: &ZeroRanges) -> Result<Fit, &'static str> {
        let mut fits = None;
        for range in ranges.as_slice() {
            let count = range.frames.into();
            self.refuse_incomplete(range.start, count)?;
            let fit = self.fit(self.complete.bits(range.start, count).ok_or("zero frames outside RAM")?)?;
            if *fits.get_or_insert(fit) != fit {
                return Err("zero frames, some of which came before");
            }
        }
        fits.ok_or("no zero frames")
    }

    /// Notes bytes that were new and are now in memory, and sums the frames that are complete with them.
    pub(super) fn take_pages(
        &mut self,
        at: GuestAddress,
        bytes: usize,
        memory: &(impl GuestMemory + ?Sized),
    ) -> Result<(), Failure> {
        match self.span(at, bytes).map_err(Failure::Record)? {
            Span::Whole(first, count, bits) => {
                for frame in first.0..first.0 + count {
                    self.add(GuestFrame(frame), memory)?;
                }
                self.complete.insert(bits);
            }
            Span::Piece(frame, granules, bits) => {
                let known = self.granules(frame) | granules;
                self.incomplete.retain(|(of, _)| *of != frame);
                if known == u64::MAX {
                    self.add(frame, memory)?;
                    self.complete.insert(bits);
                } else {
                    self.incomplete.push((frame, known));
                }
            }
        }
        Ok(())
    }

    /// Notes zero frames that were new.
    pub(super) fn take_zeros(&mut self, ranges: &ZeroRanges) {
        for range in ranges.as_slice() {
            let count = range.frames.into();
            let Some(bits) = self.complete.bits(range.start, count) else { continue };
            self.root = self.root.wrapping_add(self.key.zeros(range.start, count));
            self.zero_frames += count;
            self.complete.insert(bits);
        }
    }

    fn add(&mut self, frame: GuestFrame, memory: &(impl GuestMemory + ?Sized)) -> Result<(), Failure> {
        memory.read(frame.address(), &mut self.buffer[..])?;
        self.root = self.root.wrapping_add(self.key.frame(frame, &self.buffer));
        Ok(())
    }

    fn span(&self, at: GuestAddress, bytes: usize) -> Result<Span, &'static str> {
        let bytes = bytes as u64;
        let count = bytes.div_ceil(FRAME_BYTES);
        let bits = self.complete.bits(at.frame(), count).ok_or("page bytes outside RAM")?;
        if at.offset() == 0 && bytes.is_multiple_of(FRAME_BYTES) {
            return Ok(Span::Whole(at.frame(), count, bits));
        }
        // The record's layout says that a piece lies in one frame, at granules.
        let granules = (bytes / GRANULE_BYTES).clamp(1, 63);
        let mask = (u64::MAX >> (64 - granules)) << (at.offset() / GRANULE_BYTES);
        Ok(Span::Piece(at.frame(), mask, bits))
    }

    fn fit(&self, bits: Bits) -> Result<Fit, &'static str> {
        match self.complete.count(bits) {
            0 => Ok(Fit::New),
            count if count == bits.count() => Ok(Fit::Known),
            _ => Err("frames, some of which came before"),
        }
    }

    fn granules(&self, frame: GuestFrame) -> u64 {
        self.incomplete.iter().find(|(of, _)| *of == frame).map_or(0, |(_, granules)| *granules)
    }

    fn refuse_incomplete(&self, first: GuestFrame, count: u64) -> Result<(), &'static str> {
        let inside = |frame: &GuestFrame| frame.0.checked_sub(first.0).is_some_and(|into| into < count);
        if self.incomplete.iter().any(|(frame, _)| inside(frame)) {
            return Err("a whole frame of which pieces came before");
        }
        Ok(())
    }
}
