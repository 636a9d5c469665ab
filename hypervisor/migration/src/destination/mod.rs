//! The side that gets the guest.

mod acknowledger;
mod arrivals;
mod frame_set;
mod phase;
mod receiving;
mod window;

use alloc::{boxed::Box, vec::Vec};

use godwit_guest::{GuestMemory, NotRam};
use godwit_wire::{
    Accept, Go, Hello, Message, Name, Offer, Reason, Refusal, RefuseCode, Sent, StateChunk, Token, WireError,
};

use crate::outbox::Outbox;
use crate::{Failure, Patience, Progress, TooLate};
use receiving::Receiving;

pub(crate) use acknowledger::{ACKNOWLEDGE_DELAY_NS, ACKNOWLEDGE_EVERY};
pub use phase::DestinationPhase;
pub use receiving::{Landed, Landing};

/// What the host is told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum DestinationEvent {
    /// A guest wants to come. Answer with [`Destination::accept`] or [`Destination::refuse`].
    Reserve(Box<Offer>),
    /// All memory is in place. Put the machine state there too, without running the guest; then [`Destination::restored`].
    Restore {
        /// All of the guest that is not memory, as the source's host encoded it.
        state: Vec<u8>,
    },
    /// Run the guest, then call [`Destination::started`]. Its clocks step forward by `paused_ns`.
    Start {
        /// How long it stood still until the source said so, in ns; the message's own way comes on top.
        paused_ns: u64,
    },
    /// Give back what was reserved. The guest never ran here and never will. The move is over.
    Discard(Failure),
}

/// Why an acceptance came to nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum AcceptError {
    /// The source has gone meanwhile: give back what was reserved.
    #[error("nobody waits for an answer any more")]
    NotAsked,
    /// There is no memory to keep track of what arrives: refuse.
    #[error("no memory to keep track of what arrives")]
    NoMemory,
}

/// One guest on its way in; one for each control connection.
///
/// It runs the guest only after GO. A connection lost before GO arrived ends the move here for good.
#[derive(Debug)]
pub struct Destination {
    host: Name,
    patience: Patience,
    phase: DestinationPhase,
    deadline_ns: Option<u64>,
    is_connected: bool,
    token: Option<Token>,
    /// While the host decides.
    offered: Option<Box<Offer>>,
    receiving: Option<Receiving>,
    /// What `receiving` came to, once it has gone.
    progress: Progress,
    root: u64,
    /// Why the move was given up, for a source that asks later.
    gave_up: Reason,
}

impl Destination {
    /// A source has just connected.
    pub fn new(now_ns: u64, host: Name, patience: Patience) -> Self {
        Self {
            host,
            deadline_ns: Some(now_ns.saturating_add(patience.greeting_ns)),
            patience,
            phase: DestinationPhase::Greeting,
            is_connected: true,
            token: None,
            offered: None,
            receiving: None,
            progress: Progress::default(),
            root: 0,
            gave_up: Reason::default(),
        }
    }

    /// Where the move stands.
    pub fn phase(&self) -> DestinationPhase {
        self.phase
    }

    /// How far it is, or was when it ended; all zero before the offer was accepted.
    pub fn progress(&self) -> Progress {
        self.receiving.as_ref().map_or(self.progress, Receiving::progress)
    }

    /// The move's name, once accepted.
    pub fn token(&self) -> Option<Token> {
        self.token
    }

    /// When [`on_tick`](Self::on_tick) must be called at the latest.
    pub fn deadline_ns(&self) -> Option<u64> {
        let acknowledge = self.receiving.as_ref().and_then(Receiving::deadline_ns);
        self.deadline_ns.into_iter().chain(acknowledge).min()
    }

    /// Takes a message from the source.
    ///
    /// An INQUIRE on a new connection belongs to the machine that has its token: pass it there, with that connection's
    /// outbox. Where no machine has it, the new connection's own machine answers.
    pub fn on_message(&mut self, now_ns: u64, message: Message, out: &mut Outbox<DestinationEvent>) {
        match (self.phase, message) {
            (_, Message::Inquire { token }) => self.answer(token, out),
            (DestinationPhase::Greeting, Message::Hello(hello)) => {
                out.messages.push_back(Message::Hello(Hello::new(self.host.clone())));
                match hello.agree() {
                    Ok(_) => self.enter(now_ns, DestinationPhase::Listening),
                    Err(mismatch) => self.fail(mismatch.into(), out),
                }
            }
            (DestinationPhase::Listening, Message::Offer(offer)) => {
                self.offered = Some(offer.clone());
                self.enter(now_ns, DestinationPhase::Deciding);
                out.events.push_back(DestinationEvent::Reserve(offer));
            }
            (DestinationPhase::Receiving, Message::State(chunk)) => self.take_state(now_ns, &chunk, out),
            (DestinationPhase::Receiving, Message::Sent(sent)) => self.check(now_ns, &sent, out),
            (DestinationPhase::Prepared, Message::Go(go)) => self.go(now_ns, go, out),
            // The source may have said GO before it read that this side gave up.
            (DestinationPhase::Discarded, Message::Go(_)) => {
                out.messages.push_back(Message::Abort { token: self.token, reason: self.gave_up.clone() });
            }
            // After GO nothing but a question changes anything; after the end nothing does.
            (phase, _) if !phase.is_before_go() => {}
            (_, Message::Abort { reason, .. }) => {
                self.is_connected = false; // an answer would be news to nobody
                self.fail(Failure::Aborted(reason), out);
            }
            (phase, message) => {
                self.fail(Failure::Unexpected { message: message.name(), phase: phase.name() }, out);
            }
        }
    }

    /// The control connection is gone. Messages still in the outbox are lost with it.
    pub fn disconnected(&mut self, out: &mut Outbox<DestinationEvent>) {
        self.is_connected = false;
        out.messages.clear();
        self.fail(Failure::Disconnected, out);
    }

    /// The bytes of the control connection are no messages any more: treat it as gone.
    pub fn on_broken_stream(&mut self, error: WireError, out: &mut Outbox<DestinationEvent>) {
        self.fail(error.into(), out);
    }

    /// The host has reserved what the offer needs, all of it zeroed, and answers with `accept`.
    ///
    /// # Errors
    /// [`AcceptError`]; nothing was answered.
    pub fn accept(
        &mut self,
        now_ns: u64,
        accept: Accept,
        out: &mut Outbox<DestinationEvent>,
    ) -> Result<(), AcceptError> {
        let offer = self.offered.as_ref().ok_or(AcceptError::NotAsked)?;
        self.receiving = Some(Receiving::new(offer, &accept).ok_or(AcceptError::NoMemory)?);
        self.offered = None;
        self.token = Some(accept.token);
        out.messages.push_back(Message::Accept(accept));
        self.enter(now_ns, DestinationPhase::Receiving);
        Ok(())
    }

    /// The host does not take the guest. The move is over; no event follows.
    pub fn refuse(&mut self, code: RefuseCode, reason: &str, out: &mut Outbox<DestinationEvent>) {
        if self.phase == DestinationPhase::Deciding {
            let reason = Reason::new(reason);
            out.messages.push_back(Message::Refuse(Refusal { code, reason: reason.clone() }));
            self.forget(reason);
        }
    }

    /// Takes a datagram that came to the page port. What it answers must be written to guest memory and given to
    /// [`landed`](Self::landed).
    pub fn on_datagram<'d>(
        &mut self,
        now_ns: u64,
        datagram: &'d [u8],
        out: &mut Outbox<DestinationEvent>,
    ) -> Option<Landing<'d>> {
        let is_open = self.phase == DestinationPhase::Receiving;
        let receiving = self.receiving.as_mut().filter(|_| is_open)?;
        match receiving.on_datagram(now_ns, datagram, &mut out.datagrams) {
            Ok(landing) => landing,
            Err(what) => {
                self.fail(Failure::Record(what), out);
                None
            }
        }
    }

    /// `landing` was written to guest memory, which is read once more for its sum.
    pub fn landed(
        &mut self,
        now_ns: u64,
        landing: Landing<'_>,
        memory: &(impl GuestMemory + ?Sized),
        out: &mut Outbox<DestinationEvent>,
    ) {
        let is_open = self.phase == DestinationPhase::Receiving;
        let Some(receiving) = self.receiving.as_mut().filter(|_| is_open) else { return };
        match receiving.landed(now_ns, landing, memory, &mut out.datagrams) {
            Ok(()) => self.enter(now_ns, DestinationPhase::Receiving), // something new: patience begins again
            Err(failure) => self.fail(failure, out),
        }
    }

    /// A landing could not be written: the offer and the reservation do not match. Ends the move.
    pub fn not_landed(&mut self, error: NotRam, out: &mut Outbox<DestinationEvent>) {
        self.fail(error.into(), out);
    }

    /// The machine state is in place, or could not be put there for the reason given.
    pub fn restored(&mut self, now_ns: u64, result: Result<(), &str>, out: &mut Outbox<DestinationEvent>) {
        if self.phase != DestinationPhase::Restoring {
            return;
        }
        match result {
            Ok(()) => {
                out.messages.push_back(Message::Prepared { root: self.root });
                self.enter(now_ns, DestinationPhase::Prepared);
            }
            Err(reason) => self.fail(Failure::Restore(Reason::new(reason)), out),
        }
    }

    /// The guest runs, or did not start for the reason given and never will.
    pub fn started(&mut self, now_ns: u64, result: Result<(), &str>, out: &mut Outbox<DestinationEvent>) {
        let (DestinationPhase::Starting, Some(token)) = (self.phase, self.token) else { return };
        match result {
            Ok(()) => {
                self.enter(now_ns, DestinationPhase::Running);
                if self.is_connected {
                    out.messages.push_back(Message::Running { token });
                }
            }
            Err(reason) => self.give_up(Failure::Restore(Reason::new(reason)), out),
        }
    }

    /// Does what time asks for.
    pub fn on_tick(&mut self, now_ns: u64, out: &mut Outbox<DestinationEvent>) {
        if self.deadline_ns.is_some_and(|deadline_ns| deadline_ns <= now_ns) {
            self.deadline_ns = None;
            self.fail(Failure::Silence { waiting_for: self.phase.waits_for() }, out);
        }
        if let Some(receiving) = &mut self.receiving {
            receiving.on_tick(now_ns, &mut out.datagrams);
        }
    }

    /// Calls the move off here.
    ///
    /// # Errors
    /// [`TooLate`] once GO arrived or the move is over; nothing changed.
    pub fn cancel(&mut self, reason: &str, out: &mut Outbox<DestinationEvent>) -> Result<(), TooLate> {
        if !self.phase.is_before_go() {
            return Err(TooLate);
        }
        self.fail(Failure::Cancelled(Reason::new(reason)), out);
        Ok(())
    }

    fn enter(&mut self, now_ns: u64, phase: DestinationPhase) {
        self.phase = phase;
        let patience_ns = phase.patience_ns(&self.patience);
        self.deadline_ns = patience_ns.map(|patience_ns| now_ns.saturating_add(patience_ns));
    }

    /// A source that asks has lost the connection on which GO would have come. If GO is not here it must never count
    /// any more, however late it arrives: only so can the answer be relied on.
    fn answer(&mut self, token: Token, out: &mut Outbox<DestinationEvent>) {
        if self.token != Some(token) {
            out.messages.push_back(Message::Unknown { token });
            return;
        }
        self.is_connected = true;
        match self.phase {
            DestinationPhase::Starting => {} // `started` answers
            DestinationPhase::Running => out.messages.push_back(Message::Running { token }),
            DestinationPhase::Discarded => {
                out.messages.push_back(Message::Abort { token: self.token, reason: self.gave_up.clone() });
            }
            _ => self.fail(Failure::SourceReconnected, out),
        }
    }

    fn take_state(&mut self, now_ns: u64, chunk: &StateChunk, out: &mut Outbox<DestinationEvent>) {
        let Some(receiving) = &mut self.receiving else { return };
        if receiving.take_state(chunk) {
            self.enter(now_ns, DestinationPhase::Receiving);
        } else {
            self.fail(Failure::StateDiffers, out);
        }
    }

    /// SENT came: everything is checked before anything is put in place.
    fn check(&mut self, now_ns: u64, sent: &Sent, out: &mut Outbox<DestinationEvent>) {
        let Some(receiving) = &mut self.receiving else { return };
        match receiving.check(sent) {
            Ok(state) => {
                self.root = sent.root;
                // Nothing arrives any more, and a bit for every frame is a lot to keep.
                self.end_receiving();
                self.enter(now_ns, DestinationPhase::Restoring);
                out.events.push_back(DestinationEvent::Restore { state });
            }
            Err(failure) => self.fail(failure, out),
        }
    }

    fn end_receiving(&mut self) {
        self.progress = self.progress();
        self.receiving = None;
    }

    fn go(&mut self, now_ns: u64, go: Go, out: &mut Outbox<DestinationEvent>) {
        if self.token == Some(go.token) {
            self.enter(now_ns, DestinationPhase::Starting);
            out.events.push_back(DestinationEvent::Start { paused_ns: go.paused_ns });
        } else {
            self.fail(Failure::Unexpected { message: "GO of another move", phase: self.phase.name() }, out);
        }
    }

    /// Something went wrong: before GO the move ends here, after it the guest runs whatever happens to the connection.
    fn fail(&mut self, failure: Failure, out: &mut Outbox<DestinationEvent>) {
        if self.phase.is_before_go() {
            self.give_up(failure, out);
        }
    }

    fn give_up(&mut self, failure: Failure, out: &mut Outbox<DestinationEvent>) {
        let reason = Reason::display(&failure);
        if self.is_connected {
            out.messages.push_back(Message::Abort { token: self.token, reason: reason.clone() });
        }
        self.forget(reason);
        out.events.push_back(DestinationEvent::Discard(failure));
    }

    fn forget(&mut self, reason: Reason) {
        self.phase = DestinationPhase::Discarded;
        self.deadline_ns = None;
        self.offered = None;
        self.end_receiving();
        self.gave_up = reason;
    }
}
