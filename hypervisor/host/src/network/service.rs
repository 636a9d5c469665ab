//! The network as the host's loop serves it.

use alloc::vec::Vec;
use core::net::{Ipv4Addr, SocketAddrV4};

use arrayvec::ArrayVec;
use smoltcp::iface::{Interface, SocketSet};

use super::{
    Closed, ConnectError, Connection, ConnectionState, Neighbour, PAGE_PORT, SendError, Subnet, Traffic,
    connections::Connections,
    frame::{self, Identity, Inbound},
    inbox::Inbox,
    neighbours::Neighbours,
    stack::{self, Link},
};
use crate::machine::{Instant, Machine, NetworkCounters, NetworkDevice};

/// Frames that one turn takes at most, so that a full wire cannot starve the rest of the loop.
const FRAMES_PER_TURN: usize = 64;
/// Rounds of the stack in one turn at most; a round takes in all control frames that wait.
const ROUNDS_PER_TURN: usize = 4;

/// Why there is no network.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NoNetwork {
    /// The command line names no address.
    #[error("this host has no network address: boot it with one, such as godwit.address=10.0.0.1/24")]
    NoAddress,
    /// The machine has no adapter that can be driven.
    #[error("this machine has no usable network adapter: a virtio-net device with MSI-X is needed")]
    NoDevice,
    /// The adapter's own address is a group's.
    #[error("the network adapter's hardware address is no station's")]
    BadMac,
}

/// A host has answered a ping.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PingAnswer {
    /// Which host.
    pub from: Ipv4Addr,
    /// The number of the ping.
    pub number: u16,
}

/// One host's network. The CPU that serves it calls [`turn`](Self::turn) in each turn of its loop, and sleeps no longer
/// than until [`deadline`](Self::deadline).
pub struct Network<'d> {
    pub(super) device: &'d dyn NetworkDevice,
    pub(super) subnet: Subnet,
    pub(super) identity: Identity,
    interface: Interface,
    sockets: SocketSet<'static>,
    connections: Connections,
    /// Answers to pings that nobody took yet; what finds no room is lost.
    ping_answers: ArrayVec<PingAnswer, 4>,
    inbox: Inbox,
    pub(super) neighbours: Neighbours,
    pub(super) traffic: Traffic,
    /// Numbers page datagrams.
    pub(super) next_datagram: u16,
}

impl<'d> Network<'d> {
    /// The network behind `device` for a host at `subnet`'s address. `seed` is random: TCP's first numbers come from it.
    ///
    /// # Errors
    /// [`NoNetwork::BadMac`].
    pub fn new(
        device: &'d dyn NetworkDevice,
        subnet: Subnet,
        seed: u64,
        now: Instant,
    ) -> Result<Self, NoNetwork> {
        let mac = device.mac();
        if mac[0] & 1 != 0 || mac == [0; 6] {
            return Err(NoNetwork::BadMac);
        }
        let (mut inbox, mut traffic) = (Inbox::new(), Traffic::default());
        let mut link = Link { device, inbox: &mut inbox, traffic: &mut traffic };
        let interface = stack::interface(&mut link, mac, subnet, seed, now);
        let identity = Identity {
            mac,
            address: subnet.address(),
            page_port: PAGE_PORT,
            ping_identifier: (seed >> 32) as u16,
        };
        Ok(Self {
            device,
            subnet,
            identity,
            interface,
            sockets: SocketSet::new(Vec::new()),
            connections: Connections::new(seed),
            ping_answers: ArrayVec::new(),
            inbox,
            neighbours: Neighbours::default(),
            traffic,
            next_datagram: 0,
        })
    }

    /// The network of a host that was given `address`, on `machine`.
    ///
    /// # Errors
    /// [`NoNetwork`].
    pub fn open(machine: &'d dyn Machine, address: Option<Subnet>) -> Result<Self, NoNetwork> {
        let subnet = address.ok_or(NoNetwork::NoAddress)?;
        let device = machine.network().ok_or(NoNetwork::NoDevice)?;
        let mut seed = [0; 8];
        // Guessable first numbers are better than none: nothing secret rests on control connections being hard to forge.
        let seed = machine.random(&mut seed).map_or_else(|_| machine.tsc(), |()| u64::from_le_bytes(seed));
        Self::new(device, subnet, seed, machine.now())
    }

    /// One turn: takes in frames that arrived, hands page datagrams to `on_page` (who sent it, what follows the UDP header;
    /// the bytes are there during the call only), lets the stack answer the others, and sends what waits. Answers whether
    /// there may be more to do at once.
    pub fn turn(&mut self, now: Instant, on_page: &mut dyn FnMut(SocketAddrV4, &[u8])) -> bool {
        let mut budget = FRAMES_PER_TURN;
        let mut is_drained = false;
        for _ in 0..ROUNDS_PER_TURN {
            while budget > 0 && !self.inbox.is_full() && !is_drained {
                budget -= 1;
                is_drained = !self.take_in(now, on_page);
            }
            self.run_stack(now);
            if is_drained || budget == 0 {
                break;
            }
        }
        self.device.flush();
        !is_drained
    }

    /// When the next turn is due at the latest, if nothing arrives; `None` where nothing is under way.
    pub fn deadline(&mut self, now: Instant) -> Option<Instant> {
        let stack = self.interface.poll_at(stack::time(now), &self.sockets).map(stack::instant);
        stack.into_iter().chain(self.connections.deadline()).min()
    }

    /// Takes in one frame; `false` where there is none.
    fn take_in(&mut self, now: Instant, on_page: &mut dyn FnMut(SocketAddrV4, &[u8])) -> bool {
        let Self { device, identity, inbox, neighbours, ping_answers, traffic, subnet, .. } = self;
        device.receive(&mut |bytes| match frame::read(bytes, identity) {
            Inbound::Page { mac, source, payload } => {
                traffic.pages_received += 1;
                traffic.page_bytes_received += payload.len() as u64;
                neighbours.confirm(*source.ip(), mac, now);
                on_page(source, payload);
            }
            Inbound::Arp { mac, sender, target } => {
                if subnet.holds(sender) && sender != identity.address {
                    neighbours.learn(sender, mac, target == identity.address, now);
                }
                traffic.unwanted += u64::from(!inbox.put(bytes));
            }
            Inbound::EchoReply { source, number } => {
                let _ = ping_answers.try_push(PingAnswer { from: source, number });
            }
            Inbound::Other => traffic.unwanted += u64::from(!inbox.put(bytes)),
            Inbound::Foreign => traffic.unwanted += 1,
            Inbound::Malformed => traffic.malformed += 1,
        })
    }

    /// Lets the stack answer what waits for it, and do what is due.
    fn run_stack(&mut self, now: Instant) {
        let mut link = Link { device: self.device, inbox: &mut self.inbox, traffic: &mut self.traffic };
        self.interface.poll(stack::time(now), &mut link, &mut self.sockets);
        self.connections.tend(&mut self.sockets, now);
    }

    /// Sends everything queued.
    pub fn flush(&self) {
        self.device.flush();
    }

    /// Queued frames whose bytes the adapter may still read. No run that was in one may be freed before it is 0.
    pub fn unfinished(&self) -> usize {
        self.device.unfinished()
    }

    /// Waits for control connections at TCP port `port`.
    pub fn listen(&mut self, port: u16) {
        self.connections.listen(port);
    }

    /// Begins a control connection.
    ///
    /// # Errors
    /// [`ConnectError`].
    pub fn connect(&mut self, to: SocketAddrV4, now: Instant) -> Result<Connection, ConnectError> {
        // The stack asks for one host a second, whichever it is: one that is not there would keep all others waiting. What
        // is asked and answered here it learns as well.
        if let Err(SendError::NotInNetwork) = self.locate(*to.ip(), now) {
            return Err(ConnectError::Unaddressable);
        }
        self.connections.connect(&mut self.sockets, self.interface.context(), to)
    }

    /// A control connection that a peer made and nobody took yet.
    pub fn accept(&mut self) -> Option<Connection> {
        self.connections.accept()
    }

    /// Sends as much of `bytes` as there is room for; answers how much that was. It goes out with the next turn.
    ///
    /// # Errors
    /// [`Closed`].
    pub fn send(&mut self, connection: Connection, bytes: &[u8]) -> Result<usize, Closed> {
        self.connections.send(&mut self.sockets, connection, bytes)
    }

    /// Reads what came on `connection`, up to the length of `out`; 0 where nothing waits.
    ///
    /// # Errors
    /// [`Closed`], once everything that came was read.
    pub fn receive(&mut self, connection: Connection, out: &mut [u8]) -> Result<usize, Closed> {
        self.connections.receive(&mut self.sockets, connection, out)
    }

    /// How a connection is.
    pub fn state(&self, connection: Connection) -> ConnectionState {
        self.connections.state(&self.sockets, connection)
    }

    /// Who is at the other end of a connection.
    pub fn peer(&self, connection: Connection) -> Option<SocketAddrV4> {
        self.connections.peer(&self.sockets, connection)
    }

    /// Ends a connection, after what was sent has gone or the peer is found to be gone. Everybody who has one has to close
    /// it, also one that is over: its place is taken until then.
    pub fn close(&mut self, connection: Connection, now: Instant) {
        self.connections.close(&mut self.sockets, connection, now);
    }

    /// Connections that somebody has.
    pub fn open_connections(&self) -> usize {
        self.connections.taken()
    }

    /// An answer to [`ping`](Self::ping), oldest first.
    pub fn ping_answer(&mut self) -> Option<PingAnswer> {
        self.ping_answers.pop_at(0)
    }

    /// The host's address and network.
    pub fn subnet(&self) -> Subnet {
        self.subnet
    }

    /// The adapter's hardware address.
    pub fn mac(&self) -> frame::Mac {
        self.identity.mac
    }

    /// Bytes of the longest IP packet.
    pub fn mtu(&self) -> u32 {
        self.device.mtu()
    }

    /// What went through the adapter since boot.
    pub fn counters(&self) -> NetworkCounters {
        self.device.counters()
    }

    /// What became of frames since the network was opened.
    pub fn traffic(&self) -> Traffic {
        self.traffic
    }

    /// What is known about another host.
    pub fn neighbour(&self, address: Ipv4Addr) -> Option<&Neighbour> {
        self.neighbours.get(address)
    }
}
