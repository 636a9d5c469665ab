//! A guest's memory, on its way.

use core::net::SocketAddrV4;

use arrayvec::ArrayVec;
use godwit_migration::{Datagram, SourcePhase};

use super::{Outgoing, Standing};
use crate::{
    guests::Ram,
    machine::{Instant, Piece},
    network::{Network, SendError},
    state::HostState,
};

/// Frames that one turn reads at most.
const FRAMES_PER_TURN: u32 = 64;
/// Pieces that one datagram may be gathered from.
const MAX_PIECES: usize = 17;

impl Outgoing {
    /// Reads memory and sends what there is room for; `true` where there is more to do at once.
    pub(super) fn stream(&mut self, state: &mut HostState<'_, '_>, now: Instant) -> bool {
        // A guest that nothing is read from is left alone: whoever takes it stops its CPU. Once the move has ended, whoever is in
        // its place is another.
        let reads = !self.datagrams.is_empty() || self.source.phase() == SourcePhase::Streaming;
        if !reads || self.standing != Standing::UnderWay || self.ending.is_some() {
            return false;
        }
        let HostState { machine, roster, network, .. } = state;
        let (machine, Ok(network)) = (*machine, network.as_mut()) else { return false };
        let Self { source, out, datagrams, pages, .. } = self;
        let Some(guest) = roster.here(&self.guest) else { return false };
        let more = datagrams.is_empty()
            && source.step(now.as_nanoseconds(), FRAMES_PER_TURN, &guest.ram.door(machine.memory()), out);
        datagrams.append(&mut out.datagrams);
        while let Some(datagram) = datagrams.front() {
            match send(network, *pages, datagram, &guest.ram, now) {
                // What cannot be sent for another reason counts as lost: it is sent again, or patience ends.
                Ok(()) => {}
                Err(SendError::Full | SendError::NoAddress) => break,
                Err(error) => log::debug!("a page datagram is dropped: {error}"),
            }
            datagrams.pop_front();
        }
        network.flush();
        more || datagrams.is_empty() && !out.datagrams.is_empty()
    }
}

/// Sends one datagram, its body gathered from the guest's memory.
fn send(
    network: &mut Network<'_>,
    to: SocketAddrV4,
    datagram: &Datagram,
    ram: &Ram,
    now: Instant,
) -> Result<(), SendError> {
    let mut pieces = ArrayVec::<Piece<'_>, MAX_PIECES>::new();
    if let Some(body) = datagram.body {
        let mut at = body.at;
        let mut left = u64::from(body.bytes);
        while left > 0 {
            let Some((run, offset, here)) = ram.place(at) else { break };
            let bytes = here.min(left);
            let piece = Piece { run, offset, bytes: bytes as u32 };
            pieces.try_push(piece).map_err(|_| SendError::TooLong)?;
            at.0 += bytes;
            left -= bytes;
        }
    }
    network.send_pages(to, &datagram.header, &pieces, now)
}
