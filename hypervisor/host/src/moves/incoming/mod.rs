//! A guest on its way here.

mod place;

use alloc::{boxed::Box, string::String, vec::Vec};
use core::{net::SocketAddrV4, time::Duration};

use godwit_guest::{GuestMemory, baseline::Baseline, description::GuestDescription};
use godwit_migration::{Destination, DestinationEvent, DestinationPhase, Landed, Outbox, Progress};
use godwit_wire::{Message, Name, Token};

use super::{
    channel::{Broken, Channel},
    state::SavedGuest,
};
use crate::{
    guests::{Guest, Phase, Ram, Text, What},
    machine::{HostMemory, Instant},
    network::{Network, PAGE_PORT, SendError},
    state::HostState,
};

/// How long a peer that was told no may take to read it.
const LINGER: Duration = Duration::from_secs(5);

/// What is held for the guest.
enum Held {
    /// Nothing yet, or nothing any more.
    Nothing,
    /// Its frames, of which those before this place are zero.
    Zeroing { ram: Ram, segment: usize, frame: u64 },
    /// Its frames, which fill.
    Filling { ram: Ram },
    /// All of it, not running.
    Ready { guest: Box<Guest>, saved: Box<SavedGuest> },
}

/// What was agreed about the guest.
struct Agreed {
    description: GuestDescription,
    baseline: Baseline,
    /// What this host knew of a guest of that name before.
    before: Phase,
}

/// A guest on its way here, and the connection that it comes by.
pub(crate) struct Incoming {
    channel: Channel,
    from: SocketAddrV4,
    is_lost: bool,
    destination: Destination,
    pub(super) out: Outbox<DestinationEvent>,
    agreed: Option<Agreed>,
    held: Held,
    /// Moves that a source asked for on this connection although another one is theirs.
    pub(super) inquiries: Vec<Token>,
    /// How long a peer that was told no may take to read it.
    linger_until: Option<Instant>,
}

impl Incoming {
    /// A source has just connected.
    pub(super) fn new(
        state: &HostState<'_, '_>,
        connection: crate::network::Connection,
        from: SocketAddrV4,
    ) -> Self {
        let now = state.machine.now();
        let host = Name::new(state.startup.command_line.options.host_name());
        Self {
            channel: Channel::new(connection),
            from,
            is_lost: false,
            destination: Destination::new(now.as_nanoseconds(), host, Default::default()),
            out: Outbox::new(),
            agreed: None,
            held: Held::Nothing,
            inquiries: Vec::new(),
            linger_until: None,
        }
    }

    /// Whether the guest runs here, for all that the move knows.
    pub(super) fn is_running(&self) -> bool {
        self.destination.phase() == DestinationPhase::Running
    }

    /// Gives back what an ended move needs no more.
    pub(super) fn release(&mut self) {
        self.channel = Channel::new(self.channel.connection);
        self.out = Outbox::new();
        self.agreed = None;
    }

    /// The guest's name, once it is known.
    pub(crate) fn guest(&self) -> Option<&str> {
        self.agreed.as_ref().map(|agreed| agreed.description.name.as_str())
    }

    /// How far it is.
    pub(crate) fn progress(&self) -> Progress {
        self.destination.progress()
    }

    /// The move's name.
    pub(super) fn token(&self) -> Option<Token> {
        self.destination.token()
    }

    /// Whether the move ended and the connection is gone.
    pub(super) fn is_over(&self) -> bool {
        let ended =
            matches!(self.destination.phase(), DestinationPhase::Running | DestinationPhase::Discarded);
        self.is_lost && (ended || self.token().is_none()) && matches!(self.held, Held::Nothing)
    }

    /// When it must be turned again at the latest.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let linger = self.linger_until.filter(|_| !self.is_lost);
        // What another connection's question left to be done is due at once.
        let due = (!self.out.events.is_empty() || !self.out.messages.is_empty()).then(Instant::default);
        let patience = self.destination.deadline_ns().map(Instant::from_nanoseconds);
        patience.into_iter().chain(linger).chain(due).min()
    }

    /// Takes a datagram that came to the page port.
    pub(super) fn on_datagram(&mut self, now: Instant, memory: &dyn HostMemory, datagram: &[u8]) {
        let now_ns = now.as_nanoseconds();
        let Held::Filling { ram } = &self.held else { return };
        let Some(landing) = self.destination.on_datagram(now_ns, datagram, &mut self.out) else { return };
        let door = ram.door(memory);
        let written = match landing.content() {
            Landed::Bytes { at, bytes } => door.write(*at, bytes),
            // Zeroed before it was offered, and written by nobody since.
            Landed::Zeros(_) => Ok(()),
        };
        match written {
            Ok(()) => self.destination.landed(now_ns, landing, &door, &mut self.out),
            Err(error) => self.destination.not_landed(error, &mut self.out),
        }
    }

    /// A source asks on another connection about this move; its answer is what comes into `out`.
    pub(super) fn inquire(&mut self, now: Instant, token: Token, out: &mut Outbox<DestinationEvent>) {
        self.destination.on_message(now.as_nanoseconds(), Message::Inquire { token }, out);
        self.out.events.append(&mut out.events);
    }

    /// One turn; `true` where there is more to do at once.
    pub(super) fn turn(&mut self, state: &mut HostState<'_, '_>) -> bool {
        let now = state.machine.now();
        let now_ns = now.as_nanoseconds();
        let Ok(network) = state.network.as_mut() else { return false };
        self.hear(network, now_ns);
        self.destination.on_tick(now_ns, &mut self.out);
        let mut busy = self.zero(state);
        while let Some(event) = self.out.events.pop_front() {
            self.on_event(state, event);
            busy = true;
        }
        self.say(state, now);
        busy
    }

    fn hear(&mut self, network: &mut Network<'_>, now_ns: u64) {
        while !self.is_lost && !self.channel.is_clogged() {
            match self.channel.hear(network) {
                // A question about another connection's move is that one's to answer.
                Ok(Some(Message::Inquire { token })) if self.token() != Some(token) => {
                    self.inquiries.push(token);
                }
                Ok(Some(message)) => self.destination.on_message(now_ns, message, &mut self.out),
                Ok(None) => return,
                Err(Broken::Gone) => self.lose(network, now_ns),
                Err(Broken::Wire(error)) => {
                    self.destination.on_broken_stream(error, &mut self.out);
                    self.lose(network, now_ns);
                }
            }
        }
    }

    fn lose(&mut self, network: &mut Network<'_>, now_ns: u64) {
        self.is_lost = true;
        network.close(self.channel.connection, Instant::from_nanoseconds(now_ns));
        self.destination.disconnected(&mut self.out);
    }

    fn on_event(&mut self, state: &mut HostState<'_, '_>, event: DestinationEvent) {
        let now_ns = state.machine.now().as_nanoseconds();
        match event {
            DestinationEvent::Reserve(offer) => {
                if let Err((code, reason)) = self.reserve(state, &offer) {
                    log::info!("guest {} is refused: {reason}", offer.guest.as_str());
                    self.destination.refuse(code, &reason, &mut self.out);
                }
            }
            DestinationEvent::Restore { state: bytes } => {
                let restored = self.restore(state, &bytes);
                let result = restored.as_ref().copied().map_err(String::as_str);
                self.destination.restored(now_ns, result, &mut self.out);
            }
            DestinationEvent::Start { paused_ns } => {
                let started = self.start(state, paused_ns);
                let result = started.as_ref().copied().map_err(String::as_str);
                let now_ns = state.machine.now().as_nanoseconds();
                self.destination.started(now_ns, result, &mut self.out);
            }
            DestinationEvent::Discard(failure) => {
                if let Some(name) = self.guest() {
                    log::warn!("guest {name} does not arrive: {failure}");
                    state.note(name, What::NotArrived { why: Text::new(&failure) });
                }
                self.discard(state);
            }
        }
    }

    fn say(&mut self, state: &mut HostState<'_, '_>, now: Instant) {
        // A refusal leaves no event behind: what was taken for the guest is given back here.
        if self.destination.phase() == DestinationPhase::Discarded && !matches!(self.held, Held::Nothing) {
            self.discard(state);
        }
        let Ok(network) = state.network.as_mut() else { return };
        if self.is_lost {
            self.out.messages.clear();
        }
        while let Some(message) = self.out.messages.pop_front() {
            if let Err(error) = self.channel.say(&message) {
                log::error!("{} to {} cannot be said: {error}", message.name(), self.from);
            }
        }
        if !self.is_lost {
            self.channel.send(network);
        }
        // Each acknowledgement says all that those before it said.
        let old = self.out.datagrams.len().saturating_sub(1);
        self.out.datagrams.drain(..old);
        while let Some(datagram) = self.out.datagrams.front() {
            let to = SocketAddrV4::new(*self.from.ip(), PAGE_PORT);
            match network.send_pages(to, &datagram.header, &[], now) {
                Err(SendError::Full | SendError::NoAddress) => break,
                // An acknowledgement that is lost is made up for by the next.
                Ok(()) | Err(_) => drop(self.out.datagrams.pop_front()),
            }
        }
        network.flush();
        // Nobody asks about a move that was refused.
        if self.destination.phase() == DestinationPhase::Discarded && !self.is_lost {
            let until = *self.linger_until.get_or_insert(now.after(LINGER));
            if self.channel.is_flushed() || until <= now {
                self.lose(network, now.as_nanoseconds());
            }
        }
    }
}
