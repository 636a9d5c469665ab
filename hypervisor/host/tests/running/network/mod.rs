//! Two networks on one pretended Ethernet.

mod control;
mod foreign;
mod pages;

use std::{net::SocketAddrV4, time::Duration};

use godwit_host::{
    machine::Instant,
    network::{ConnectError, Connection, Network, NoNetwork, PAGE_PORT, SendError, Subnet},
};

use crate::ethernet::{Adapter, Ethernet};

/// Turns after which hosts that always have something to do are broken.
const MOST_TURNS: usize = 200_000;

/// A page datagram that arrived.
type Page = (SocketAddrV4, Vec<u8>);

/// Two hosts, 10.0.0.1 and 10.0.0.2, and their clock.
struct Pair {
    wire: &'static Ethernet,
    adapters: [&'static Adapter; 2],
    hosts: [Network<'static>; 2],
    /// Page datagrams by host, as they arrived.
    pages: [Vec<Page>; 2],
    now: Instant,
}

fn endpoint(host: u8, port: u16) -> SocketAddrV4 {
    SocketAddrV4::new([10, 0, 0, host].into(), port)
}

impl Pair {
    fn new(mtu: u32) -> Self {
        let wire = Ethernet::new();
        let adapters = [wire.plug(mtu), wire.plug(mtu)];
        let now = Instant::from_nanoseconds(1_000_000_000);
        let host = |index: usize| {
            let subnet = Subnet::new([10, 0, 0, index as u8 + 1].into(), 24).unwrap();
            Network::new(adapters[index], subnet, 0x1234_5678_9abc ^ index as u64, now).unwrap()
        };
        Self { wire, adapters, hosts: [host(0), host(1)], pages: [Vec::new(), Vec::new()], now }
    }

    /// Lets both know where the other is.
    fn introduce(&mut self) {
        assert_eq!(self.hosts[0].ping([10, 0, 0, 2].into(), 0, self.now), Err(SendError::NoAddress));
        self.settle();
    }

    /// Begins a connection from `host`.
    fn connect(&mut self, host: usize, to: SocketAddrV4) -> Result<Connection, ConnectError> {
        self.hosts[host].connect(to, self.now)
    }

    /// Gives one host a turn, 10 µs later.
    fn turn(&mut self, host: usize) -> bool {
        self.now = self.now.after(Duration::from_micros(10));
        let pages = &mut self.pages[host];
        self.hosts[host].turn(self.now, &mut |source, payload| pages.push((source, payload.to_vec())))
    }

    /// Turns both until the wire is quiet.
    fn settle(&mut self) {
        self.settle_but(usize::MAX);
    }

    /// As [`settle`](Self::settle), with nobody at adapter `unplugged`.
    fn settle_but(&mut self, unplugged: usize) {
        for _ in 0..MOST_TURNS {
            let busy = [self.turn(0), self.turn(1)];
            if unplugged != usize::MAX {
                self.wire.intercept(unplugged);
            }
            if busy == [false; 2] && self.wire.is_quiet() {
                return;
            }
        }
        panic!("the hosts never stop talking");
    }

    /// Lets time pass and both hosts do what is due, up to `duration`.
    fn pass(&mut self, duration: Duration) {
        let end = self.now.after(duration);
        for _ in 0..MOST_TURNS {
            self.settle();
            let now = self.now;
            let due = self.hosts.iter_mut().filter_map(|host| host.deadline(now)).min();
            match due.filter(|due| *due < end) {
                Some(due) => self.now = self.now.max(due),
                None => {
                    self.now = self.now.max(end);
                    self.settle();
                    return;
                }
            }
        }
        panic!("the hosts are always due");
    }
}

#[test]
fn a_group_address_is_no_adapters() {
    let wire = Ethernet::new();
    let subnet = Subnet::parse("10.0.0.1/24").unwrap();
    for mac in [[0; 6], [3, 0, 0, 0, 0, 1], [0xff; 6]] {
        let adapter = wire.plug_as(mac, 1500);
        let opened = Network::new(adapter, subnet, 1, Instant::default());
        assert_eq!(opened.err(), Some(NoNetwork::BadMac));
    }
}

#[test]
fn who_asks_is_learnt_as_well() {
    let mut pair = Pair::new(1500);
    assert_eq!(pair.hosts[0].ping([10, 0, 0, 2].into(), 1, pair.now), Err(SendError::NoAddress));
    pair.settle();
    // The second host was asked and needs no question of its own.
    let known = pair.hosts[1].neighbour([10, 0, 0, 1].into()).and_then(|neighbour| neighbour.known);
    assert_eq!(known.map(|(mac, _)| mac), Some([2, 0, 0, 0, 0, 1]));
    pair.hosts[1].send_pages(endpoint(1, PAGE_PORT), b"hello", &[], pair.now).unwrap();
    pair.settle();
    assert_eq!(pair.pages[0], [(endpoint(2, PAGE_PORT), b"hello".to_vec())]);
}

#[test]
fn a_ping_is_answered_with_its_number() {
    let mut pair = Pair::new(1500);
    pair.introduce();
    for number in [7, 8] {
        assert_eq!(pair.hosts[0].ping([10, 0, 0, 2].into(), number, pair.now), Ok(()));
    }
    pair.settle();
    let answers: Vec<_> = std::iter::from_fn(|| pair.hosts[0].ping_answer()).collect();
    let answers: Vec<_> = answers.iter().map(|answer| (answer.from.octets(), answer.number)).collect();
    assert_eq!(answers, [([10, 0, 0, 2], 7), ([10, 0, 0, 2], 8)]);
}

#[test]
fn hosts_of_other_networks_are_not_asked() {
    let mut pair = Pair::new(1500);
    for other in [[10, 0, 1, 2], [10, 0, 0, 255]] {
        assert_eq!(pair.hosts[0].ping(other.into(), 1, pair.now), Err(SendError::NotInNetwork));
    }
    pair.settle();
    assert_eq!(pair.hosts[0].counters().frames_sent, 0);
}
