//! Records: fixed layouts to the byte, and any bytes are an answer.

use godwit_guest::{GuestAddress, GuestFrame};
use godwit_wire::record::{
    Ack, GRANULE_BYTES, MAX_BODY_BYTES, MAX_HEADER_BYTES, MAX_ZERO_RANGES, PAGES_HEADER_BYTES, Pages, Place,
    Record, WINDOW_PACKETS, ZeroRange, ZeroRanges, Zeros,
};
use godwit_wire::{Token, WireError};
use proptest::prelude::*;

const TOKEN: Token = Token(0x1122_3344_5566_7788);

fn place() -> Place {
    Place { sequence: 0x0a0b_0c0d, token: TOKEN, floor: 0x0102_0304, round: 0x0506, acknowledge_now: true }
}

fn pages_datagram(at: u64, body_bytes: usize) -> Vec<u8> {
    let mut datagram = Pages { place: place(), order: 9, at: GuestAddress(at) }.encode().to_vec();
    datagram.resize(PAGES_HEADER_BYTES + body_bytes, 0xee);
    datagram
}

fn zero_ranges(ranges: &[(u64, u32)]) -> ZeroRanges {
    let mut built = ZeroRanges::new();
    for &(start, frames) in ranges {
        assert!((start..start + u64::from(frames)).all(|frame| built.push(GuestFrame(frame))));
    }
    built
}

#[test]
fn a_page_record_has_this_layout() {
    let header = Pages { place: place(), order: 9, at: GuestAddress(0x4000_1000) }.encode();
    let layout = [
        &b"gw\x00\x00\x0d\x0c\x0b\x0a\x88\x77\x66\x55\x44\x33\x22\x11"[..],
        &b"\x04\x03\x02\x01\x06\x05\x09\x01\x00\x10\x00\x40\x00\x00\x00\x00"[..],
    ]
    .concat();
    assert_eq!(header[..], layout[..]);
    assert_eq!(header.len(), PAGES_HEADER_BYTES);
}

#[test]
fn a_zero_record_has_this_layout() {
    let ranges = zero_ranges(&[(0x100, 2), (0x105, 1)]);
    let header = Zeros { place: place(), ranges }.encode();
    let layout = [
        &b"gw\x00\x01\x0d\x0c\x0b\x0a\x88\x77\x66\x55\x44\x33\x22\x11"[..],
        &b"\x04\x03\x02\x01\x06\x05\x02\x01\x00\x01\x00\x00\x00\x00\x00\x00"[..],
        &b"\x00\x00\x00\x00\x02\x00\x00\x00\x03\x00\x00\x00\x01\x00\x00\x00"[..],
    ]
    .concat();
    assert_eq!(header[..], layout[..]);
}

#[test]
fn an_acknowledgement_has_this_layout() {
    let mut arrived = [0; 8];
    arrived[1] = 0x8000_0000_0000_0001;
    let header = Ack { sequence: 3, token: TOKEN, base: 0x0102_0304, arrived }.encode();
    let layout = [
        &b"gw\x00\x02\x03\x00\x00\x00\x88\x77\x66\x55\x44\x33\x22\x11"[..],
        &b"\x04\x03\x02\x01\x02\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"[..],
        &b"\x01\x00\x00\x00\x00\x00\x00\x80"[..],
    ]
    .concat();
    assert_eq!(header[..], layout[..]);
}

#[test]
fn the_longest_header_is_as_documented() {
    let ranges: Vec<(u64, u32)> = (0..MAX_ZERO_RANGES as u64).map(|range| (range * 10, 3)).collect();
    let zeros = Zeros { place: place(), ranges: zero_ranges(&ranges) }.encode();
    let ack = Ack { sequence: 0, token: TOKEN, base: 0, arrived: [u64::MAX; 8] }.encode();
    assert_eq!((zeros.len(), ack.len()), (MAX_HEADER_BYTES, 88));
    assert_eq!(WINDOW_PACKETS, 512);
}

#[test]
fn page_bytes_are_whole_frames_or_a_piece_of_one() {
    let good = [(0x1000, 4096), (0x1000, MAX_BODY_BYTES), (0x1000, 64), (0x1fc0, 64), (0x1040, 4032)];
    for (at, bytes) in good {
        let datagram = pages_datagram(at, bytes);
        let Ok(Record::Pages(pages, body)) = Record::decode(&datagram) else { panic!("{at:#x}, {bytes}") };
        assert_eq!((pages.at, body.len(), pages.place), (GuestAddress(at), bytes, place()));
    }
    let bad = [
        (0x1000, 0),
        (0x1000, MAX_BODY_BYTES + 4096),
        (0x1000, 63),
        (0x1020, 64),
        (0x1fc0, 128),
        (0x1040, 4096),
        (0x1000, 4096 + 64),
        (u64::MAX - 0xfff, 4096),
    ];
    for (at, bytes) in bad {
        assert!(Record::decode(&pages_datagram(at, bytes)).is_err(), "{at:#x}, {bytes}");
    }
    assert_eq!(GRANULE_BYTES * 64, 4096);
}

#[test]
fn zero_ranges_hold_what_they_took() {
    let mut ranges = zero_ranges(&[(5, 3)]);
    assert!(ranges.push(GuestFrame(8)) && ranges.push(GuestFrame(10)));
    assert_eq!(
        ranges.as_slice(),
        [ZeroRange { start: GuestFrame(5), frames: 4 }, ZeroRange { start: GuestFrame(10), frames: 1 }]
    );
    assert_eq!(ranges.frames(), 5);
    assert!(!ranges.push(GuestFrame(10)), "no frame twice");
    assert!(!ranges.push(GuestFrame(11 + (1 << 32))), "a gap that 32 bits do not hold");
    assert!(ranges.push(GuestFrame(10 + (1 << 32))));
}

#[test]
fn contradictions_are_errors() {
    let mut other_revision = pages_datagram(0, 64);
    other_revision[2] = 1;
    assert_eq!(Record::decode(&other_revision), Err(WireError::RecordRevision { revision: 1 }));
    let zeros = Zeros { place: place(), ranges: zero_ranges(&[(1, 1), (3, 1)]) }.encode().to_vec();
    let ack = Ack { sequence: 0, token: TOKEN, base: 0, arrived: [1; 8] }.encode().to_vec();
    // What is spoiled: the datagram, the byte, its value.
    let cases: &[(&[u8], usize, u8)] = &[
        (&pages_datagram(0, 64), 0, b'G'),
        (&pages_datagram(0, 64), 3, 3),
        (&pages_datagram(0, 64), 19, 0xff), // the floor above the sequence
        (&pages_datagram(0, 64), 22, 19),   // the order
        (&pages_datagram(0, 64), 23, 2),    // an unknown flag
        (&zeros, 22, 0),
        (&zeros, 22, 9),
        (&zeros, 22, 1), // bytes are left over
        (&zeros, 32, 1), // a gap before the first range
        (&zeros, 36, 0), // an empty range
        (&zeros, 40, 0), // no gap
        (&ack, 20, 7),
        (&ack, 20, 9),
        (&ack, 21, 1),
        (&ack, 80, 0), // the last word
    ];
    for (index, &(datagram, at, value)) in cases.iter().enumerate() {
        assert!(Record::decode(datagram).is_ok());
        let mut spoiled = datagram.to_vec();
        assert_ne!(spoiled[at], value);
        spoiled[at] = value;
        assert!(matches!(Record::decode(&spoiled), Err(WireError::Record(_))), "case {index}");
    }
}

#[test]
fn zero_frames_end_with_the_last_number() {
    let mut bytes = Zeros { place: place(), ranges: zero_ranges(&[(1, 1)]) }.encode();
    bytes[24..32].copy_from_slice(&u64::MAX.to_le_bytes());
    assert!(Record::decode(&bytes).is_err());
}

#[test]
fn an_acknowledgement_covers_what_its_bits_say() {
    let mut arrived = [0; 8];
    (arrived[0], arrived[2]) = (0b100, 1 << 5);
    let ack = Ack { sequence: 0, token: TOKEN, base: 1000, arrived };
    let covered: Vec<u32> = (990..2000).filter(|&sequence| ack.covers(sequence)).collect();
    assert_eq!(covered, [(990..1000).collect(), vec![1002, 1133]].concat());
    assert_eq!(ack.newest(), Some(1133));
    assert_eq!(Ack { arrived: [0; 8], ..ack }.newest(), Some(999));
    assert_eq!(Ack { arrived: [0; 8], base: 0, ..ack }.newest(), None);
    assert_eq!(Ack { base: u32::MAX, ..ack }.newest(), None, "no number is above 32 bits");
}

proptest! {
    #[test]
    fn any_bytes_are_an_answer(tail in proptest::collection::vec(any::<u8>(), 0..200), kind in 0u8..4) {
        let _ = Record::decode(&tail);
        let datagram = [&b"gw\x00"[..], &[kind], &tail].concat();
        if let Ok(Record::Zeros(zeros)) = Record::decode(&datagram) {
            prop_assert_eq!(&zeros.encode()[..], &datagram[..]);
        }
    }

    #[test]
    fn every_zero_record_comes_back(ranges in proptest::collection::vec((1u32..1000, 1u32..5), 1..=8)) {
        let mut frame = 7u64;
        let mut built = ZeroRanges::new();
        for (gap, frames) in ranges {
            frame += u64::from(gap);
            for _ in 0..frames {
                prop_assert!(built.push(GuestFrame(frame)));
                frame += 1;
            }
        }
        let zeros = Zeros { place: place(), ranges: built };
        let bytes = zeros.encode();
        prop_assert_eq!(Record::decode(&bytes), Ok(Record::Zeros(zeros)));
    }

    #[test]
    fn every_acknowledgement_comes_back(words in proptest::collection::vec(any::<u64>(), 0..8), base in any::<u32>()) {
        let mut arrived = [0; 8];
        arrived[..words.len()].copy_from_slice(&words);
        let ack = Ack { sequence: 1, token: TOKEN, base, arrived };
        let bytes = ack.encode();
        prop_assert_eq!(Record::decode(&bytes), Ok(Record::Ack(ack)));
    }
}
