//! Control connections: a few TCP connections with bounded buffers, by number.

use alloc::vec;
use core::{net::SocketAddrV4, time::Duration};

use smoltcp::{
    iface::{Context, SocketHandle, SocketSet},
    socket::tcp::{Socket, SocketBuffer, State},
    wire::{IpAddress, IpEndpoint},
};

use super::stack::ipv4;
use crate::machine::Instant;

/// Connections at a time, the one that is listened for counted.
pub const MAX_CONNECTIONS: usize = 8;
/// Bytes that wait to be read, and bytes that wait to be sent, on one connection.
pub const BUFFER_BYTES: usize = 32 << 10;
/// A peer that says nothing is asked whether it is still there.
const KEEP_ALIVE: Duration = Duration::from_secs(2);
/// A peer that does not answer for so long is gone: an adapter may drop frames for a dead one in silence.
const PEER_TIMEOUT: Duration = Duration::from_secs(10);
/// How long an end that was closed waits for the peer's.
const LINGER: Duration = Duration::from_secs(5);
/// Ports that outgoing connections come from (RFC 6335, 6: dynamic ports).
const FIRST_PORT: u16 = 49_152;

/// A control connection. It names one connection for ever: a later one in the same place has another number.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct Connection {
    slot: u8,
    number: u32,
}

/// How a connection is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ConnectionState {
    /// The peer has not answered yet.
    Connecting,
    /// Both ends may send.
    Open,
    /// The peer sends no more; what it sent may still be read, and it may still be sent to.
    HalfClosed,
    /// It is over: closed, refused, reset, or the peer is gone.
    Closed,
}

/// Nothing comes from, or goes to, the peer any more.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the connection is closed")]
pub struct Closed;

/// Why no connection is made.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ConnectError {
    /// There are [`MAX_CONNECTIONS`] already.
    #[error("there are {MAX_CONNECTIONS} connections already")]
    TooMany,
    /// Port 0, or an address that is no host's.
    #[error("no host can be at that address and port")]
    Unaddressable,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Role {
    /// Waits for a peer.
    Listening,
    /// A peer came; nobody took it yet.
    Arrived,
    /// Somebody has it.
    Taken,
    /// Its owner has closed it; it goes on until the peer knows, or this point in time.
    Abandoned(Instant),
}

struct Entry {
    socket: SocketHandle,
    number: u32,
    role: Role,
}

/// All connections.
pub(super) struct Connections {
    entries: [Option<Entry>; MAX_CONNECTIONS],
    listen_port: Option<u16>,
    next_number: u32,
    next_port: u16,
}

impl Connections {
    /// None yet; outgoing ones will come from ports beginning with a random one.
    pub(super) fn new(seed: u64) -> Self {
        let offset = (seed % u64::from(u16::MAX - FIRST_PORT)) as u16;
        Self {
            entries: [const { None }; MAX_CONNECTIONS],
            listen_port: None,
            next_number: 0,
            next_port: FIRST_PORT + offset,
        }
    }

    /// Waits for peers at `port`, which is not 0, from the next [`tend`](Self::tend) on.
    pub(super) fn listen(&mut self, port: u16) {
        self.listen_port = Some(port);
    }

    /// Begins a connection.
    pub(super) fn connect(
        &mut self,
        sockets: &mut SocketSet<'static>,
        context: &mut Context,
        to: SocketAddrV4,
    ) -> Result<Connection, ConnectError> {
        let slot = self.free_slot().ok_or(ConnectError::TooMany)?;
        let port = self.next_port;
        self.next_port = port.checked_add(1).unwrap_or(FIRST_PORT);
        let mut socket = new_socket();
        let remote = IpEndpoint::new(IpAddress::Ipv4(*to.ip()), to.port());
        socket.connect(context, remote, port).map_err(|_| ConnectError::Unaddressable)?;
        Ok(self.enter(slot, sockets.add(socket), Role::Taken))
    }

    /// The peer that came first of those that nobody took.
    pub(super) fn accept(&mut self) -> Option<Connection> {
        let arrived = self.entries.iter_mut().enumerate().filter_map(|(slot, entry)| {
            entry.as_mut().filter(|entry| entry.role == Role::Arrived).map(|entry| (slot, entry))
        });
        let (slot, entry) = arrived.min_by_key(|(_, entry)| entry.number)?;
        entry.role = Role::Taken;
        Some(Connection { slot: slot as u8, number: entry.number })
    }

    /// Sends as much of `bytes` as there is room for; answers how much that was.
    pub(super) fn send(
        &mut self,
        sockets: &mut SocketSet<'static>,
        connection: Connection,
        bytes: &[u8],
    ) -> Result<usize, Closed> {
        let socket = self.socket(sockets, connection).ok_or(Closed)?;
        if matches!(socket.state(), State::SynSent | State::SynReceived) {
            return Ok(0);
        }
        socket.send_slice(bytes).map_err(|_| Closed)
    }

    /// Reads what came, up to the length of `out`; 0 where nothing waits.
    pub(super) fn receive(
        &mut self,
        sockets: &mut SocketSet<'static>,
        connection: Connection,
        out: &mut [u8],
    ) -> Result<usize, Closed> {
        let socket = self.socket(sockets, connection).ok_or(Closed)?;
        if matches!(socket.state(), State::SynSent | State::SynReceived) {
            return Ok(0);
        }
        socket.recv_slice(out).map_err(|_| Closed)
    }

    /// How the connection is.
    pub(super) fn state(&self, sockets: &SocketSet<'static>, connection: Connection) -> ConnectionState {
        let Some(entry) = self.entry(connection) else { return ConnectionState::Closed };
        let socket = sockets.get::<Socket<'_>>(entry.socket);
        match socket.state() {
            State::SynSent | State::SynReceived => ConnectionState::Connecting,
            State::Established => ConnectionState::Open,
            State::CloseWait => ConnectionState::HalfClosed,
            _ => ConnectionState::Closed,
        }
    }

    /// Who is at the other end.
    pub(super) fn peer(&self, sockets: &SocketSet<'static>, connection: Connection) -> Option<SocketAddrV4> {
        let socket = sockets.get::<Socket<'_>>(self.entry(connection)?.socket);
        let remote = socket.remote_endpoint()?;
        Some(SocketAddrV4::new(ipv4(remote.addr)?, remote.port))
    }

    /// Ends a connection after what was sent has gone; its number names nothing from here on.
    pub(super) fn close(&mut self, sockets: &mut SocketSet<'static>, connection: Connection, now: Instant) {
        let Some(place) = self.entries.get_mut(usize::from(connection.slot)) else { return };
        let Some(entry) = place.as_mut().filter(|entry| entry.number == connection.number) else { return };
        let socket = sockets.get_mut::<Socket<'_>>(entry.socket);
        if socket.state() == State::SynSent {
            // Nobody has answered, so there is nobody to be told; should an answer come, the stack refuses it.
            sockets.remove(entry.socket);
            *place = None;
            return;
        }
        socket.close();
        entry.role = Role::Abandoned(now.after(LINGER));
    }

    /// Brings the table up to date after the stack did something.
    pub(super) fn tend(&mut self, sockets: &mut SocketSet<'static>, now: Instant) {
        let mut is_listening = false;
        for place in &mut self.entries {
            let Some(entry) = place else { continue };
            let socket = sockets.get_mut::<Socket<'_>>(entry.socket);
            let is_over = matches!(socket.state(), State::Closed | State::TimeWait);
            is_listening |= socket.state() == State::Listen;
            match entry.role {
                Role::Listening if socket.may_send() => entry.role = Role::Arrived,
                // Nobody waits to be told of its end.
                Role::Listening | Role::Arrived if is_over => entry.role = Role::Abandoned(now),
                Role::Abandoned(deadline) if is_over => {
                    // The stack sends a reset in its next round, if it knows where to: the socket stays until then.
                    let owes_reset = socket.state() == State::Closed && socket.remote_endpoint().is_some();
                    if !owes_reset || now >= deadline {
                        sockets.remove(entry.socket);
                        *place = None;
                    }
                }
                Role::Abandoned(deadline) if now >= deadline => {
                    socket.abort();
                    entry.role = Role::Abandoned(now.after(LINGER));
                }
                _ => {}
            }
        }
        if let (Some(port), Some(slot), false) = (self.listen_port, self.free_slot(), is_listening) {
            let mut socket = new_socket();
            if socket.listen(port).is_ok() {
                self.enter(slot, sockets.add(socket), Role::Listening);
            }
        }
    }

    /// Until when something has to be tended at the latest.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let deadline = |entry: &Entry| match entry.role {
            Role::Abandoned(deadline) => Some(deadline),
            _ => None,
        };
        self.entries.iter().flatten().filter_map(deadline).min()
    }

    /// Connections that somebody has.
    pub(super) fn taken(&self) -> usize {
        self.entries.iter().flatten().filter(|entry| entry.role == Role::Taken).count()
    }

    fn free_slot(&self) -> Option<usize> {
        self.entries.iter().position(Option::is_none)
    }

    fn enter(&mut self, slot: usize, socket: SocketHandle, role: Role) -> Connection {
        let number = self.next_number;
        self.next_number = number.wrapping_add(1);
        if let Some(place) = self.entries.get_mut(slot) {
            *place = Some(Entry { socket, number, role });
        }
        Connection { slot: slot as u8, number }
    }

    fn entry(&self, connection: Connection) -> Option<&Entry> {
        let entry = self.entries.get(usize::from(connection.slot))?.as_ref()?;
        (entry.number == connection.number && entry.role == Role::Taken).then_some(entry)
    }

    fn socket<'s>(
        &self,
        sockets: &'s mut SocketSet<'static>,
        connection: Connection,
    ) -> Option<&'s mut Socket<'static>> {
        Some(sockets.get_mut(self.entry(connection)?.socket))
    }
}

fn new_socket() -> Socket<'static> {
    let buffer = || SocketBuffer::new(vec![0; BUFFER_BYTES]);
    let mut socket = Socket::new(buffer(), buffer());
    socket.set_keep_alive(Some(KEEP_ALIVE.into()));
    socket.set_timeout(Some(PEER_TIMEOUT.into()));
    // Control messages are small and somebody waits for each.
    socket.set_nagle_enabled(false);
    socket.set_ack_delay(None);
    socket
}
