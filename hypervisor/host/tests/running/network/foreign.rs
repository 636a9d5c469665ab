//! Frames from outside, as they are and as they should not be.

use godwit_host::network::frame::{Identity, Inbound, read};
use proptest::prelude::*;
use smoltcp::{
    phy::ChecksumCapabilities,
    wire::{
        EthernetAddress, EthernetFrame, EthernetProtocol, EthernetRepr, IpProtocol, Ipv4Packet, Ipv4Repr,
        UdpPacket, UdpRepr,
    },
};

use super::Pair;

const OWN: Identity = Identity {
    mac: [2, 0, 0, 0, 0, 1],
    address: std::net::Ipv4Addr::new(10, 0, 0, 1),
    page_port: 4747,
    ping_identifier: 0x1234,
};
const PEER: [u8; 6] = [2, 0, 0, 0, 0, 2];
/// Offsets in a frame.
const IP: usize = 14;
const UDP: usize = 34;

/// A page datagram as another stack writes it, with or without a checksum.
fn datagram(payload: &[u8], with_checksum: bool) -> Vec<u8> {
    let (source, destination) = ([10, 0, 0, 2].into(), OWN.address);
    let udp = UdpRepr { src_port: 999, dst_port: OWN.page_port };
    let ip = Ipv4Repr {
        src_addr: source,
        dst_addr: destination,
        next_header: IpProtocol::Udp,
        payload_len: udp.header_len() + payload.len(),
        hop_limit: 64,
    };
    let ethernet = EthernetRepr {
        src_addr: EthernetAddress(PEER),
        dst_addr: EthernetAddress(OWN.mac),
        ethertype: EthernetProtocol::Ipv4,
    };
    let mut bytes = vec![0; ethernet.buffer_len() + ip.buffer_len() + ip.payload_len];
    let mut frame = EthernetFrame::new_unchecked(&mut bytes);
    ethernet.emit(&mut frame);
    let checksums = ChecksumCapabilities::default();
    let mut packet = Ipv4Packet::new_unchecked(frame.payload_mut());
    ip.emit(&mut packet, &checksums);
    let mut datagram = UdpPacket::new_unchecked(packet.payload_mut());
    let fill = |out: &mut [u8]| out.copy_from_slice(payload);
    udp.emit(&mut datagram, &source.into(), &destination.into(), payload.len(), fill, &checksums);
    if !with_checksum {
        datagram.set_checksum(0);
    }
    bytes
}

/// Writes the IPv4 header's checksum anew.
fn sealed(mut bytes: Vec<u8>) -> Vec<u8> {
    Ipv4Packet::new_unchecked(&mut bytes[IP..]).fill_checksum();
    bytes
}

fn payload_of(frame: &[u8]) -> Option<&[u8]> {
    match read(frame, &OWN) {
        Inbound::Page { payload, .. } => Some(payload),
        _ => None,
    }
}

#[test]
fn a_datagram_is_read_with_and_without_checksum_and_padding() {
    for with_checksum in [false, true] {
        for length in [0, 1, 2, 999, 1472] {
            let payload: Vec<u8> = (0..length).map(|index| index as u8).collect();
            let mut frame = datagram(&payload, with_checksum);
            assert_eq!(payload_of(&frame), Some(payload.as_slice()));
            frame.resize(frame.len() + 30, 0xee);
            assert_eq!(payload_of(&frame), Some(payload.as_slice()), "padding is not read");
        }
    }
}

#[test]
fn options_are_passed_over() {
    let frame = datagram(b"payload", false);
    let mut with_options = frame[..UDP].to_vec();
    with_options.extend_from_slice(&[1; 8]);
    with_options.extend_from_slice(&frame[UDP..]);
    with_options[IP] = 0x47;
    with_options[IP + 3] += 8;
    assert_eq!(payload_of(&sealed(with_options)), Some(b"payload".as_slice()));
}

#[test]
fn what_is_damaged_is_refused() {
    let good = datagram(b"some bytes of a page", true);
    let damaged = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut frame = good.clone();
        change(&mut frame);
        frame
    };
    for (what, frame) in [
        ("header checksum", damaged(&|frame| frame[IP + 8] ^= 1)),
        ("payload", damaged(&|frame| *frame.last_mut().unwrap() ^= 1)),
        ("more fragments", sealed(damaged(&|frame| frame[IP + 6] |= 0x20))),
        ("fragment offset", sealed(damaged(&|frame| frame[IP + 7] = 1))),
        ("header length", sealed(damaged(&|frame| frame[IP] = 0x44))),
        ("packet length beyond the frame", sealed(damaged(&|frame| frame[IP + 2] = 0xff))),
        ("packet length below the header's", sealed(damaged(&|frame| frame[IP + 3] = 19))),
        ("packet length below the datagram's", sealed(damaged(&|frame| frame[IP + 3] = 27))),
        ("datagram length beyond the packet", damaged(&|frame| frame[UDP + 4] = 0xff)),
        ("datagram length below its header's", damaged(&|frame| frame[UDP + 5] = 7)),
        ("nothing", Vec::new()),
        ("no type", good[..13].to_vec()),
        ("no header", good[..20].to_vec()),
    ] {
        assert_eq!(read(&frame, &OWN), Inbound::Malformed, "{what}");
    }
}

#[test]
fn what_is_for_others_is_told_from_what_is_for_the_stack() {
    let change = |at: usize, value: u8| {
        let mut frame = datagram(b"x", false);
        frame[at] = value;
        frame
    };
    assert_eq!(read(&change(5, 9), &OWN), Inbound::Foreign);
    for (what, frame) in [
        ("another port", change(UDP + 3, 1)),
        ("a group's hardware address", change(0, 3)),
        ("another protocol", sealed(change(IP + 9, 6))),
        ("another address", sealed(change(IP + 19, 9))),
        ("another version", sealed(change(IP, 0x65))),
        ("another type", change(13, 0xdd)),
    ] {
        assert_eq!(read(&frame, &OWN), Inbound::Other, "{what}");
    }
}

proptest! {
    #[test]
    fn no_bytes_are_read_that_are_not_there(mut bytes in proptest::collection::vec(any::<u8>(), 0..200), aimed: bool, arp: bool) {
        if aimed && bytes.len() >= 14 {
            bytes[..6].copy_from_slice(&OWN.mac);
            bytes[12..14].copy_from_slice(&[8, if arp { 6 } else { 0 }]);
        }
        if let Inbound::Page { payload, .. } = read(&bytes, &OWN) {
            prop_assert!(payload.len() + 42 <= bytes.len());
        }
    }

    #[test]
    fn a_datagram_with_any_byte_changed_is_never_longer(at in 0usize..80, value: u8, cut in 0usize..100) {
        let mut frame = datagram(&[7; 50], false);
        if let Some(byte) = frame.get_mut(at) {
            *byte = value;
        }
        frame.truncate(frame.len() - cut.min(frame.len()));
        if let Some(payload) = payload_of(&frame) {
            prop_assert!(payload.len() <= 50);
            prop_assert!(payload.iter().enumerate().all(|(index, &byte)| byte == 7 || index + 42 == at));
        }
    }

    #[test]
    fn a_host_survives_any_frame(
        frames in proptest::collection::vec((proptest::collection::vec(any::<u8>(), 0..80), 0usize..5), 0..40),
    ) {
        let mut pair = Pair::new(1500);
        let count = frames.len() as u64;
        for (mut frame, aim) in frames {
            // Aimed at the host, at a protocol, and at that protocol's parser past the header.
            for (offset, bytes) in [
                (0, OWN.mac.as_slice()),
                (12, if aim == 4 { &[8, 6, 0, 1, 8, 0, 6, 4] } else { &[8, 0, 0x45] }),
                (IP + 9, &[[1, 6, 17, 2, 99][aim]]),
                (IP + 16, &OWN.address.octets()),
            ] {
                if let Some(place) = frame.get_mut(offset..offset + bytes.len()) {
                    place.copy_from_slice(bytes);
                }
            }
            if aim < 4 && frame.len() >= UDP {
                let length = (frame.len() - IP) as u16;
                frame[IP + 2..IP + 4].copy_from_slice(&length.to_be_bytes());
                frame = sealed(frame);
            }
            pair.wire.deliver(0, frame);
        }
        pair.settle();
        prop_assert_eq!(pair.hosts[0].counters().frames_received, count);
        pair.introduce();
        prop_assert_eq!(pair.hosts[0].ping([10, 0, 0, 2].into(), 1, pair.now), Ok(()));
        pair.settle();
        prop_assert!(pair.hosts[0].ping_answer().is_some());
    }
}

#[test]
fn refused_frames_are_counted() {
    let mut pair = Pair::new(1500);
    let mut fragment = datagram(b"x", false);
    fragment[IP + 7] = 1;
    pair.wire.deliver(0, sealed(fragment));
    let mut foreign = datagram(b"x", false);
    foreign[5] = 77;
    pair.wire.deliver(0, foreign);
    let mut jumbo = datagram(&[0; 3000], false);
    jumbo[UDP + 3] = 1;
    pair.wire.deliver(0, jumbo);
    pair.settle();
    let traffic = pair.hosts[0].traffic();
    assert_eq!((traffic.malformed, traffic.unwanted, traffic.pages_received), (1, 2, 0));
}

#[test]
fn an_answer_that_speaks_for_another_station_is_not_learnt() {
    let mut pair = Pair::new(1500);
    let mut answer = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 9, 8, 6, 0, 1, 8, 0, 6, 4, 0, 2];
    answer.extend([2, 0, 0, 0, 0, 7, 10, 0, 0, 7, 2, 0, 0, 0, 0, 1, 10, 0, 0, 1]);
    pair.wire.deliver(0, answer.clone());
    pair.settle();
    assert_eq!(pair.hosts[0].neighbour([10, 0, 0, 7].into()), None);
    answer[11] = 7;
    pair.wire.deliver(0, answer);
    pair.settle();
    let known = pair.hosts[0].neighbour([10, 0, 0, 7].into()).and_then(|neighbour| neighbour.known);
    assert_eq!(known.map(|(mac, _)| mac), Some([2, 0, 0, 0, 0, 7]));
}
