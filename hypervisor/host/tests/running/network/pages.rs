//! Page datagrams.

use std::{sync::atomic::Ordering, time::Duration};

use godwit_host::{
    machine::Piece,
    network::{PAGE_PORT, SendError},
};
use smoltcp::wire::{ArpPacket, ArpRepr, EthernetFrame, EthernetProtocol, Ipv4Packet, UdpPacket};

use super::{Pair, endpoint};

/// Two hosts that know each other.
fn introduced(mtu: u32) -> Pair {
    let mut pair = Pair::new(mtu);
    pair.introduce();
    pair
}

#[test]
fn a_host_that_is_not_known_is_asked_for_once_in_a_while() {
    let mut pair = Pair::new(1500);
    for _ in 0..10 {
        assert_eq!(
            pair.hosts[0].send_pages(endpoint(9, PAGE_PORT), b"x", &[], pair.now),
            Err(SendError::NoAddress)
        );
    }
    let frames = pair.wire.intercept(1);
    let [frame] = frames.as_slice() else { panic!("one question, not {}", frames.len()) };
    let frame = EthernetFrame::new_checked(frame).unwrap();
    assert!(frame.dst_addr().is_broadcast());
    assert_eq!(frame.ethertype(), EthernetProtocol::Arp);
    let question = ArpRepr::parse(&ArpPacket::new_checked(frame.payload()).unwrap()).unwrap();
    let ArpRepr::EthernetIpv4 { source_protocol_addr, target_protocol_addr, .. } = question else {
        panic!("{question:?}")
    };
    assert_eq!(
        (source_protocol_addr.octets(), target_protocol_addr.octets()),
        ([10, 0, 0, 1], [10, 0, 0, 9])
    );
    pair.now = pair.now.after(Duration::from_millis(250));
    let _ = pair.hosts[0].send_pages(endpoint(9, PAGE_PORT), b"x", &[], pair.now);
    assert_eq!(pair.wire.intercept(1).len(), 1, "it is asked again");
}

#[test]
fn datagrams_of_every_size_arrive_as_they_were() {
    for (mtu, body_bytes) in [(1500, 1400), (9000, 8900), (65_535, 65_000)] {
        let mut pair = introduced(mtu);
        let header: Vec<u8> = (0..60).collect();
        // Three pieces of one run, which neither begin nor end with a frame, and not in order.
        let (run, bytes) = pair.wire.filled_run(32, mtu.into());
        let third = body_bytes / 3;
        let pieces = [(20_001, third), (3, third), (50_000, body_bytes - 2 * third)];
        let body = pieces.map(|(offset, bytes)| Piece { run: &run, offset, bytes });
        pair.hosts[0].send_pages(endpoint(2, PAGE_PORT), &header, &body, pair.now).unwrap();
        pair.settle();
        let [(source, payload)] = pair.pages[1].as_slice() else {
            panic!("{} datagrams", pair.pages[1].len())
        };
        assert_eq!(*source, endpoint(1, PAGE_PORT));
        let parts = pieces.map(|(offset, length)| &bytes[offset as usize..][..length as usize]);
        assert!(*payload == [&header, parts[0], parts[1], parts[2]].concat(), "MTU {mtu}");
        let (sent, received) = (pair.hosts[0].traffic(), pair.hosts[1].traffic());
        assert_eq!((sent.pages_sent, sent.page_bytes_sent), (1, 60 + u64::from(body_bytes)));
        assert_eq!((received.pages_received, received.page_bytes_received), (1, 60 + u64::from(body_bytes)));
        assert_eq!((received.malformed, received.unsent), (0, 0));
    }
}

#[test]
fn headers_are_as_another_stack_reads_them() {
    let mut pair = introduced(9000);
    let (run, bytes) = pair.wire.filled_run(1, 1);
    let body = [Piece { run: &run, offset: 96, bytes: 4000 }];
    pair.hosts[0].send_pages(endpoint(2, PAGE_PORT), b"head", &body, pair.now).unwrap();
    let frames = pair.wire.intercept(1);
    let frame = EthernetFrame::new_checked(&frames[0]).unwrap();
    assert_eq!((frame.src_addr().0, frame.dst_addr().0), ([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]));
    let packet = Ipv4Packet::new_checked(frame.payload()).unwrap();
    assert!(packet.verify_checksum());
    assert!(packet.dont_frag());
    assert_eq!((packet.src_addr().octets(), packet.dst_addr().octets()), ([10, 0, 0, 1], [10, 0, 0, 2]));
    assert_eq!(usize::from(packet.total_len()), frame.payload().len());
    let datagram = UdpPacket::new_checked(packet.payload()).unwrap();
    assert_eq!((datagram.src_port(), datagram.dst_port(), datagram.checksum()), (PAGE_PORT, PAGE_PORT, 0));
    assert_eq!(datagram.payload(), [b"head".as_slice(), &bytes[96..4096]].concat());
}

#[test]
fn the_longest_datagram_fits_and_one_more_byte_does_not() {
    let mut pair = introduced(9000);
    let (run, _) = pair.wire.filled_run(4, 1);
    let longest = pair.hosts[0].max_page_bytes() as u32;
    assert_eq!(longest, 8972);
    let mut send = |bytes| {
        let now = pair.now;
        pair.hosts[0].send_pages(endpoint(2, PAGE_PORT), &[], &[Piece { run: &run, offset: 0, bytes }], now)
    };
    assert_eq!(send(longest), Ok(()));
    assert_eq!(send(longest + 1), Err(SendError::TooLong));
    assert_eq!(send(u32::MAX), Err(SendError::TooLong));
    let header = vec![0; 4000];
    assert_eq!(
        pair.hosts[0].send_pages(endpoint(2, PAGE_PORT), &header, &[], pair.now),
        Err(SendError::TooLong)
    );
    pair.settle();
    assert_eq!(pair.pages[1].len(), 1);
}

#[test]
fn what_cannot_be_sent_says_why() {
    let mut pair = introduced(9000);
    let (run, _) = pair.wire.filled_run(1, 1);
    let mut send = |host: [u8; 4], offset| {
        let to = std::net::SocketAddrV4::new(host.into(), PAGE_PORT);
        let now = pair.now;
        pair.hosts[0].send_pages(to, b"x", &[Piece { run: &run, offset, bytes: 100 }], now)
    };
    for other in [[10, 0, 1, 2], [10, 0, 0, 0], [10, 0, 0, 255], [224, 0, 0, 1], [10, 0, 0, 1]] {
        assert_eq!(send(other, 0), Err(SendError::NotInNetwork), "{other:?}");
    }
    assert_eq!(send([10, 0, 0, 2], 4000), Err(SendError::OutsideRun));
    pair.adapters[0].full.store(true, Ordering::Relaxed);
    assert_eq!(send([10, 0, 0, 2], 0), Err(SendError::Full));
    pair.adapters[0].full.store(false, Ordering::Relaxed);
    assert_eq!(send([10, 0, 0, 2], 0), Ok(()));
    pair.adapters[0].broken.store(true, Ordering::Relaxed);
    assert_eq!(send([10, 0, 0, 2], 0), Err(SendError::Broken));
    assert_eq!(pair.hosts[0].traffic().pages_sent, 1);
}

#[test]
fn a_full_wire_does_not_hold_the_loop() {
    let mut pair = introduced(1500);
    for number in 0..1000u32 {
        pair.hosts[0].send_pages(endpoint(2, PAGE_PORT), &number.to_le_bytes(), &[], pair.now).unwrap();
    }
    assert!(pair.turn(1), "there is more");
    assert!((1..=64).contains(&pair.pages[1].len()), "{} in one turn", pair.pages[1].len());
    pair.settle();
    let numbers: Vec<_> = pair.pages[1].iter().map(|(_, payload)| payload.clone()).collect();
    assert_eq!(numbers, (0..1000u32).map(|number| number.to_le_bytes().to_vec()).collect::<Vec<_>>());
}

#[test]
fn a_host_that_moved_to_another_adapter_is_found_again() {
    let mut pair = introduced(1500);
    let new_adapter = pair.wire.plug(1500);
    let subnet = pair.hosts[1].subnet();
    pair.hosts[1] = godwit_host::network::Network::new(new_adapter, subnet, 3, pair.now).unwrap();
    // Its own question to the first host tells where it is now.
    assert_eq!(pair.hosts[1].ping([10, 0, 0, 1].into(), 1, pair.now), Err(SendError::NoAddress));
    pair.settle_but(1);
    pair.hosts[0].send_pages(endpoint(2, PAGE_PORT), b"here", &[], pair.now).unwrap();
    pair.settle_but(1);
    assert_eq!(pair.pages[1], [(endpoint(1, PAGE_PORT), b"here".to_vec())]);
}
