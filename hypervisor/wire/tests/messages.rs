//! Messages through their envelope: every kind comes back as it was, every bound is kept, any bytes are an answer.

use godwit_guest::GuestFrame;
use godwit_wire::envelope::{HEADER_BYTES, MAX_BODY_BYTES};
use godwit_wire::{
    Accept, Baseline, Go, Hello, LeafRun, MAX_DESCRIPTION_BYTES, MAX_LEAF_RUNS, MAX_STATE_CHUNK_BYTES,
    Message, Name, Offer, OfferError, PagePolicy, Reason, Refusal, RefuseCode, Region, Sent, StateChunk,
    StreamDecoder, Token, WireError,
};
use proptest::prelude::*;

/// 3 MiB below a hole, and 2 MiB above 4 GiB.
fn offer() -> Offer {
    Offer {
        guest: Name::new("web-1"),
        description: vec![7; 300],
        regions: vec![
            Region { start: GuestFrame(0), frames: 768 },
            Region { start: GuestFrame(1 << 20), frames: 512 },
        ],
        leaves: vec![
            LeafRun { start: GuestFrame(0), order: 9, leaves: 1 },
            LeafRun { start: GuestFrame(512), order: 0, leaves: 256 },
            LeafRun { start: GuestFrame(1 << 20), order: 9, leaves: 1 },
        ],
        baseline: Baseline { name: Name::new("plain"), version: 1 },
        tsc_hz: 2_400_000_000,
        frames_to_send: 1280,
        page_policy: PagePolicy::Largest,
        acknowledge_port: 4789,
    }
}

fn messages() -> Vec<Message> {
    let token = Token(0x1234_5678_9abc_def0);
    vec![
        Message::Hello(Hello::new(Name::new("host-a"))),
        Message::Offer(Box::new(offer())),
        Message::Accept(Accept { token, page_port: 4789, datagram_bytes: 8972, sum_key: 99 }),
        Message::Refuse(Refusal { code: RefuseCode::Memory, reason: Reason::new("3 GiB are not free") }),
        Message::State(StateChunk { index: 1, of: 2, bytes: vec![5; MAX_STATE_CHUNK_BYTES] }),
        Message::Sent(Sent { packets: 12, frames: 1280, root: u64::MAX, state_sum: 1 }),
        Message::Prepared { root: 17 },
        Message::Go(Go { token, paused_ns: 1_000_000 }),
        Message::Running { token },
        Message::Abort { token: Some(Token(7)), reason: Reason::new("cancelled") },
        Message::Abort { token: None, reason: Reason::new("cancelled") },
        Message::Inquire { token },
        Message::Unknown { token },
    ]
}

fn decode_all(stream: &[u8], piece_bytes: usize) -> Result<Vec<Message>, WireError> {
    let mut decoder = StreamDecoder::new();
    let mut decoded = Vec::new();
    for mut piece in stream.chunks(piece_bytes) {
        while let Some(message) = decoder.read(&mut piece)? {
            decoded.push(message);
        }
        assert!(piece.is_empty(), "the decoder leaves no bytes behind");
    }
    assert!(!decoder.is_inside_message(), "the stream ends with a message");
    Ok(decoded)
}

fn envelope(kind: u16, body: &[u8]) -> Vec<u8> {
    let mut bytes = kind.to_le_bytes().to_vec();
    bytes.extend_from_slice(&u32::try_from(body.len()).unwrap().to_le_bytes());
    bytes.extend_from_slice(body);
    bytes
}

#[test]
fn every_message_comes_back_in_pieces_of_any_size() {
    let stream: Vec<u8> = messages().iter().flat_map(|message| message.encode().unwrap()).collect();
    for piece_bytes in [1, 2, 5, 6, 7, 100, 1460, stream.len()] {
        assert_eq!(decode_all(&stream, piece_bytes).unwrap(), messages());
    }
}

/// Every message with each field as long as it can be.
fn largest_messages() -> Vec<Message> {
    let token = Token(u64::MAX);
    let name = Name::new(&"n".repeat(64));
    let reason = Reason::new(&"r".repeat(200));
    let mut greeting = Hello::new(name);
    (greeting.oldest, greeting.newest) = (u16::MAX, u16::MAX);
    let chunk = StateChunk { index: u16::MAX - 1, of: u16::MAX, bytes: vec![5; MAX_STATE_CHUNK_BYTES] };
    let accept = Accept { token, page_port: u16::MAX, datagram_bytes: u16::MAX, sum_key: u64::MAX };
    let sent = Sent { packets: u64::MAX, frames: u64::MAX, root: u64::MAX, state_sum: u64::MAX };
    vec![
        Message::Hello(greeting),
        Message::Offer(Box::new(largest_offer())),
        Message::Accept(accept),
        Message::Refuse(Refusal { code: RefuseCode::Busy, reason: reason.clone() }),
        Message::State(chunk),
        Message::Sent(sent),
        Message::Prepared { root: u64::MAX },
        Message::Go(Go { token, paused_ns: u64::MAX }),
        Message::Running { token },
        Message::Abort { token: Some(token), reason },
        Message::Inquire { token },
        Message::Unknown { token },
    ]
}

fn largest_offer() -> Offer {
    let mut largest = offer();
    largest.guest = Name::new(&"g".repeat(64));
    largest.description = vec![0xff; MAX_DESCRIPTION_BYTES];
    largest.baseline = Baseline { name: Name::new(&"b".repeat(64)), version: u16::MAX };
    (largest.tsc_hz, largest.frames_to_send) = (u64::MAX, u64::MAX);
    largest.page_policy = PagePolicy::Small;
    largest.acknowledge_port = u16::MAX;
    // As many regions and runs of leaves as there may be, in large numbers.
    let start = |region: u64| (1 << 39) + (region << 30);
    let per_region = MAX_LEAF_RUNS as u64 / 64;
    let run = |at, leaves| LeafRun { start: GuestFrame(at), order: 0, leaves };
    largest.regions =
        (0..64).map(|region| Region { start: GuestFrame(start(region)), frames: per_region << 22 }).collect();
    largest.leaves = (0..64)
        .flat_map(|region| (0..per_region).map(move |index| start(region) + (index << 22)))
        .map(|at| run(at, 1 << 22))
        .collect();
    largest
}

#[test]
fn sizes_are_as_documented() {
    let document = include_str!("../../../docs/PROTOCOL.md");
    for message in largest_messages() {
        let (name, bytes) = (message.name(), message.encode().unwrap());
        let row = document.lines().find(|line| line.starts_with(&format!("| {name} |"))).expect(name);
        let kind = u16::from_le_bytes([bytes[0], bytes[1]]);
        assert!(row.contains(&format!("| {kind:#06x} |")), "{name} is {kind:#06x}");
        let most: usize = row.rsplit('|').nth(1).unwrap().trim().replace(',', "").parse().expect(row);
        // No offer can have all its numbers at their longest: guest memory ends before. Its bound is the envelope's.
        let is_offer = matches!(message, Message::Offer(_));
        assert!(bytes.len() == most || is_offer && bytes.len() < most, "{name} takes {} bytes", bytes.len());
        assert!(most <= HEADER_BYTES + MAX_BODY_BYTES);
    }
}

#[test]
fn the_largest_messages_come_back() {
    for message in largest_messages() {
        assert_eq!(decode_all(&message.encode().unwrap(), 1460).unwrap(), [message]);
    }
}

#[test]
fn an_unknown_message_is_skipped_only_where_it_says_so() {
    let mut stream = envelope(0x0100, &[1; 5000]);
    stream.extend(envelope(0x7fff, &[]));
    stream.extend(Message::Prepared { root: 4 }.encode().unwrap());
    assert_eq!(decode_all(&stream, 777).unwrap(), [Message::Prepared { root: 4 }]);

    let error = decode_all(&envelope(0x8100, &[1; 10]), 6).unwrap_err();
    assert_eq!(error, WireError::UnknownCritical { kind: 0x8100 });
}

#[test]
fn an_error_is_final() {
    let mut decoder = StreamDecoder::new();
    let error = decoder.read(&mut &envelope(0x8007, &[0x80])[..]).unwrap_err();
    assert_eq!(error, WireError::Body { message: "PREPARED" });
    let good = Message::Prepared { root: 4 }.encode().unwrap();
    assert_eq!(decoder.read(&mut &good[..]), Err(error));
}

#[test]
fn a_length_is_refused_before_its_bytes_come() {
    for kind in [0x8005u16, 0x0005] {
        let mut header = kind.to_le_bytes().to_vec();
        header.extend_from_slice(&u32::MAX.to_le_bytes());
        let error = StreamDecoder::new().read(&mut &header[..]).unwrap_err();
        assert_eq!(error, WireError::TooLong { bytes: u32::MAX });
    }
}

#[test]
fn a_body_is_one_value_and_nothing_else() {
    let mut bytes = Message::Prepared { root: 4 }.encode().unwrap();
    bytes[2] += 1;
    bytes.push(0);
    assert_eq!(decode_all(&bytes, 100), Err(WireError::Body { message: "PREPARED" }));
}

#[test]
fn a_later_greeting_may_have_more_fields() {
    let hello = Hello { oldest: 0, newest: 3, host: Name::new("later") };
    let mut bytes = Message::Hello(hello.clone()).encode().unwrap();
    bytes[2] += 2;
    bytes.extend([1, 2]);
    assert_eq!(decode_all(&bytes, 100).unwrap(), [Message::Hello(hello.clone())]);
    assert_eq!(hello.agree(), Ok(0));
    let newer = Hello { oldest: 1, ..hello };
    assert!(newer.agree().unwrap_err().to_string().contains("1 to 3"));
}

#[test]
fn text_cannot_reach_a_terminal_as_an_escape_sequence() {
    assert_eq!(Reason::new("a\x1b[2Jb\n").as_str(), "a?[2Jb?");
    assert_eq!(Name::new(&"ü".repeat(40)).as_str().len(), 64);
    let mut bytes = Message::Abort { token: None, reason: Reason::new("a!b") }.encode().unwrap();
    *bytes.iter_mut().find(|byte| **byte == b'!').unwrap() = 0x1b;
    assert_eq!(decode_all(&bytes, 100), Err(WireError::Body { message: "ABORT" }));
}

#[test]
fn a_text_that_is_too_long_is_refused() {
    let body = [&[0, 201, 1][..], &[b'a'; 201]].concat();
    assert_eq!(decode_all(&envelope(0x800a, &body), 100), Err(WireError::Body { message: "ABORT" }));
    let body = [&[0, 200, 1][..], &[b'a'; 200]].concat();
    assert_eq!(decode_all(&envelope(0x800a, &body), 100).unwrap().len(), 1);
}

#[test]
fn state_comes_in_bounded_chunks() {
    let chunk = |index, of, bytes| Message::State(StateChunk { index, of, bytes: vec![0; bytes] });
    assert!(chunk(0, 1, MAX_STATE_CHUNK_BYTES).encode().is_ok());
    for (index, of, bytes) in [(0, 1, 0), (0, 1, MAX_STATE_CHUNK_BYTES + 1), (1, 1, 5), (0, 0, 5)] {
        assert!(chunk(index, of, bytes).encode().is_err(), "chunk {index} of {of} with {bytes} bytes");
    }
}

#[test]
fn what_is_wrong_with_an_offer_is_said() {
    type Spoil = fn(&mut Offer);
    let cases: &[(OfferError, Spoil)] = &[
        (OfferError::Description, |offer| offer.description = vec![0; MAX_DESCRIPTION_BYTES + 1]),
        (OfferError::RegionCount, |offer| offer.regions.clear()),
        (OfferError::RegionCount, |offer| offer.regions = vec![offer.regions[0]; 65]),
        (OfferError::Region { index: 0 }, |offer| offer.regions[0].frames = 0),
        (OfferError::Region { index: 1 }, |offer| offer.regions[1].start = GuestFrame(767)),
        (OfferError::Region { index: 1 }, |offer| offer.regions[1].start = GuestFrame(u64::MAX)),
        (OfferError::Region { index: 1 }, |offer| offer.regions[1].frames = 1 << 40),
        (OfferError::LeafCount, |offer| offer.leaves.clear()),
        (OfferError::LeafCount, |offer| offer.leaves = vec![offer.leaves[0]; MAX_LEAF_RUNS + 1]),
        (OfferError::Leaf { index: 0 }, |offer| offer.leaves[0].order = 1),
        (OfferError::Leaf { index: 0 }, |offer| offer.leaves[0].order = 255),
        (OfferError::Leaf { index: 0 }, |offer| offer.leaves[0].leaves = 2),
        (OfferError::Leaf { index: 1 }, |offer| offer.leaves[1].leaves = 0),
        (OfferError::Leaf { index: 1 }, |offer| offer.leaves[1].start = GuestFrame(513)),
        (OfferError::Leaf { index: 2 }, |offer| offer.leaves[1].leaves = 255),
        (OfferError::Leaf { index: 3 }, |offer| offer.leaves.push(offer.leaves[0])),
        (OfferError::LeavesMissing, |offer| offer.leaves.truncate(2)),
        (OfferError::Leaf { index: 0 }, |offer| {
            // 2 MiB that do not begin at a multiple of 2 MiB.
            offer.regions[0] = Region { start: GuestFrame(256), frames: 512 };
            offer.leaves[0].start = GuestFrame(256);
            offer.leaves.remove(1);
        }),
    ];
    assert_eq!(offer().check(), Ok(()));
    for (index, (error, spoil)) in cases.iter().enumerate() {
        let mut spoiled = offer();
        spoil(&mut spoiled);
        assert_eq!(spoiled.check(), Err(*error), "case {index}");
        assert!(Message::Offer(Box::new(spoiled)).encode().is_err());
    }
}

#[test]
fn one_leaf_may_span_regions_that_touch() {
    let mut touching = offer();
    touching.regions =
        vec![Region { start: GuestFrame(0), frames: 160 }, Region { start: GuestFrame(160), frames: 352 }];
    touching.leaves.truncate(1);
    assert_eq!(touching.check(), Ok(()));
}

proptest! {
    #[test]
    fn any_bytes_are_an_answer(bytes in proptest::collection::vec(any::<u8>(), 0..600), piece_bytes in 1usize..50) {
        let mut decoder = StreamDecoder::new();
        'all: for mut piece in bytes.chunks(piece_bytes) {
            loop {
                match decoder.read(&mut piece) {
                    Ok(Some(message)) => prop_assert!(message.check().is_ok()),
                    Ok(None) => break,
                    Err(_) => break 'all,
                }
            }
        }
    }

    #[test]
    fn a_spoiled_message_is_an_error_or_another_message_within_bounds(
        which in 0usize..12,
        at in any::<proptest::sample::Index>(),
        value in any::<u8>(),
    ) {
        let mut bytes = messages()[which].encode().unwrap();
        let at = at.index(bytes.len());
        bytes[at] = value;
        let mut decoder = StreamDecoder::new();
        if let Ok(Some(message)) = decoder.read(&mut &bytes[..]) {
            prop_assert!(message.check().is_ok());
            prop_assert!(message.encode().is_ok());
        }
    }
}
