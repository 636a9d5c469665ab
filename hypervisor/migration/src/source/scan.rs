//! One pass over a guest's memory: what is zero, what must be sent, and the sum of all.

use alloc::{boxed::Box, collections::VecDeque, vec::Vec};

use godwit_guest::{GuestFrame, GuestMemory, NotRam};
use godwit_wire::LeafRun;
use godwit_wire::record::{FRAME_BYTES, GRANULE_BYTES, MAX_BODY_BYTES, ZeroRanges};

use super::window::Load;
use crate::outbox::GuestRange;
use crate::sum::{FRAME, SumKey, is_zero};

/// Zero frames after which they are named although the record has room for more: reading goes on for long where nothing has to
/// be sent, and a peer that hears nothing meanwhile would take that for the end.
const MOST_UNNAMED_FRAMES: u64 = 8192;

/// How frames are cut into datagrams.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Cut {
    /// Up to this many bytes of frames, each whole.
    Frames(u32),
    /// Pieces of this many bytes, the last one of a frame shorter.
    Pieces(u32),
}

impl Cut {
    /// The largest that fits `body_bytes`; `None` where nothing does.
    pub(super) fn fitting(body_bytes: u32) -> Option<Self> {
        let body_bytes = body_bytes.min(MAX_BODY_BYTES as u32);
        let (frame, granule) = (FRAME_BYTES as u32, GRANULE_BYTES as u32);
        match body_bytes {
            bytes if bytes >= frame => Some(Self::Frames(bytes / frame * frame)),
            bytes if bytes >= granule => Some(Self::Pieces(bytes / granule * granule)),
            _ => None,
        }
    }

    /// Bytes of guest memory in a datagram at most.
    pub(super) fn bytes(self) -> u32 {
        match self {
            Self::Frames(bytes) | Self::Pieces(bytes) => bytes,
        }
    }
}

#[derive(Debug)]
pub(super) struct Scan {
    /// Leaves that are not yet read to their end, and how many frames of the first are.
    leaves: VecDeque<LeafRun>,
    frames_read_of_first: u64,
    cut: Cut,
    key: SumKey,
    root: u64,
    /// Frames one behind the other that may get longer still.
    open: Option<(GuestRange, u8)>,
    zeros: ZeroRanges,
    ready: VecDeque<Load>,
    buffer: Box<[u8; FRAME]>,
}

impl Scan {
    pub(super) fn new(leaves: Vec<LeafRun>, cut: Cut, key: SumKey) -> Self {
        Self {
            leaves: leaves.into(),
            frames_read_of_first: 0,
            cut,
            key,
            root: 0,
            open: None,
            zeros: ZeroRanges::new(),
            ready: VecDeque::new(),
            buffer: Box::new([0; FRAME]),
        }
    }

    /// Whether everything was read and handed out.
    pub(super) fn is_finished(&self) -> bool {
        self.leaves.is_empty() && self.ready.is_empty() && self.open.is_none() && self.zeros.is_empty()
    }

    /// The sum over all frames read so far.
    pub(super) fn root(&self) -> u64 {
        self.root
    }

    /// The next datagram's load. Reads at most `budget_frames` frames, which are taken off it; `None` where they are used
    /// up, or the pass is finished.
    pub(super) fn next(
        &mut self,
        budget_frames: &mut u32,
        memory: &(impl GuestMemory + ?Sized),
    ) -> Result<Option<Load>, NotRam> {
        loop {
            if let Some(load) = self.ready.pop_front() {
                return Ok(Some(load));
            }
            let Some((frame, order)) = self.frame() else {
                self.close();
                self.name_zeros();
                return Ok(self.ready.pop_front());
            };
            if *budget_frames == 0 {
                return Ok(None);
            }
            *budget_frames -= 1;
            memory.read(frame.address(), &mut self.buffer[..])?;
            self.take(frame, order);
            self.advance();
        }
    }

    /// The frame to read next, and its leaf's order.
    fn frame(&self) -> Option<(GuestFrame, u8)> {
        let run = self.leaves.front()?;
        Some((GuestFrame(run.start.0 + self.frames_read_of_first), run.order))
    }

    fn advance(&mut self) {
        self.frames_read_of_first += 1;
        let read = self.frames_read_of_first;
        if self.leaves.pop_front_if(|run| run.frames() <= read).is_some() {
            self.frames_read_of_first = 0;
        }
    }

    /// Sorts the frame in the buffer.
    fn take(&mut self, frame: GuestFrame, order: u8) {
        if is_zero(&self.buffer) {
            self.root = self.root.wrapping_add(self.key.zeros(frame, 1));
            self.close();
            if !self.zeros.push(frame) {
                self.name_zeros();
                self.zeros.push(frame);
            }
            if self.zeros.frames() >= MOST_UNNAMED_FRAMES {
                self.name_zeros();
            }
            return;
        }
        self.root = self.root.wrapping_add(self.key.written(frame, &self.buffer));
        match self.cut {
            Cut::Frames(most) => self.extend(frame, order, most),
            Cut::Pieces(most) => self.split(frame, order, most),
        }
    }

    fn extend(&mut self, frame: GuestFrame, order: u8, most: u32) {
        match &mut self.open {
            Some((range, of)) if *of == order && range.at.0 + u64::from(range.bytes) == frame.address().0 => {
                range.bytes += FRAME as u32;
            }
            _ => {
                self.close();
                self.open = Some((GuestRange { at: frame.address(), bytes: FRAME as u32 }, order));
            }
        }
        if self.open.is_some_and(|(range, _)| range.bytes >= most) {
            self.close();
        }
    }

    fn split(&mut self, frame: GuestFrame, order: u8, most: u32) {
        let mut offset = 0;
        while offset < FRAME as u32 {
            let bytes = most.min(FRAME as u32 - offset);
            let mut at = frame.address();
            at.0 += u64::from(offset);
            self.ready.push_back(Load::Pages(GuestRange { at, bytes }, order));
            offset += bytes;
        }
    }

    fn close(&mut self) {
        self.ready.extend(self.open.take().map(|(range, order)| Load::Pages(range, order)));
    }

    fn name_zeros(&mut self) {
        if !self.zeros.is_empty() {
            self.ready.push_back(Load::Zeros(core::mem::take(&mut self.zeros)));
        }
    }
}

#[cfg(test)]
mod tests;
