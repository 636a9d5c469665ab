//! The page stream of one move, from the receiving side.

use alloc::{collections::VecDeque, vec::Vec};

use godwit_guest::{GuestAddress, GuestMemory};
use godwit_wire::record::{Place, Record, ZeroRanges};
use godwit_wire::{Accept, MAX_STATE_BYTES, Offer, Sent, StateChunk, Token};

use super::acknowledger::Acknowledger;
use super::arrivals::{Arrivals, Fit};
use super::window::{ReceiveWindow, Standing};
use crate::outbox::Datagram;
use crate::sum::SumKey;
use crate::{Failure, Progress};

/// Where the bytes of a datagram belong.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Landed<'d> {
    /// Write these bytes there.
    Bytes {
        /// Where.
        at: GuestAddress,
        /// What.
        bytes: &'d [u8],
    },
    /// These frames must be zero. They never held anything else since the reservation, so zeroed memory needs no write.
    Zeros(ZeroRanges),
}

/// A datagram whose content is new: to be written, and then given to [`Destination::landed`](crate::Destination::landed).
/// One that is dropped instead counts as lost.
#[must_use = "what was not written must be reported, or it counts as lost"]
#[derive(Debug)]
pub struct Landing<'d> {
    place: Place,
    content: Landed<'d>,
}

impl<'d> Landing<'d> {
    /// What belongs where.
    pub fn content(&self) -> &Landed<'d> {
        &self.content
    }
}

#[derive(Debug)]
pub(super) struct Receiving {
    token: Token,
    key: SumKey,
    arrivals: Arrivals,
    window: ReceiveWindow,
    acknowledger: Acknowledger,
    state: Vec<u8>,
    /// The next chunk, and how many there are.
    chunks: (u16, u16),
    progress: Progress,
}

impl Receiving {
    pub(super) fn new(offer: &Offer, accept: &Accept) -> Option<Self> {
        let key = SumKey::new(accept.sum_key);
        Some(Self {
            token: accept.token,
            key,
            arrivals: Arrivals::new(offer, key)?,
            window: ReceiveWindow::default(),
            acknowledger: Acknowledger::new(accept.token),
            state: Vec::new(),
            chunks: (0, 0),
            progress: Progress::default(),
        })
    }

    pub(super) fn progress(&self) -> Progress {
        Progress {
            frames_total: self.arrivals.frames_total(),
            frames_done: self.arrivals.frames_done(),
            zero_frames: self.arrivals.zero_frames(),
            acknowledgements: self.acknowledger.said(),
            ..self.progress
        }
    }

    pub(super) fn deadline_ns(&self) -> Option<u64> {
        self.acknowledger.due_ns()
    }

    pub(super) fn on_tick(&mut self, now_ns: u64, out: &mut VecDeque<Datagram>) {
        out.extend(self.acknowledger.on_tick(now_ns, &self.window));
    }

    /// Sorts a datagram.
    ///
    /// # Errors
    /// What the move's own peer should never send.
    pub(super) fn on_datagram<'d>(
        &mut self,
        now_ns: u64,
        datagram: &'d [u8],
        out: &mut VecDeque<Datagram>,
    ) -> Result<Option<Landing<'d>>, &'static str> {
        let (place, content) = match Record::decode(datagram) {
            Ok(Record::Pages(pages, bytes)) => (pages.place, Landed::Bytes { at: pages.at, bytes }),
            Ok(Record::Zeros(zeros)) => (zeros.place, Landed::Zeros(zeros.ranges)),
            Ok(Record::Ack(_)) | Err(_) => return Ok(self.drop_it()),
        };
        if place.token != self.token {
            return Ok(self.drop_it());
        }
        if place.round != 0 {
            return Err("a later round than a stopped guest has");
        }
        self.window.raise(place.floor);
        match self.window.standing(place.sequence) {
            Standing::TooFar => return Ok(self.drop_it()),
            Standing::Past => {
                self.count(&content);
                self.progress.repeated += 1;
                // The sender may have missed that it arrived.
                out.extend(self.acknowledger.arrived(now_ns, place.acknowledge_now, &self.window));
                return Ok(None);
            }
            Standing::New => {}
        }
        let fit = match &content {
            Landed::Bytes { at, bytes } => self.arrivals.fit_pages(*at, bytes.len())?,
            Landed::Zeros(ranges) => self.arrivals.fit_zeros(ranges)?,
        };
        self.count(&content);
        if fit == Fit::Known {
            self.progress.repeated += 1;
            self.mark(now_ns, &place, out);
            return Ok(None);
        }
        Ok(Some(Landing { place, content }))
    }

    /// Counts what was written, and sums what is complete.
    pub(super) fn landed(
        &mut self,
        now_ns: u64,
        landing: Landing<'_>,
        memory: &(impl GuestMemory + ?Sized),
        out: &mut VecDeque<Datagram>,
    ) -> Result<(), Failure> {
        // Between the two calls another datagram may have brought the same: look again, so that nothing counts twice.
        match &landing.content {
            Landed::Bytes { at, bytes } => {
                if self.arrivals.fit_pages(*at, bytes.len()).map_err(Failure::Record)? == Fit::New {
                    self.arrivals.take_pages(*at, bytes.len(), memory)?;
                }
            }
            Landed::Zeros(ranges) => {
                if self.arrivals.fit_zeros(ranges).map_err(Failure::Record)? == Fit::New {
                    self.arrivals.take_zeros(ranges);
                }
            }
        }
        self.mark(now_ns, &landing.place, out);
        Ok(())
    }

    /// Adds a part of the machine state; `false` where it is not the one that comes next.
    pub(super) fn take_state(&mut self, chunk: &StateChunk) -> bool {
        let (next, of) = self.chunks;
        let fits_in = chunk.index == next && (next == 0 || chunk.of == of);
        if !fits_in || self.state.len() + chunk.bytes.len() > MAX_STATE_BYTES {
            return false;
        }
        if self.state.try_reserve(chunk.bytes.len()).is_err() {
            return false;
        }
        self.state.extend_from_slice(&chunk.bytes);
        self.chunks = (next + 1, chunk.of); // an index is below its count, so it is not the last u16
        true
    }

    /// Compares everything with what the source says it sent, and gives the machine state.
    pub(super) fn check(&mut self, sent: &Sent) -> Result<Vec<u8>, Failure> {
        let missing = self.arrivals.frames_total().saturating_sub(self.arrivals.frames_done());
        if missing > 0 || sent.frames != self.arrivals.frames_total() {
            return Err(Failure::FramesMissing { missing });
        }
        if self.arrivals.root() != sent.root {
            return Err(Failure::RootDiffers);
        }
        let (next, of) = self.chunks;
        if of == 0 || next != of || self.key.state(&self.state) != sent.state_sum {
            return Err(Failure::StateDiffers);
        }
        Ok(core::mem::take(&mut self.state))
    }

    fn mark(&mut self, now_ns: u64, place: &Place, out: &mut VecDeque<Datagram>) {
        let opens_gap = self.window.mark(place.sequence);
        out.extend(self.acknowledger.arrived(now_ns, opens_gap || place.acknowledge_now, &self.window));
    }

    fn count(&mut self, content: &Landed<'_>) {
        self.progress.datagrams += 1;
        self.progress.page_bytes +=
            if let Landed::Bytes { bytes, .. } = content { bytes.len() as u64 } else { 0 };
    }

    fn drop_it<'d>(&mut self) -> Option<Landing<'d>> {
        self.progress.dropped += 1;
        None
    }
}
