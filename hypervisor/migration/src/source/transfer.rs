//! The page stream of one move, from the sending side.

use alloc::collections::VecDeque;

use godwit_guest::GuestMemory;
use godwit_wire::record::{PAGES_HEADER_BYTES, Pages, Place, Record, Zeros};
use godwit_wire::{Accept, Offer, Sent, Token};

use super::SourceSettings;
use super::scan::{Cut, Scan};
use super::window::{Load, SendWindow};
use crate::outbox::Datagram;
use crate::sum::SumKey;
use crate::{Failure, Progress};

#[derive(Debug)]
pub(super) struct Transfer {
    token: Token,
    key: SumKey,
    scan: Scan,
    window: SendWindow,
    /// Bytes of memory that were acknowledged, named zero frames included.
    settled_bytes: u64,
    progress: Progress,
}

impl Transfer {
    /// # Errors
    /// [`Failure::LinkTooSmall`].
    pub(super) fn new(settings: &SourceSettings, offer: &Offer, accept: &Accept) -> Result<Self, Failure> {
        let datagram_bytes = settings.datagram_bytes.min(accept.datagram_bytes);
        let body_bytes = u32::from(datagram_bytes).saturating_sub(PAGES_HEADER_BYTES as u32);
        // Zero records and acknowledgements are short, but longer than a header alone.
        let fits = datagram_bytes as usize >= godwit_wire::record::MAX_HEADER_BYTES;
        let cut =
            Cut::fitting(body_bytes).filter(|_| fits).ok_or(Failure::LinkTooSmall { datagram_bytes })?;
        let key = SumKey::new(accept.sum_key);
        Ok(Self {
            token: accept.token,
            key,
            scan: Scan::new(offer.leaves.clone(), cut, key),
            window: SendWindow::new(settings.window_bytes, cut.bytes()),
            settled_bytes: 0,
            progress: Progress { frames_total: offer.frames(), ..Progress::default() },
        })
    }

    pub(super) fn token(&self) -> Token {
        self.token
    }

    pub(super) fn root(&self) -> u64 {
        self.scan.root()
    }

    pub(super) fn progress(&self) -> Progress {
        Progress { frames_done: self.settled_bytes / godwit_wire::record::FRAME_BYTES, ..self.progress }
    }

    pub(super) fn deadline_ns(&self) -> Option<u64> {
        self.window.deadline_ns()
    }

    pub(super) fn on_tick(&mut self, now_ns: u64) {
        self.window.expire(now_ns);
    }

    /// Whether no answer is awaited.
    pub(super) fn is_settled(&self) -> bool {
        self.window.is_settled()
    }

    /// What to say when everything was acknowledged, and not before.
    pub(super) fn sent(&self, state: &[u8]) -> Option<Sent> {
        (self.scan.is_finished() && self.window.is_settled()).then(|| Sent {
            packets: self.progress.datagrams,
            frames: self.progress.frames_total,
            root: self.root(),
            state_sum: self.key.state(state),
        })
    }

    /// Takes an acknowledgement; answers whether it said anything new.
    pub(super) fn on_datagram(&mut self, now_ns: u64, datagram: &[u8]) -> bool {
        let settled = match Record::decode(datagram) {
            Ok(Record::Ack(ack)) if ack.token == self.token => self.window.acknowledge(now_ns, &ack),
            _ => {
                self.progress.dropped += 1;
                return false;
            }
        };
        let Ok(settled) = settled else {
            self.progress.dropped += 1;
            return false;
        };
        self.progress.acknowledgements += 1;
        self.progress.zero_frames += settled.zero_frames;
        self.settled_bytes += settled.memory_bytes;
        settled.datagrams > 0
    }

    /// Fills the window; answers whether more could go at once.
    pub(super) fn step(
        &mut self,
        now_ns: u64,
        mut budget_frames: u32,
        memory: &(impl GuestMemory + ?Sized),
        out: &mut VecDeque<Datagram>,
    ) -> Result<bool, Failure> {
        loop {
            let again = self.window.take_lost();
            let is_again = again.is_some();
            let load = match again {
                Some(load) => load,
                // What is lost goes first: the window cannot move on without it.
                None if self.window.has_lost() || !self.window.has_room() => return Ok(false),
                None => match self.scan.next(&mut budget_frames, memory)? {
                    Some(load) => load,
                    None => return Ok(!self.scan.is_finished()),
                },
            };
            out.push_back(self.launch(now_ns, load, is_again)?);
        }
    }

    fn launch(&mut self, now_ns: u64, load: Load, is_again: bool) -> Result<Datagram, Failure> {
        let floor = self.window.floor();
        let sequence = self.window.launch(now_ns, load.clone()).ok_or(Failure::TooManyDatagrams)?;
        let is_last = self.scan.is_finished() && !self.window.has_lost();
        let acknowledge_now = self.window.take_probe() || is_last || !self.window.has_room();
        let place = Place { sequence, token: self.token, floor, round: 0, acknowledge_now };
        self.progress.datagrams += 1;
        self.progress.repeated += u64::from(is_again);
        Ok(match load {
            Load::Pages(range, order) => {
                self.progress.page_bytes += u64::from(range.bytes);
                let header = Pages { place, order, at: range.at }.encode();
                Datagram { header, body: Some(range) }
            }
            Load::Zeros(ranges) => Datagram { header: Zeros { place, ranges }.encode(), body: None },
        })
    }
}
