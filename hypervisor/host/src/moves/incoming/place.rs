//! What a guest needs at its destination: taken, filled, put together, given back.

use alloc::{boxed::Box, format, string::String, vec::Vec};

use godwit_devices::{Board, BoardConfig};
use godwit_frames::FRAME_BYTES;
use godwit_wire::{Accept, Offer, RefuseCode, Token};

use super::{Agreed, Held, Incoming};
use crate::{
    guests::{self, Core, Entry, GuestClock, Origin, Parts, Phase, RunState, Text, What},
    moves::{
        offer::{self, Refusal},
        state::SavedGuest,
    },
    network::{Network, PAGE_PORT},
    size::Size,
    state::HostState,
};

/// Bytes that one turn makes zero at most.
const BYTES_PER_TURN: u64 = 4 << 20;

impl Incoming {
    /// Takes frames for the guest.
    pub(super) fn reserve(&mut self, state: &mut HostState<'_, '_>, offer: &Offer) -> Result<(), Refusal> {
        let (description, baseline) = offer::read(state.machine, offer)?;
        baseline
            .satisfied_by(&guests::HostLeaves(state.machine))
            .map_err(|missing| (RefuseCode::Baseline, format!("{missing}")))?;
        let name = description.name.as_str();
        if state
            .roster
            .find(name)
            .is_some_and(|entry| !matches!(entry.phase, Phase::Stopped(_) | Phase::Away(_)))
        {
            return Err((RefuseCode::NameTaken, format!("there is a guest called {name} here already")));
        }
        guests::fit::check(&description, state.machine.description())
            .map_err(|unfit| (RefuseCode::Description, format!("{unfit}")))?;
        let ram = offer::reserve(offer, state.cpu.frames());
        state.cpu.frames().drain();
        let ram = ram?;
        let size = Size::from_bytes(description.memory_bytes);
        log::info!("guest {name} is offered by {}; {size} are reserved for it", self.from.ip());
        if state.roster.find(name).is_none() {
            let origin = Origin::Moved(format!("{}", self.from.ip()));
            state.roster.add(Entry::new(description.clone(), origin));
        }
        let mut before = Phase::Stopped(None);
        if let Some(entry) = state.roster.find_mut(name) {
            before = core::mem::replace(&mut entry.phase, Phase::Arriving);
        }
        state.note(name, What::Arriving { from: Text::new(self.from.ip()) });
        self.agreed = Some(Agreed { description, baseline, before });
        self.held = Held::Zeroing { ram, segment: 0, frame: 0 };
        Ok(())
    }

    /// Makes some of the reserved memory zero, and accepts once all of it is; `true` while there is more to do.
    pub(super) fn zero(&mut self, state: &HostState<'_, '_>) -> bool {
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
    pub(super) fn restore(&mut self, state: &mut HostState<'_, '_>, bytes: &[u8]) -> Result<(), String> {
        let saved = SavedGuest::decode(bytes)?;
        let agreed = self.agreed.as_ref().ok_or("nothing was agreed")?;
        let machine = state.machine;
        let config = BoardConfig {
            cpus: agreed.description.processors.count.get(),
            memory_bytes: agreed.description.memory_bytes,
            tsc_hz: machine.description().tsc_hz,
            wall_clock_start_s: saved.wall_clock_start_s,
        };
        let then = saved.after(0, config.tsc_hz);
        let board = Board::restore(&config, then, &saved.devices).map_err(|error| format!("{error}"))?;
        let (count, wanted) = (saved.cpus.len(), usize::from(config.cpus));
        if count != wanted {
            return Err(format!("the state of {count} CPUs came, and the guest has {wanted}"));
        }
        let mut cores = Vec::new();
        for cpu in &saved.cpus {
            let mut vcpu = machine.create_vcpu(agreed.baseline).map_err(|error| format!("{error}"))?;
            vcpu.set_state(cpu).map_err(|error| format!("{error}"))?;
            cores.push(Core::new(vcpu, cpu.activity));
        }
        let entry = state.roster.find(agreed.description.name.as_str());
        let parts = Parts {
            cores,
            board,
            config,
            clock: GuestClock::showing(machine, then),
            baseline: agreed.baseline,
            state: RunState::Paused,
            console: entry.map(|entry| entry.console.clone()).unwrap_or_default(),
        };
        let Held::Filling { ram } = &mut self.held else { return Err("its memory is not here".into()) };
        let ram = core::mem::take(ram);
        match guests::assemble(state, agreed.description.clone(), ram, parts) {
            Ok(guest) => {
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
    pub(super) fn start(&mut self, state: &mut HostState<'_, '_>, paused_ns: u64) -> Result<(), String> {
        let machine = state.machine;
        let Held::Ready { mut guest, saved } = core::mem::replace(&mut self.held, Held::Nothing) else {
            return Err("it is not in place".into());
        };
        let agreed = self.agreed.as_ref().ok_or("nothing was agreed")?;
        let scene = state.scene();
        guest.clock = GuestClock::showing(machine, saved.after(paused_ns, guest.config.tsc_hz));
        guest.at_rest(scene, |cores| {
            cores.iter_mut().for_each(|core| core.cpu.set_tsc_offset(guest.clock.tsc_offset()));
        });
        let now = guest.clock.now(machine);
        guest.with_board(scene, None, |board| board.after_pause(now, &guest.ram.door(machine.memory())));
        if !saved.is_paused {
            guest.life.change(RunState::Paused, RunState::Running);
        }
        {
            let mut console = guest.console.lock();
            console.clear();
            console.write(&saved.console_output);
            for &byte in &saved.console_input {
                console.type_byte(byte);
            }
        }
        let name = agreed.description.name.as_str();
        let paused_ms = paused_ns / 1_000_000;
        log::info!("guest {name} runs here, from {}; it stood still for {paused_ms} ms", self.from.ip());
        guests::place(state, guest);
        if let Some(entry) = state.roster.find_mut(name) {
            entry.phase = Phase::Here;
        }
        let from = Text::new(self.from.ip());
        state.note(name, What::Arrived { from, stood_still_ms: paused_ms });
        Ok(())
    }

    /// Gives everything back.
    pub(super) fn discard(&mut self, state: &mut HostState<'_, '_>) {
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
            entry.phase = agreed.before;
            // Nothing is known of it but that it did not come.
            if matches!((&entry.origin, &entry.phase), (Origin::Moved(_), Phase::Stopped(_))) {
                state.roster.forget(name);
            }
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
