//! A guest on its way to another host.

mod stream;

use alloc::{collections::VecDeque, format, string::String};
use core::net::SocketAddrV4;

use godwit_migration::{Datagram, Outbox, Progress, Source, SourceEvent, SourceSettings};
use godwit_wire::Name;

use super::{
    channel::{Broken, Channel},
    offer,
    state::SavedGuest,
};
use crate::{
    guests::{self, Leaving, Phase, RunState, Text, What},
    machine::Instant,
    network::{ConnectionState, Network, PAGE_PORT},
    state::HostState,
};

/// Bytes on the way at most.
const WINDOW_BYTES: u32 = 2 << 20;
/// How often a source that is in doubt tries to reach the destination.
const RETRY_NS: u64 = 1_000_000_000;

/// How a move ended, or that it has not.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Standing {
    /// It goes on.
    UnderWay,
    /// The guest runs at the destination.
    Done {
        /// How long it stood still here, until the destination said that it runs.
        paused_ns: u64,
    },
    /// The guest stays here, for this reason.
    Stays(String),
    /// Nobody knows where it runs.
    InDoubt,
}

/// What is done once the adapter reads nothing of the guest's memory any more.
enum Ending {
    /// Its memory is freed.
    Free { paused_ns: u64 },
    /// It is this host's again, for this reason. It runs on already; only from then on can it be stopped, and its memory freed.
    Stay(String),
}

/// A guest on its way to another host.
pub(crate) struct Outgoing {
    pub(crate) guest: String,
    pub(crate) to: String,
    control: SocketAddrV4,
    pages: SocketAddrV4,
    channel: Option<Channel>,
    was_open: bool,
    source: Source,
    out: Outbox<SourceEvent>,
    datagrams: VecDeque<Datagram>,
    /// What the guest did before it was stopped.
    before: RunState,
    started: Instant,
    paused_at: Option<Instant>,
    retry_at: Instant,
    pub(crate) standing: Standing,
    ending: Option<Ending>,
    /// Whether the destination said that it knows nothing of the move any more.
    is_forgotten: bool,
    /// Whether somebody watches, and takes the move away once it has ended.
    pub(crate) is_watched: bool,
}

impl Outgoing {
    /// Begins to move the guest called `name`, which is here, to the host called `to`.
    ///
    /// # Errors
    /// A text for people; nothing has changed.
    pub(super) fn begin(
        state: &mut HostState<'_, '_>,
        name: &str,
        to: &str,
        control: SocketAddrV4,
    ) -> Result<Self, String> {
        let HostState { machine, network, roster, startup, .. } = state;
        let (machine, now) = (*machine, machine.now());
        let network = network.as_mut().map_err(|error| format!("this host has no network: {error}"))?;
        let entry = roster.find_mut(name).filter(|entry| matches!(entry.phase, Phase::Here));
        let entry = entry.ok_or("it does not run here")?;
        let here = entry.guest.as_ref().ok_or("it does not run here")?;
        let offer = match here.life.state() {
            RunState::Ended(_) => return Err("it came to an end; there is nothing to move".into()),
            RunState::Running | RunState::Paused => offer::describe(machine, here),
        };
        let settings = SourceSettings {
            host: Name::new(startup.command_line.options.host_name()),
            datagram_bytes: u16::try_from(network.max_page_bytes()).unwrap_or(u16::MAX),
            window_bytes: WINDOW_BYTES,
            patience: Default::default(),
        };
        let source =
            Source::new(now.as_nanoseconds(), settings, offer).map_err(|error| format!("{error}"))?;
        let connection = network.connect(control, now).map_err(|error| format!("{error}"))?;
        entry.phase = Phase::Leaving(Leaving { to: to.into(), in_doubt: false });
        state.note(name, What::Leaving { to: Text::new(to) });
        Ok(Self {
            guest: name.into(),
            to: to.into(),
            control,
            pages: SocketAddrV4::new(*control.ip(), PAGE_PORT),
            channel: Some(Channel::new(connection)),
            was_open: false,
            source,
            out: Outbox::new(),
            datagrams: VecDeque::new(),
            before: RunState::Running,
            started: now,
            paused_at: None,
            retry_at: now,
            standing: Standing::UnderWay,
            ending: None,
            is_forgotten: false,
            is_watched: false,
        })
    }

    /// How far it is.
    pub(crate) fn progress(&self) -> Progress {
        self.source.progress()
    }

    /// The phase, for people.
    pub(crate) fn phase(&self) -> &'static str {
        self.source.phase().name()
    }

    /// When it began.
    pub(crate) fn started(&self) -> Instant {
        self.started
    }

    /// Whether nothing is left to do.
    pub(super) fn is_over(&self) -> bool {
        matches!(self.standing, Standing::Done { .. } | Standing::Stays(_))
            && self.ending.is_none()
            && self.channel.is_none()
    }

    /// When it must be turned again at the latest.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let asks = self.standing == Standing::InDoubt && self.channel.is_none() && !self.is_forgotten;
        // What a command left to be done is due at once.
        let waits = !self.out.events.is_empty() || !self.out.messages.is_empty() || self.ending.is_some();
        let due = waits.then(Instant::default);
        let patience = self.source.deadline_ns().map(Instant::from_nanoseconds);
        asks.then_some(self.retry_at).into_iter().chain(due).chain(patience).min()
    }

    /// Takes a datagram that came to the page port.
    pub(super) fn on_datagram(&mut self, now: Instant, from: SocketAddrV4, datagram: &[u8]) {
        if *from.ip() == *self.control.ip() {
            self.source.on_datagram(now.as_nanoseconds(), datagram, &mut self.out);
        }
    }

    /// Calls it off; the guest stays.
    pub(crate) fn cancel(&mut self, now: Instant) -> bool {
        self.source.cancel(now.as_nanoseconds(), "the operator broke it off", &mut self.out).is_ok()
    }

    /// A person decides that the guest runs here.
    pub(crate) fn force_resume(&mut self) -> bool {
        self.source.force_resume(&mut self.out).is_ok()
    }

    /// A person decides that the guest is gone from here, and does not run here again.
    pub(crate) fn give_up(&mut self) {
        self.ending = Some(Ending::Free { paused_ns: 0 });
    }

    /// One turn; `true` where there is more to do at once.
    pub(super) fn turn(&mut self, state: &mut HostState<'_, '_>) -> bool {
        let now = state.machine.now();
        let now_ns = now.as_nanoseconds();
        let Ok(network) = state.network.as_mut() else { return false };
        self.connect(network, now);
        self.hear(network, now_ns);
        self.source.on_tick(now_ns, &mut self.out);
        let mut busy = false;
        while let Some(event) = self.out.events.pop_front() {
            self.on_event(state, event, now);
            busy = true;
        }
        busy |= self.stream(state, now);
        self.settle(state);
        self.say(state);
        busy || self.ending.is_some()
    }

    /// Ends the move as far as the guest is concerned, once nothing of its memory is under way.
    fn settle(&mut self, state: &mut HostState<'_, '_>) {
        if state.network.as_ref().is_ok_and(|network| network.unfinished() > 0) {
            return;
        }
        match self.ending.take() {
            Some(Ending::Free { paused_ns }) => {
                log::info!("guest {} has left for {}; its memory here is free", self.guest, self.to);
                guests::went_away(state, &self.guest, &self.to);
                self.standing = Standing::Done { paused_ns };
            }
            Some(Ending::Stay(why)) => {
                self.set_phase(state, Phase::Here);
                state.note(&self.guest, What::Stays { why: Text::new(&why) });
                // It may have come to an end meanwhile, when nobody looked because it was leaving.
                guests::look_again(state, &self.guest);
                self.standing = Standing::Stays(why);
            }
            None => {}
        }
    }

    /// Notices when the connection opens or goes, and makes a new one while the guest is in doubt.
    fn connect(&mut self, network: &mut Network<'_>, now: Instant) {
        let now_ns = now.as_nanoseconds();
        let Some(channel) = &self.channel else {
            let asks = self.standing == Standing::InDoubt && !self.is_forgotten && self.ending.is_none();
            if asks && self.retry_at <= now {
                self.retry_at = now.after(core::time::Duration::from_nanos(RETRY_NS));
                self.channel = network.connect(self.control, now).ok().map(Channel::new);
                self.was_open = false;
            }
            return;
        };
        match network.state(channel.connection) {
            ConnectionState::Open if !self.was_open => {
                self.was_open = true;
                if self.standing == Standing::InDoubt {
                    self.source.reconnected(&mut self.out);
                } else {
                    self.source.connected(now_ns, &mut self.out);
                }
            }
            // What came before it closed is heard first; hearing notices the end.
            _ => {}
        }
    }

    fn lose(&mut self, network: &mut Network<'_>, now: Instant) {
        if let Some(channel) = self.channel.take() {
            network.close(channel.connection, now);
        }
        self.source.disconnected(now.as_nanoseconds(), &mut self.out);
    }

    fn hear(&mut self, network: &mut Network<'_>, now_ns: u64) {
        while let Some(channel) = &mut self.channel {
            match channel.hear(network) {
                Ok(Some(message)) => self.source.on_message(now_ns, message, &mut self.out),
                Ok(None) => return,
                Err(Broken::Gone) => return self.lose(network, Instant::from_nanoseconds(now_ns)),
                Err(Broken::Wire(error)) => {
                    self.source.on_broken_stream(now_ns, error, &mut self.out);
                    return self.lose(network, Instant::from_nanoseconds(now_ns));
                }
            }
        }
    }

    fn on_event(&mut self, state: &mut HostState<'_, '_>, event: SourceEvent, now: Instant) {
        match event {
            SourceEvent::Pause => self.pause(state),
            SourceEvent::ResumeHere(failure) => {
                self.ending = Some(Ending::Stay(format!("{failure}")));
                self.datagrams.clear();
                self.resume(state);
                if !self.is_watched {
                    log::warn!("guest {} stays here: {failure}", self.guest);
                }
            }
            SourceEvent::InDoubt { .. } => {
                self.standing = Standing::InDoubt;
                self.retry_at = now;
                state.note(&self.guest, What::InDoubt { to: Text::new(&self.to) });
                self.set_phase(state, Phase::Leaving(Leaving { to: self.to.clone(), in_doubt: true }));
                log::warn!(
                    "guest {} is in doubt: {} was told to run it and has not answered; it stays paused here until \
                     {} answers, or until \"resume {} --force\"",
                    self.guest,
                    self.to,
                    self.to,
                    self.guest
                );
            }
            SourceEvent::Forgotten => {
                // No answer can follow: it is a person's to decide.
                self.is_forgotten = true;
                state.note(&self.guest, What::Forgotten { by: Text::new(&self.to) });
                if let (Some(channel), Ok(network)) = (self.channel.take(), state.network.as_mut()) {
                    network.close(channel.connection, now);
                }
                log::warn!(
                    "{} does not know guest {} any more: it was started again; look there, then \"resume {} --force\" \
                     or \"stop {} --force\" here",
                    self.to,
                    self.guest,
                    self.guest,
                    self.guest
                );
            }
            SourceEvent::Done => {
                let paused_ns =
                    self.paused_at.map_or(0, |at| now.as_nanoseconds().saturating_sub(at.as_nanoseconds()));
                self.ending = Some(Ending::Free { paused_ns });
            }
            SourceEvent::Conflict => {
                state.note(&self.guest, What::Conflict { with: Text::new(&self.to) });
                log::error!("guest {} runs here AND on {}: stop one of them now", self.guest, self.to);
            }
        }
    }

    /// Stops the guest and takes its state.
    fn pause(&mut self, state: &mut HostState<'_, '_>) {
        let machine = state.machine;
        let scene = state.scene();
        let Some(guest) = state.roster.here(&self.guest) else { return };
        let was_running = guest.life.change(RunState::Running, RunState::Paused) == RunState::Running;
        let (before, saved, paused_at) = guest.at_rest(scene, |cores| {
            guests::move_output(scene, guest);
            // It may have come to an end before it stood still.
            let before = match guest.life.state() {
                RunState::Paused if was_running => RunState::Running,
                other => other,
            };
            (before, SavedGuest::take(scene, guest, cores, before), machine.now())
        });
        self.before = before;
        self.paused_at = Some(paused_at);
        // What came to an end meanwhile has no state to send: the move is called off.
        let bytes =
            if matches!(before, RunState::Ended(_)) { alloc::vec::Vec::new() } else { saved.encode() };
        let now_ns = machine.now().as_nanoseconds();
        self.source.paused(now_ns, paused_at.as_nanoseconds(), bytes, &mut self.out);
    }

    /// Lets the guest run on where it is.
    fn resume(&mut self, state: &mut HostState<'_, '_>) {
        self.datagrams.clear();
        self.set_phase(state, Phase::Leaving(Leaving { to: self.to.clone(), in_doubt: false }));
        if self.paused_at.is_some() && self.before == RunState::Running {
            let _ = guests::set_run_state(state, &self.guest, RunState::Paused, RunState::Running);
        }
    }

    fn set_phase(&self, state: &mut HostState<'_, '_>, phase: Phase) {
        if let Some(entry) = state.roster.find_mut(&self.guest) {
            entry.phase = phase;
        }
    }

    fn say(&mut self, state: &mut HostState<'_, '_>) {
        let Ok(network) = state.network.as_mut() else { return };
        let now = state.machine.now();
        let Some(channel) = &mut self.channel else {
            self.out.messages.clear();
            return;
        };
        while let Some(message) = self.out.messages.pop_front() {
            if let Err(error) = channel.say(&message) {
                log::error!("{} to {} cannot be said: {error}", message.name(), self.to);
            }
        }
        channel.send(network);
        let over = matches!(self.standing, Standing::Done { .. } | Standing::Stays(_));
        if over && (channel.is_flushed() || !channel.is_open(network)) {
            network.close(channel.connection, now);
            self.channel = None;
        }
    }
}
