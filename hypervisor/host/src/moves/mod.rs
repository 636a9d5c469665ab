//! Guests that move: the host's side of it. What is said, and who runs the guest when something fails, is
//! `godwit_migration`'s and `docs/PROTOCOL.md`'s.

mod channel;
mod incoming;
mod offer;
mod outgoing;
mod state;

use alloc::{
    string::{String, ToString},
    vec::Vec,
};
use core::net::{Ipv4Addr, SocketAddrV4};

use godwit_migration::{Outbox, Progress};
use godwit_wire::{Message, record::Record};

pub(crate) use incoming::Incoming;
pub(crate) use outgoing::{Outgoing, Standing};

use crate::{
    machine::{HostMemory, Instant},
    state::HostState,
};

/// The TCP port of control connections.
const CONTROL_PORT: u16 = 4746;
/// Ended moves that are remembered, so that a source that asks late gets its answer.
const MAX_REMEMBERED: usize = 16;
/// Moves to here at a time: each may take a megabyte and a half of the heap for what its peer says.
const MAX_INCOMING: usize = 3;

/// All moves of this host.
#[derive(Default)]
pub(crate) struct Moves {
    pub(crate) outgoing: Vec<Outgoing>,
    pub(crate) incoming: Vec<Incoming>,
    /// Moves that ended, oldest first.
    ended: Vec<Incoming>,
    listens: bool,
}

impl Moves {
    /// Takes a datagram that came to the page port.
    pub(crate) fn on_page(
        &mut self,
        now: Instant,
        memory: &dyn HostMemory,
        from: SocketAddrV4,
        datagram: &[u8],
    ) {
        let Ok(record) = Record::decode(datagram) else { return };
        let token = record.token();
        if let Some(incoming) = self.incoming.iter_mut().find(|one| one.token() == Some(token)) {
            incoming.on_datagram(now, memory, datagram);
        } else {
            self.outgoing.iter_mut().for_each(|one| one.on_datagram(now, from, datagram));
        }
    }

    /// When there is something to do at the latest.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let outgoing = self.outgoing.iter().filter_map(Outgoing::deadline);
        outgoing.chain(self.incoming.iter().filter_map(Incoming::deadline)).min()
    }

    /// The move of the guest called `name` from here.
    pub(crate) fn leaving(&mut self, name: &str) -> Option<&mut Outgoing> {
        self.outgoing.iter_mut().rev().find(|one| one.guest == name)
    }

    /// How far the guest called `name` is, on its way from here or to here.
    pub(crate) fn progress(&self, name: &str) -> Option<Progress> {
        let leaving = self.outgoing.iter().rev().find(|one| one.guest == name).map(Outgoing::progress);
        let arriving = || self.incoming.iter().find(|one| one.guest() == Some(name)).map(Incoming::progress);
        leaving.or_else(arriving)
    }

    fn turn(&mut self, state: &mut HostState<'_, '_>) -> bool {
        self.welcome(state);
        let mut busy = false;
        for one in &mut self.outgoing {
            busy |= one.turn(state);
        }
        for one in &mut self.incoming {
            busy |= one.turn(state);
        }
        busy |= self.answer_inquiries(state);
        // The monitor shows how a move ended, and takes it away; one that nobody watches goes by itself.
        self.outgoing.retain(|one| !one.is_over() || one.is_watched);
        for index in (0..self.incoming.len()).rev() {
            if self.incoming.get(index).is_some_and(Incoming::is_over) {
                let over = self.incoming.remove(index);
                self.remember(over);
            }
        }
        busy
    }

    /// Keeps what a source may still ask about. Guests that run here are forgotten last: the answer is then that nobody
    /// knows, and a person has to look.
    fn remember(&mut self, mut one: Incoming) {
        if one.token().is_none() {
            return;
        }
        one.release();
        self.ended.push(one);
        if self.ended.len() > MAX_REMEMBERED {
            let gone = self.ended.iter().position(|one| !one.is_running()).unwrap_or(0);
            self.ended.remove(gone);
        }
    }

    /// Takes connections that came.
    fn welcome(&mut self, state: &mut HostState<'_, '_>) {
        let Ok(network) = state.network.as_mut() else { return };
        if !self.listens {
            network.listen(CONTROL_PORT);
            self.listens = true;
        }
        let mut arrived = Vec::new();
        while let Some(connection) = network.accept() {
            match network.peer(connection) {
                Some(from) if self.incoming.len() + arrived.len() < MAX_INCOMING => {
                    arrived.push((connection, from));
                }
                _ => network.close(connection, state.machine.now()),
            }
        }
        for (connection, from) in arrived {
            self.incoming.push(Incoming::new(state, connection, from));
        }
    }

    /// Lets each move answer what its source asks on a later connection; answers whether there was a question.
    fn answer_inquiries(&mut self, state: &HostState<'_, '_>) -> bool {
        let now = state.machine.now();
        let mut asked = false;
        for asked_at in 0..self.incoming.len() {
            let Some(asking) = self.incoming.get_mut(asked_at) else { continue };
            for token in core::mem::take(&mut asking.inquiries) {
                asked = true;
                let mut out = Outbox::new();
                let known =
                    self.incoming.iter_mut().chain(&mut self.ended).find(|one| one.token() == Some(token));
                match known {
                    Some(known) => known.inquire(now, token, &mut out),
                    None => out.messages.push_back(Message::Unknown { token }),
                }
                if let Some(asking) = self.incoming.get_mut(asked_at) {
                    asking.out.messages.append(&mut out.messages);
                }
            }
        }
        asked
    }
}

/// One turn of all moves; `true` where there is more to do at once.
pub(crate) fn turn(state: &mut HostState<'_, '_>) -> bool {
    if state.network.is_err() {
        return false;
    }
    let mut moves = core::mem::take(&mut state.moves);
    let busy = moves.turn(state);
    state.moves = moves;
    busy
}

/// Begins to move a guest.
///
/// # Errors
/// A text for people; nothing has changed.
pub(crate) fn send(
    state: &mut HostState<'_, '_>,
    guest: &str,
    to: &str,
    address: Ipv4Addr,
) -> Result<(), String> {
    let control = SocketAddrV4::new(address, CONTROL_PORT);
    // A guest moves with its own leaves, not with those that tracking made.
    if let Some(here) = state.roster.here(guest).cloned().filter(|here| here.is_tracked()) {
        here.end_tracking(state.scene(), state.cpu.frames()).map_err(|error| error.to_string())?;
    }
    let outgoing = Outgoing::begin(state, guest, to, control)?;
    state.moves.outgoing.push(outgoing);
    Ok(())
}
