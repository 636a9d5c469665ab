//! What a running host holds besides its monitor: commands and jobs act on it.

use godwit_frames::Frames;

use crate::{
    cpu_loop::CpuLoop,
    fragment::Pins,
    guests::{EventLog, GuestTable, Roster, Scene, What},
    machine::{Instant, Machine},
    moves::{self, Moves},
    network::{Network, NoNetwork},
    round::{CpuSet, Question, Round},
    startup::Startup,
};

/// The running host on its first CPU.
pub(crate) struct HostState<'a, 'm> {
    pub(crate) machine: &'a dyn Machine,
    pub(crate) frames: &'a Frames<'m>,
    /// Guests that have memory, by the CPU that runs them.
    pub(crate) guests: &'a GuestTable,
    /// Guests by name: those that are here, and those that could be started.
    pub(crate) roster: Roster,
    /// What happened to guests.
    pub(crate) events: EventLog,
    pub(crate) startup: Startup<'a>,
    /// The first CPU's own loop.
    pub(crate) cpu: CpuLoop<'a, 'm>,
    /// The host's network, or why it has none.
    pub(crate) network: Result<Network<'a>, NoNetwork>,
    /// Guests on their way.
    pub(crate) moves: Moves,
    /// Frames held to keep memory fragmented.
    pub(crate) pins: Pins,
    /// The question that is out to all CPUs, if any.
    pub(crate) round: Option<Round>,
    rounds_started: u32,
}

impl<'a, 'm> HostState<'a, 'm> {
    pub(crate) fn new(
        machine: &'a dyn Machine,
        frames: &'a Frames<'m>,
        guests: &'a GuestTable,
        startup: Startup<'a>,
    ) -> Self {
        Self {
            machine,
            frames,
            startup,
            guests,
            roster: Roster::default(),
            events: EventLog::default(),
            cpu: CpuLoop::new(machine, frames, guests),
            network: Network::open(machine, startup.command_line.options.address),
            moves: Moves::default(),
            pins: Pins::default(),
            round: None,
            rounds_started: 0,
        }
    }

    /// Who runs guests on this machine.
    pub(crate) fn scene(&self) -> Scene<'a> {
        self.guests.scene(self.machine)
    }

    /// Has the event log know what just happened to the guest called `guest`.
    pub(crate) fn note(&mut self, guest: &str, what: What) {
        self.events.add(self.machine.now(), guest, what);
    }

    /// Serves this CPU's mail and gives the answers in it to the round that waits for them.
    pub(crate) fn serve_mail(&mut self) {
        while let Some(answer) = self.cpu.serve_mail() {
            if let Some(round) = &mut self.round {
                round.answered(answer, self.machine.now());
            }
        }
        if let Some(round) = self.round.as_mut().filter(|round| round.has_unasked()) {
            round.ask(self.machine);
        }
    }

    /// Serves the network; answers whether there may be more to do at once.
    pub(crate) fn serve_network(&mut self) -> bool {
        let Self { machine, network, moves, .. } = self;
        let now = machine.now();
        let Ok(network) = network else { return false };
        let busy =
            network.turn(now, &mut |from, datagram| moves.on_page(now, machine.memory(), from, datagram));
        busy | moves::turn(self)
    }

    /// When the network has to be served again at the latest.
    pub(crate) fn network_deadline(&mut self) -> Option<Instant> {
        let now = self.machine.now();
        let network = self.network.as_mut().ok().and_then(|network| network.deadline(now));
        network.into_iter().chain(self.moves.deadline()).min()
    }

    /// Puts a question to CPUs. The answers are collected in [`Self::round`], whose earlier round ends.
    pub(crate) fn ask(&mut self, cpus: CpuSet, question: Question) {
        self.rounds_started = self.rounds_started.wrapping_add(1);
        self.round = Some(Round::start(self.machine, cpus, question, self.rounds_started));
    }
}
