//! Control connections.

use std::time::Duration;

use godwit_host::network::{Closed, ConnectError, Connection, ConnectionState, MAX_CONNECTIONS};

use proptest::prelude::*;
use smoltcp::wire::{IpAddress, Ipv4Packet, TcpPacket};

use super::{Pair, endpoint};

const PORT: u16 = 4747;

/// A connection from the first host to the second, which listens.
fn connected(pair: &mut Pair) -> (Connection, Connection) {
    pair.hosts[1].listen(PORT);
    pair.settle();
    let out = pair.connect(0, endpoint(2, PORT)).unwrap();
    assert_eq!(pair.hosts[0].state(out), ConnectionState::Connecting);
    for _ in 0..100 {
        pair.pass(Duration::from_millis(100));
        if let Some(accepted) = pair.hosts[1].accept() {
            assert_eq!(pair.hosts[0].state(out), ConnectionState::Open);
            assert_eq!(pair.hosts[1].state(accepted), ConnectionState::Open);
            return (out, accepted);
        }
    }
    panic!("no connection within 10 s");
}

/// Reads all that is there.
fn read(pair: &mut Pair, host: usize, connection: Connection) -> Result<Vec<u8>, Closed> {
    let (mut all, mut some) = (Vec::new(), [0; 1000]);
    loop {
        match pair.hosts[host].receive(connection, &mut some)? {
            0 => return Ok(all),
            count => all.extend_from_slice(&some[..count]),
        }
    }
}

#[test]
fn both_ends_know_each_other_and_what_is_sent_arrives() {
    let mut pair = Pair::new(1500);
    let (out, accepted) = connected(&mut pair);
    assert_eq!(pair.hosts[0].peer(out), Some(endpoint(2, PORT)));
    assert_eq!(pair.hosts[1].peer(accepted).map(|peer| peer.ip().octets()), Some([10, 0, 0, 1]));
    assert_eq!(pair.hosts[0].send(out, b"how are you?"), Ok(12));
    pair.settle();
    assert_eq!(read(&mut pair, 1, accepted), Ok(b"how are you?".to_vec()));
    assert_eq!(pair.hosts[1].send(accepted, b"well"), Ok(4));
    pair.settle();
    assert_eq!(read(&mut pair, 0, out), Ok(b"well".to_vec()));
}

#[test]
fn what_was_sent_before_the_end_is_read_before_the_end() {
    let mut pair = Pair::new(1500);
    let (out, accepted) = connected(&mut pair);
    assert_eq!(pair.hosts[0].send(out, b"last words"), Ok(10));
    pair.hosts[0].close(out, pair.now);
    pair.pass(Duration::from_millis(100));
    assert_eq!(pair.hosts[1].state(accepted), ConnectionState::HalfClosed);
    let mut text = [0; 100];
    assert_eq!(pair.hosts[1].receive(accepted, &mut text), Ok(10));
    assert_eq!(&text[..10], b"last words");
    assert_eq!(pair.hosts[1].receive(accepted, &mut text), Err(Closed));
    pair.hosts[1].close(accepted, pair.now);
    pair.pass(Duration::from_secs(1));
    assert_eq!([0, 1].map(|host| pair.hosts[host].open_connections()), [0, 0]);
    // A name outlives what it named and then means nothing.
    assert_eq!(pair.hosts[0].state(out), ConnectionState::Closed);
    assert_eq!(pair.hosts[0].send(out, b"x"), Err(Closed));
}

#[test]
fn a_bad_wire_loses_no_byte_of_a_connection() {
    let mut pair = Pair::new(1500);
    pair.wire.lose(100);
    let (out, accepted) = connected(&mut pair);
    let bytes: Vec<u8> =
        (0..200_000u32).map(|number| (number.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let (mut sent, mut received) = (0, Vec::new());
    for _ in 0..10_000 {
        sent += pair.hosts[0].send(out, &bytes[sent..]).unwrap();
        pair.pass(Duration::from_millis(20));
        received.extend(read(&mut pair, 1, accepted).unwrap());
        if received.len() == bytes.len() {
            break;
        }
    }
    assert!(received == bytes, "{} of {} bytes", received.len(), bytes.len());
}

#[test]
fn a_dead_peer_is_noticed_by_who_waits_and_by_who_sends() {
    for sends in [false, true] {
        let mut pair = Pair::new(1500);
        let (out, accepted) = connected(&mut pair);
        if sends {
            pair.hosts[0].send(out, b"are you there?").unwrap();
        }
        pair.wire.lose(1000);
        pair.pass(Duration::from_secs(5));
        assert_eq!(pair.hosts[0].state(out), ConnectionState::Open);
        pair.pass(Duration::from_secs(10));
        assert_eq!(pair.hosts[0].state(out), ConnectionState::Closed);
        assert_eq!(pair.hosts[1].state(accepted), ConnectionState::Closed);
        assert_eq!(read(&mut pair, 0, out), Err(Closed));
    }
}

#[test]
fn a_quiet_connection_stays_open() {
    let mut pair = Pair::new(1500);
    let (out, accepted) = connected(&mut pair);
    pair.pass(Duration::from_secs(120));
    assert_eq!(pair.hosts[0].state(out), ConnectionState::Open);
    pair.hosts[1].send(accepted, b"still here").unwrap();
    pair.settle();
    assert_eq!(read(&mut pair, 0, out), Ok(b"still here".to_vec()));
}

#[test]
fn nobody_there_is_noticed_and_leaves_no_trace() {
    let mut pair = Pair::new(1500);
    for _ in 0..3 {
        let all: Vec<_> = (0..MAX_CONNECTIONS).map(|_| pair.connect(0, endpoint(9, PORT)).unwrap()).collect();
        assert_eq!(pair.connect(0, endpoint(9, PORT)), Err(ConnectError::TooMany));
        pair.pass(Duration::from_secs(15));
        for connection in all {
            assert_eq!(pair.hosts[0].state(connection), ConnectionState::Closed);
            pair.hosts[0].close(connection, pair.now);
        }
        pair.pass(Duration::from_secs(10));
    }
    assert_eq!(pair.hosts[0].open_connections(), 0);
}

#[test]
fn a_host_that_does_not_listen_refuses() {
    let mut pair = Pair::new(1500);
    let out = pair.connect(0, endpoint(2, PORT)).unwrap();
    pair.pass(Duration::from_millis(500));
    assert_eq!(pair.hosts[0].state(out), ConnectionState::Closed);
    assert_eq!(pair.connect(0, endpoint(2, 0)), Err(ConnectError::Unaddressable));
    let elsewhere = std::net::SocketAddrV4::new([10, 9, 0, 2].into(), PORT);
    assert_eq!(pair.connect(0, elsewhere), Err(ConnectError::Unaddressable));
}

#[test]
fn there_are_no_more_connections_than_there_is_room_for_and_room_comes_back() {
    let mut pair = Pair::new(1500);
    pair.hosts[1].listen(PORT);
    pair.settle();
    for _ in 0..3 {
        let out: Vec<_> = (0..MAX_CONNECTIONS)
            .map(|_| {
                let connection = pair.connect(0, endpoint(2, PORT)).unwrap();
                pair.pass(Duration::from_millis(50));
                connection
            })
            .collect();
        let accepted: Vec<_> = std::iter::from_fn(|| pair.hosts[1].accept()).collect();
        assert_eq!(accepted.len(), MAX_CONNECTIONS, "the last place needs no further listener");
        for connection in out {
            pair.hosts[0].close(connection, pair.now);
        }
        for connection in accepted {
            pair.hosts[1].close(connection, pair.now);
        }
        pair.pass(Duration::from_secs(30));
    }
}

#[test]
fn peers_that_nobody_took_and_that_left_make_room() {
    let mut pair = Pair::new(1500);
    pair.hosts[1].listen(PORT);
    pair.settle();
    for _ in 0..3 * MAX_CONNECTIONS {
        let out = pair.connect(0, endpoint(2, PORT)).unwrap();
        pair.pass(Duration::from_millis(50));
        assert_eq!(pair.hosts[0].state(out), ConnectionState::Open);
        pair.hosts[0].close(out, pair.now);
        pair.pass(Duration::from_secs(30));
    }
}

/// A TCP segment as a peer might make it up, its checksums right.
#[derive(Clone, Debug)]
struct Segment {
    flags: u8,
    sequence: u32,
    acknowledged: u32,
    window: u16,
    options: Vec<u8>,
    data: Vec<u8>,
}

impl Segment {
    fn frame(&self) -> Vec<u8> {
        let mut options = self.options.clone();
        options.resize(options.len().next_multiple_of(4), 0);
        let header_words = 5 + options.len() / 4;
        let mut tcp = [[0x9c, 0x40], PORT.to_be_bytes()].concat();
        tcp.extend(self.sequence.to_be_bytes());
        tcp.extend(self.acknowledged.to_be_bytes());
        tcp.extend([(header_words << 4) as u8, self.flags]);
        tcp.extend(self.window.to_be_bytes());
        tcp.extend([0; 4]);
        tcp.extend(options);
        tcp.extend(&self.data);
        let (source, destination) = ([10, 0, 0, 2].into(), [10, 0, 0, 1].into());
        TcpPacket::new_unchecked(&mut tcp)
            .fill_checksum(&IpAddress::Ipv4(source), &IpAddress::Ipv4(destination));
        let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0];
        frame.extend([0x45, 0]);
        frame.extend((20 + tcp.len() as u16).to_be_bytes());
        frame.extend([0, 0, 0x40, 0, 64, 6, 0, 0, 10, 0, 0, 2, 10, 0, 0, 1]);
        Ipv4Packet::new_unchecked(&mut frame[14..]).fill_checksum();
        frame.extend(tcp);
        frame
    }
}

fn segment() -> impl Strategy<Value = Segment> {
    let bytes = |most| proptest::collection::vec(any::<u8>(), 0..most);
    // Mostly flags that get somewhere: SYN, ACK, FIN with ACK, RST, data.
    let flags = prop_oneof![Just(2u8), Just(16), Just(17), Just(4), Just(24), any::<u8>()];
    (flags, any::<u32>(), any::<u32>(), any::<u16>(), bytes(40), bytes(100)).prop_map(
        |(flags, sequence, acknowledged, window, options, data)| Segment {
            flags,
            // Near enough to the beginning for some to be taken for true.
            sequence: sequence >> (sequence % 32),
            acknowledged,
            window,
            options,
            data,
        },
    )
}

proptest! {
    #[test]
    fn made_up_segments_are_survived(
        segments in proptest::collection::vec((segment(), any::<bool>()), 0..30),
    ) {
        let mut pair = Pair::new(1500);
        pair.introduce();
        pair.hosts[0].listen(PORT);
        pair.settle();
        for (mut segment, plays_along) in segments {
            // The host's latest answer says what it would believe.
            let answers = pair.wire.intercept(1);
            if let Some(tcp) = answers.last().and_then(|frame| TcpPacket::new_checked(frame.get(34..)?).ok())
                && plays_along
            {
                segment.acknowledged = (tcp.seq_number() + tcp.segment_len()).0 as u32;
                segment.sequence = tcp.ack_number().0 as u32;
            }
            pair.wire.deliver(0, segment.frame());
            pair.turn(0);
            if let Some(connection) = pair.hosts[0].accept() {
                let _ = pair.hosts[0].send(connection, b"welcome");
                let _ = read(&mut pair, 0, connection);
                pair.hosts[0].close(connection, pair.now);
            }
        }
        pair.wire.intercept(1);
        pair.pass(Duration::from_secs(60));
        // Whoever comes next is served.
        let out = pair.connect(1, endpoint(1, PORT)).unwrap();
        pair.pass(Duration::from_secs(2));
        prop_assert_eq!(pair.hosts[1].state(out), ConnectionState::Open);
    }
}

#[test]
fn a_host_that_is_not_there_keeps_no_other_waiting() {
    let mut pair = Pair::new(1500);
    pair.hosts[1].listen(PORT);
    pair.settle();
    let nobody = pair.connect(0, endpoint(9, PORT)).unwrap();
    pair.pass(Duration::from_millis(2500));
    assert_eq!(pair.hosts[0].state(nobody), ConnectionState::Connecting);
    let somebody = pair.connect(0, endpoint(2, PORT)).unwrap();
    pair.pass(Duration::from_millis(500));
    assert_eq!(pair.hosts[0].state(somebody), ConnectionState::Open);
}

#[test]
fn a_connection_that_nobody_answered_is_gone_when_it_is_closed() {
    let mut pair = Pair::new(1500);
    let connections: Vec<_> =
        (0..MAX_CONNECTIONS).map(|_| pair.connect(0, endpoint(9, PORT)).unwrap()).collect();
    assert_eq!(pair.connect(0, endpoint(2, PORT)), Err(ConnectError::TooMany));
    let now = pair.now;
    pair.hosts[0].close(connections[0], now);
    assert!(pair.connect(0, endpoint(2, PORT)).is_ok());
}

#[test]
fn a_host_does_not_connect_to_itself() {
    let mut pair = Pair::new(1500);
    assert_eq!(pair.connect(0, endpoint(1, PORT)), Err(ConnectError::Unaddressable));
}
