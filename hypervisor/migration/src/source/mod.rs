//! The side that has the guest.

mod phase;
mod rtt;
mod scan;
mod transfer;
mod window;

use alloc::{boxed::Box, vec::Vec};

use godwit_guest::GuestMemory;
use godwit_wire::{
    Accept, Go, Hello, MAX_STATE_BYTES, MAX_STATE_CHUNK_BYTES, Message, Name, Offer, OfferError, Reason,
    StateChunk, Token,
};

use crate::outbox::Outbox;
use crate::{Failure, NotInDoubt, Patience, Progress, TooLate};
use transfer::Transfer;

pub use phase::SourcePhase;

/// What the host is told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SourceEvent {
    /// Stop the guest, then call [`Source::paused`].
    Pause,
    /// The guest stays: let it run on if it was stopped. The move is over.
    ResumeHere(Failure),
    /// GO was said, and nobody knows whether it arrived. Keep the guest paused, keep its memory, and make a new
    /// connection ([`Source::reconnected`]) until an answer comes or a person decides ([`Source::force_resume`]).
    InDoubt {
        /// When GO was said.
        since_ns: u64,
    },
    /// The destination answers that it does not know the move: its host was started again, and its copy is gone. Whether
    /// it ran before, nobody knows, so this too is a person's to decide.
    Forgotten,
    /// The guest runs at the destination: free it here. The move is over.
    Done,
    /// The destination says that the guest runs there, after a person forced it to run here: two copies run. Say so loudly.
    Conflict,
}

/// What a source must know beside the guest.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SourceSettings {
    /// This host's name.
    pub host: Name,
    /// Bytes of UDP payload that the link takes: its MTU less 28 (IPv4) or 48 (IPv6).
    pub datagram_bytes: u16,
    /// Bytes on the way at most; bounded by 512 datagrams.
    pub window_bytes: u32,
    /// How long to wait for what.
    pub patience: Patience,
}

/// One guest on its way out.
///
/// The guest belongs to the source until GO was said and to nobody until the answer came; see `docs/PROTOCOL.md`.
#[derive(Debug)]
pub struct Source {
    settings: SourceSettings,
    offer: Box<Offer>,
    phase: SourcePhase,
    deadline_ns: Option<u64>,
    is_connected: bool,
    transfer: Option<Transfer>,
    state: Vec<u8>,
    paused_at_ns: u64,
    go_at_ns: u64,
}

impl Source {
    /// A move of the guest that `offer` describes, before the connection to the destination was made; call
    /// [`connected`](Self::connected) or [`disconnected`](Self::disconnected) next.
    ///
    /// # Errors
    /// [`OfferError`] where the offer is out of its bounds.
    pub fn new(now_ns: u64, settings: SourceSettings, offer: Offer) -> Result<Self, OfferError> {
        offer.check()?;
        let deadline_ns = Some(now_ns.saturating_add(settings.patience.greeting_ns));
        Ok(Self {
            settings,
            offer: Box::new(offer),
            phase: SourcePhase::Greeting,
            deadline_ns,
            is_connected: false,
            transfer: None,
            state: Vec::new(),
            paused_at_ns: 0,
            go_at_ns: 0,
        })
    }

    /// Where the move stands.
    pub fn phase(&self) -> SourcePhase {
        self.phase
    }

    /// How far it is.
    pub fn progress(&self) -> Progress {
        let frames_total = self.offer.frames();
        self.transfer.as_ref().map_or(Progress { frames_total, ..Progress::default() }, Transfer::progress)
    }

    /// The move's name, once the destination has given it one.
    pub fn token(&self) -> Option<Token> {
        self.transfer.as_ref().map(Transfer::token)
    }

    /// When [`on_tick`](Self::on_tick) must be called at the latest.
    pub fn deadline_ns(&self) -> Option<u64> {
        let resend = self.transfer.as_ref().filter(|_| self.phase == SourcePhase::Streaming);
        let resend = resend.and_then(Transfer::deadline_ns);
        self.deadline_ns.into_iter().chain(resend).min()
    }

    /// The first control connection stands.
    pub fn connected(&mut self, now_ns: u64, out: &mut Outbox<SourceEvent>) {
        if self.phase == SourcePhase::Greeting && !self.is_connected {
            self.is_connected = true;
            out.messages.push_back(Message::Hello(Hello::new(self.settings.host.clone())));
            self.enter(now_ns, SourcePhase::Greeting);
        }
    }

    /// The control connection is gone, or could not be made. Messages still in the outbox are lost with it.
    pub fn disconnected(&mut self, now_ns: u64, out: &mut Outbox<SourceEvent>) {
        self.is_connected = false;
        out.messages.clear();
        self.fail(now_ns, Failure::Disconnected, out);
    }

    /// A new control connection to the same destination stands: asks there where the guest runs.
    pub fn reconnected(&mut self, out: &mut Outbox<SourceEvent>) {
        if let (SourcePhase::InDoubt, Some(token)) = (self.phase, self.token()) {
            self.is_connected = true;
            out.messages.push_back(Message::Hello(Hello::new(self.settings.host.clone())));
            out.messages.push_back(Message::Inquire { token });
        }
    }

    /// Takes a message from the destination.
    pub fn on_message(&mut self, now_ns: u64, message: Message, out: &mut Outbox<SourceEvent>) {
        match (self.phase, message) {
            (SourcePhase::Greeting, Message::Hello(hello)) => match hello.agree() {
                Ok(_) => {
                    out.messages.push_back(Message::Offer(self.offer.clone()));
                    self.enter(now_ns, SourcePhase::Offering);
                }
                Err(mismatch) => self.fail(now_ns, mismatch.into(), out),
            },
            (SourcePhase::Offering, Message::Accept(accept)) => self.begin(now_ns, &accept, out),
            (SourcePhase::Offering, Message::Refuse(refusal)) => {
                self.fail(now_ns, Failure::Refused(refusal), out);
            }
            (SourcePhase::Finishing, Message::Prepared { root }) => self.decide(now_ns, root, out),
            (phase, Message::Running { token }) if phase.is_after_go() && self.token() == Some(token) => {
                self.enter(now_ns, SourcePhase::Done);
                out.events.push_back(SourceEvent::Done);
            }
            // The destination's word that it never ran the guest and never will (PROTOCOL, "GO").
            (phase, Message::Abort { token, reason }) if phase.is_after_go() => {
                if token.is_some() && token == self.token() {
                    self.resume_here(Failure::Aborted(reason), out);
                }
            }
            (SourcePhase::InDoubt, Message::Unknown { token }) if self.token() == Some(token) => {
                out.events.push_back(SourceEvent::Forgotten);
            }
            (SourcePhase::Resumed, Message::Running { token }) if self.token() == Some(token) => {
                out.events.push_back(SourceEvent::Conflict);
            }
            (_, Message::Abort { reason, .. }) => {
                self.is_connected = false; // an answer would be news to nobody
                self.fail(now_ns, Failure::Aborted(reason), out);
            }
            // After GO no message but the two above can change anything; the rest is noise.
            (phase, _) if !phase.is_before_go() => {}
            (phase, message) => {
                self.fail(now_ns, Failure::Unexpected { message: message.name(), phase: phase.name() }, out);
            }
        }
    }

    /// The bytes of the control connection are no messages any more: treat it as gone.
    pub fn on_broken_stream(
        &mut self,
        now_ns: u64,
        error: godwit_wire::WireError,
        out: &mut Outbox<SourceEvent>,
    ) {
        self.fail(now_ns, error.into(), out);
    }

    /// Takes a datagram that came to the acknowledgement port.
    pub fn on_datagram(&mut self, now_ns: u64, datagram: &[u8], out: &mut Outbox<SourceEvent>) {
        let Some(transfer) = &mut self.transfer else { return };
        if transfer.on_datagram(now_ns, datagram) && self.phase == SourcePhase::Streaming {
            self.enter(now_ns, SourcePhase::Streaming); // something new: patience begins again
            self.finish_when_sent(now_ns, out);
        }
    }

    /// The guest stands still since `paused_at_ns`, and `state` is all of it that is not memory.
    pub fn paused(&mut self, now_ns: u64, paused_at_ns: u64, state: Vec<u8>, out: &mut Outbox<SourceEvent>) {
        if self.phase != SourcePhase::Pausing {
            return;
        }
        if state.is_empty() || state.len() > MAX_STATE_BYTES {
            return self.fail(now_ns, Failure::StateLength, out);
        }
        self.state = state;
        self.paused_at_ns = paused_at_ns;
        self.enter(now_ns, SourcePhase::Streaming);
    }

    /// Reads at most `budget_frames` frames and puts datagrams into the outbox as far as the window allows. Call it when
    /// the datagrams of the last call are sent.
    ///
    /// Answers whether another call could do more at once; if not, an acknowledgement or the deadline comes first.
    pub fn step(
        &mut self,
        now_ns: u64,
        budget_frames: u32,
        memory: &(impl GuestMemory + ?Sized),
        out: &mut Outbox<SourceEvent>,
    ) -> bool {
        let Some(transfer) = self.transfer.as_mut().filter(|_| self.phase == SourcePhase::Streaming) else {
            return false;
        };
        let awaits_nothing = transfer.is_settled();
        match transfer.step(now_ns, budget_frames, memory, &mut out.datagrams) {
            Ok(more) => {
                if awaits_nothing {
                    self.enter(now_ns, SourcePhase::Streaming); // patience is for answers, not for reading zeros
                }
                more
            }
            Err(failure) => {
                self.fail(now_ns, failure, out);
                false
            }
        }
    }

    /// Does what time asks for.
    pub fn on_tick(&mut self, now_ns: u64, out: &mut Outbox<SourceEvent>) {
        if self.deadline_ns.is_some_and(|deadline_ns| deadline_ns <= now_ns) {
            self.deadline_ns = None;
            self.fail(now_ns, Failure::Silence { waiting_for: self.phase.waits_for() }, out);
        }
        if self.phase == SourcePhase::Streaming
            && let Some(transfer) = &mut self.transfer
        {
            transfer.on_tick(now_ns);
        }
    }

    /// Calls the move off; the guest stays.
    ///
    /// # Errors
    /// [`TooLate`] once GO was said or the move is over; nothing changed.
    pub fn cancel(
        &mut self,
        now_ns: u64,
        reason: &str,
        out: &mut Outbox<SourceEvent>,
    ) -> Result<(), TooLate> {
        if !self.phase.is_before_go() {
            return Err(TooLate);
        }
        self.fail(now_ns, Failure::Cancelled(Reason::new(reason)), out);
        Ok(())
    }

    /// A person decides that the guest runs here. If it runs at the destination as well, two copies run from now on.
    ///
    /// # Errors
    /// [`NotInDoubt`]; nothing changed.
    pub fn force_resume(&mut self, out: &mut Outbox<SourceEvent>) -> Result<(), NotInDoubt> {
        if self.phase != SourcePhase::InDoubt {
            return Err(NotInDoubt);
        }
        self.resume_here(Failure::Forced, out);
        Ok(())
    }

    fn enter(&mut self, now_ns: u64, phase: SourcePhase) {
        self.phase = phase;
        let patience_ns = phase.patience_ns(&self.settings.patience);
        self.deadline_ns = patience_ns.map(|patience_ns| now_ns.saturating_add(patience_ns));
    }

    fn begin(&mut self, now_ns: u64, accept: &Accept, out: &mut Outbox<SourceEvent>) {
        match Transfer::new(&self.settings, &self.offer, accept) {
            Ok(transfer) => {
                self.transfer = Some(transfer);
                self.enter(now_ns, SourcePhase::Pausing);
                out.events.push_back(SourceEvent::Pause);
            }
            Err(failure) => self.fail(now_ns, failure, out),
        }
    }

    fn finish_when_sent(&mut self, now_ns: u64, out: &mut Outbox<SourceEvent>) {
        let Some(sent) = self.transfer.as_ref().and_then(|transfer| transfer.sent(&self.state)) else {
            return;
        };
        let chunks = self.state.chunks(MAX_STATE_CHUNK_BYTES);
        let of = chunks.len() as u16; // MAX_STATE_BYTES are 16 of them
        out.messages.extend(
            (0..)
                .zip(chunks)
                .map(|(index, bytes)| Message::State(StateChunk { index, of, bytes: bytes.to_vec() })),
        );
        out.messages.push_back(Message::Sent(sent));
        self.enter(now_ns, SourcePhase::Finishing);
    }

    /// PREPARED came: the last moment at which this side can still take the guest back.
    fn decide(&mut self, now_ns: u64, root: u64, out: &mut Outbox<SourceEvent>) {
        match self.transfer.as_ref() {
            Some(transfer) if transfer.root() == root => {
                let paused_ns = now_ns.saturating_sub(self.paused_at_ns);
                out.messages.push_back(Message::Go(Go { token: transfer.token(), paused_ns }));
                self.go_at_ns = now_ns;
                self.enter(now_ns, SourcePhase::Committed);
            }
            _ => self.fail(now_ns, Failure::RootDiffers, out),
        }
    }

    /// Something went wrong: before GO the guest stays, after it nobody may decide here.
    fn fail(&mut self, now_ns: u64, failure: Failure, out: &mut Outbox<SourceEvent>) {
        if self.phase.is_before_go() {
            if self.is_connected {
                out.messages
                    .push_back(Message::Abort { token: self.token(), reason: Reason::display(&failure) });
            }
            self.resume_here(failure, out);
        } else if self.phase == SourcePhase::Committed {
            self.enter(now_ns, SourcePhase::InDoubt);
            out.events.push_back(SourceEvent::InDoubt { since_ns: self.go_at_ns });
        }
    }

    fn resume_here(&mut self, failure: Failure, out: &mut Outbox<SourceEvent>) {
        self.phase = SourcePhase::Resumed;
        self.deadline_ns = None;
        self.state = Vec::new();
        out.datagrams.clear();
        out.events.push_back(SourceEvent::ResumeHere(failure));
    }
}
