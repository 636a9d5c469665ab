//! A guest on its way here.

use alloc::{boxed::Box, format, string::String, vec::Vec};
use core::net::SocketAddrV4;

use godwit_devices::{Board, BoardConfig};
use godwit_frames::FRAME_BYTES;
use godwit_guest::{GuestMemory, baseline::Baseline, description::GuestDescription};
use godwit_migration::{Destination, DestinationEvent, DestinationPhase, Landed, Outbox, Progress};
use godwit_wire::{Accept, Message, Name, Offer, RefuseCode, Token};

use super::{
    channel::{Broken, Channel},
    offer::{self, Refusal},
    state::SavedGuest,
};
use crate::{
    guests::{self, Entry, Guest, GuestClock, Origin, Parts, Phase, Ram, RunState},
    machine::{CpuNumber, HostMemory, Instant},
    network::{Network, PAGE_PORT, SendError},
    size::Size,
    state::HostState,
};

/// Bytes that one turn makes zero at most.
const BYTES_PER_TURN: u64 = 4 << 20;

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
    cpu: CpuNumber,
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
        }
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
        self.destination.deadline_ns().map(Instant::from_nanoseconds)
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
        while !self.is_lost {
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
                }
                self.discard(state);
            }
        }
    }

    /// Takes frames and a CPU for the guest.
    fn reserve(&mut self, state: &mut HostState<'_, '_>, offer: &Offer) -> Result<(), Refusal> {
        let (description, baseline) = offer::read(state.machine, offer)?;
        baseline
            .satisfied_by(&guests::HostLeaves(state.machine))
            .map_err(|missing| (RefuseCode::Baseline, format!("{missing}")))?;
        let name = description.name.as_str();
        if state.roster.find(name).is_some_and(|entry| !matches!(entry.phase, Phase::Stopped(_))) {
            return Err((RefuseCode::NameTaken, format!("there is a guest called {name} here already")));
        }
        let cpu = state.roster.free_cpu(state.machine.description());
        let cpu = cpu.map_err(|error| (RefuseCode::Busy, format!("{error}")))?;
        let ram = offer::reserve(offer, state.cpu.frames());
        state.cpu.frames().drain();
        let ram = ram?;
        let size = Size::from_bytes(description.memory_bytes);
        log::info!("guest {name} is offered by {}; {size} are reserved for it", self.from.ip());
        if state.roster.find(name).is_none() {
            let origin = Origin::Moved(format!("{}", self.from.ip()));
            state.roster.add(Entry::new(description.clone(), origin));
        }
        if let Some(entry) = state.roster.find_mut(name) {
            entry.phase = Phase::Arriving;
        }
        guests::give_cpu(state, name, cpu);
        self.agreed = Some(Agreed { description, baseline, cpu });
        self.held = Held::Zeroing { ram, segment: 0, frame: 0 };
        Ok(())
    }

    /// Makes some of the reserved memory zero, and accepts once all of it is; `true` while there is more to do.
    fn zero(&mut self, state: &HostState<'_, '_>) -> bool {
        let Held::Zeroing { ram, segment, frame } = &mut self.held else { return false };
        if let Some(here) = ram.segments().get(*segment) {
            let frames = (here.run.frames() - *frame).min(BYTES_PER_TURN / FRAME_BYTES);
            let zeroed = state.machine.memory().zero(&here.run, *frame * FRAME_BYTES, frames * FRAME_BYTES);
            if zeroed.is_err() {
                self.destination.refuse(
                    RefuseCode::Memory,
                    "reserved memory cannot be reached",
                    &mut self.out,
                );
            }
            *frame += frames;
            if *frame == here.run.frames() {
                (*segment, *frame) = (*segment + 1, 0);
            }
            return true;
        }
        let ram = core::mem::take(ram);
        self.held = Held::Filling { ram };
        let datagram_bytes = state.network.as_ref().map_or(0, Network::max_page_bytes);
        let accept = Accept {
            token: Token(fresh(state)),
            page_port: PAGE_PORT,
            datagram_bytes: u16::try_from(datagram_bytes).unwrap_or(u16::MAX),
            sum_key: fresh(state),
        };
        let now_ns = state.machine.now().as_nanoseconds();
        if self.destination.accept(now_ns, accept, &mut self.out).is_err() {
            self.destination.refuse(
                RefuseCode::Memory,
                "no memory to keep track of what arrives",
                &mut self.out,
            );
        }
        true
    }

    /// Puts the guest together from its memory and its state; it does not run yet.
    fn restore(&mut self, state: &mut HostState<'_, '_>, bytes: &[u8]) -> Result<(), String> {
        let saved = SavedGuest::decode(bytes)?;
        let agreed = self.agreed.as_ref().ok_or("nothing was agreed")?;
        let machine = state.machine;
        let config = BoardConfig {
            memory_bytes: agreed.description.memory_bytes,
            tsc_hz: machine.description().tsc_hz,
            wall_clock_start_s: saved.wall_clock_start_s,
        };
        let then = saved.after(0, config.tsc_hz);
        let board = Board::restore(&config, then, &saved.devices).map_err(|error| format!("{error}"))?;
        let mut vcpu = machine.create_vcpu().map_err(|error| format!("{error}"))?;
        vcpu.set_state(&saved.cpu).map_err(|error| format!("{error}"))?;
        let parts = Parts {
            vcpu,
            activity: saved.cpu.activity,
            board,
            config,
            clock: GuestClock::showing(machine, then),
            baseline: agreed.baseline,
        };
        let Held::Filling { ram } = &mut self.held else { return Err("its memory is not here".into()) };
        let ram = core::mem::take(ram);
        match guests::assemble(state, agreed.description.clone(), ram, parts) {
            Ok(mut guest) => {
                guest.state = RunState::Paused;
                self.held = Held::Ready { guest, saved: Box::new(saved) };
                Ok(())
            }
            Err((ram, error)) => {
                self.held = Held::Filling { ram };
                Err(format!("{error}"))
            }
        }
    }

    /// Lets the guest run here.
    fn start(&mut self, state: &mut HostState<'_, '_>, paused_ns: u64) -> Result<(), String> {
        let machine = state.machine;
        let Held::Ready { mut guest, saved } = core::mem::replace(&mut self.held, Held::Nothing) else {
            return Err("it is not in place".into());
        };
        let agreed = self.agreed.as_ref().ok_or("nothing was agreed")?;
        let cpu = agreed.cpu;
        guest.clock = GuestClock::showing(machine, saved.after(paused_ns, guest.config.tsc_hz));
        guest.vcpu.set_tsc_offset(guest.clock.tsc_offset());
        let now = guest.clock.now(machine);
        guest.board.after_pause(now, &guest.ram.door(machine.memory()));
        guest.state = if saved.is_paused { RunState::Paused } else { RunState::Running };
        if let Some(slot) = state.guests.slot(cpu) {
            let mut console = slot.console.lock();
            console.clear();
            console.write(&saved.console_output);
            for &byte in &saved.console_input {
                console.type_byte(byte);
            }
        }
        let name = agreed.description.name.as_str();
        let progress = self.destination.progress();
        log::info!(
            "guest {name} runs here, from {}: {} of memory arrived, {} of it zero and not sent; it stood still for {} ms",
            self.from.ip(),
            Size::from_frames(progress.frames_done),
            Size::from_frames(progress.zero_frames),
            paused_ns / 1_000_000
        );
        guests::place(state, cpu, guest);
        if let Some(entry) = state.roster.find_mut(name) {
            entry.phase = Phase::Here;
        }
        Ok(())
    }

    /// Gives everything back.
    fn discard(&mut self, state: &mut HostState<'_, '_>) {
        match core::mem::replace(&mut self.held, Held::Nothing) {
            Held::Nothing => {}
            Held::Zeroing { mut ram, .. } | Held::Filling { mut ram } => ram.free(state.cpu.frames()),
            Held::Ready { guest, .. } => guest.dismantle(state.cpu.frames()),
        }
        state.cpu.frames().drain();
        let Some(agreed) = self.agreed.take() else { return };
        let name = agreed.description.name.as_str();
        if let Some(entry) =
            state.roster.find_mut(name).filter(|entry| matches!(entry.phase, Phase::Arriving))
        {
            entry.cpu = None;
            entry.phase = Phase::Stopped(None);
            if matches!(entry.origin, Origin::Moved(_)) {
                state.roster.forget(name);
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
        if self.destination.phase() == DestinationPhase::Discarded
            && self.channel.is_flushed()
            && !self.is_lost
        {
            self.lose(network, now.as_nanoseconds());
        }
    }
}

/// A number that nobody can guess where the machine has randomness, and that is new in any case.
fn fresh(state: &HostState<'_, '_>) -> u64 {
    let mut bytes = [0; 8];
    match state.machine.random(&mut bytes) {
        Ok(()) => u64::from_le_bytes(bytes),
        Err(_) => state.machine.tsc().rotate_left(32) ^ state.machine.now().as_nanoseconds(),
    }
}
