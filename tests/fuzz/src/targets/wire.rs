//! What hosts say to each other, as it comes off a connection or in a datagram.

use godwit_guest::GuestFrame;
use godwit_wire::{
    Accept, Baseline, Go, Hello, LeafRun, Message, Name, Offer, PagePolicy, Reason, Refusal, RefuseCode,
    Region, Sent, StateChunk, StreamDecoder, Token,
    record::{Ack, MAX_HEADER_BYTES, Pages, Place, Record, ZeroRanges, Zeros},
};

use crate::{Input, Kind, Script, Target};

/// Messages and records, whatever they are.
pub(super) const TARGET: Target =
    Target { name: "wire", kind: Kind::Outside, run, corpus, max_bytes: 1024, executions: 250_000 };

/// Pieces that a stream arrives in at most.
const MAX_PIECES: usize = 64;

fn run(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    if input.flag() { records(input.rest()) } else { stream(&mut input) }
}

/// Decodes a stream in pieces, then again whole: the same messages come of it, and each of them encodes to what decodes to it.
fn stream(input: &mut Input<'_>) {
    let mut lengths = [0; MAX_PIECES];
    for length in lengths.iter_mut().take(input.below(8) + 1) {
        *length = usize::from(input.byte());
    }
    let bytes = input.rest();
    let mut rest = bytes;
    let mut decoder = StreamDecoder::new();
    let (mut messages, mut broken) = (Vec::new(), false);
    for length in lengths {
        let (piece, after) = rest.split_at(length.min(rest.len()));
        rest = after;
        broken |= !take(&mut decoder, piece, &mut messages);
    }
    broken |= !broken && !take(&mut decoder, rest, &mut messages);
    let mut whole = Vec::new();
    let survived = take(&mut StreamDecoder::new(), bytes, &mut whole);
    if !broken {
        assert_eq!(whole, messages, "pieces make no difference");
        assert!(survived);
    }
    for message in whole {
        assert_eq!(message.check(), Ok(()), "what was decoded keeps its bounds");
        let encoded = message.encode().expect("what was decoded can be encoded");
        let mut again = Vec::new();
        assert!(take(&mut StreamDecoder::new(), &encoded, &mut again));
        assert_eq!(again, [message], "what was encoded is decoded");
    }
}

/// Takes all messages of a piece; `false` once the stream is broken.
fn take(decoder: &mut StreamDecoder, mut piece: &[u8], messages: &mut Vec<Message>) -> bool {
    loop {
        let before = piece.len();
        match decoder.read(&mut piece) {
            Ok(Some(message)) => messages.push(message),
            Ok(None) => {
                assert!(piece.is_empty(), "all of a piece is taken");
                return true;
            }
            Err(_) => return false,
        }
        assert!(piece.len() < before || messages.len() <= 1 << 16, "a message has bytes");
    }
}

fn records(bytes: &[u8]) {
    let Ok(record) = Record::decode(bytes) else { return };
    let header = match &record {
        Record::Pages(pages, body) => {
            assert!(pages.at.0.checked_add(body.len() as u64).is_some(), "the body has a place");
            [&pages.encode(), *body].concat()
        }
        Record::Zeros(zeros) => {
            assert!(zeros.ranges.as_slice().iter().all(|range| range.end() > range.start));
            zeros.encode().to_vec()
        }
        Record::Ack(ack) => {
            for sequence in [ack.base.wrapping_sub(1), ack.base, ack.base.wrapping_add(511), u32::MAX] {
                ack.covers(sequence);
            }
            assert!(ack.newest().is_none_or(|newest| ack.covers(newest)), "the newest arrived");
            ack.encode().to_vec()
        }
    };
    assert!(matches!(record, Record::Pages(..)) || header.len() <= MAX_HEADER_BYTES);
    assert_eq!(header, bytes, "a record has one encoding");
}

/// A small guest of two regions.
pub(super) fn offer() -> Offer {
    let region = |start, frames| Region { start: GuestFrame(start), frames };
    let leaves = |start, order, leaves| LeafRun { start: GuestFrame(start), order, leaves };
    Offer {
        guest: Name::new("web-1"),
        description: vec![1, 2, 3],
        regions: vec![region(0, 32), region(1024, 8)],
        leaves: vec![leaves(0, 0, 32), leaves(1024, 0, 8)],
        baseline: Baseline { name: Name::new("amd64-v1"), version: 1 },
        tsc_hz: 2_000_000_000,
        frames_to_send: 100,
        page_policy: PagePolicy::Largest,
        acknowledge_port: 7000,
    }
}

/// The answer to [`offer`].
pub(super) const ACCEPT: Accept = Accept { token: TOKEN, page_port: 7001, datagram_bytes: 1472, sum_key: 5 };
/// The move's name.
pub(super) const TOKEN: Token = Token(0x1234);

/// One message of each kind.
pub(super) fn messages() -> Vec<Message> {
    let token = TOKEN;
    let reason = Reason::new("no memory");
    vec![
        Message::Hello(Hello::new(Name::new("a"))),
        Message::Offer(Box::new(offer())),
        Message::Accept(ACCEPT),
        Message::Refuse(Refusal { code: RefuseCode::Memory, reason: reason.clone() }),
        Message::State(StateChunk { index: 0, of: 1, bytes: vec![9; 20] }),
        Message::Sent(Sent { packets: 3, frames: 40, root: 7, state_sum: 8 }),
        Message::Prepared { root: 7 },
        Message::Go(Go { token, paused_ns: 1000 }),
        Message::Running { token },
        Message::Abort { token: Some(token), reason },
        Message::Inquire { token },
        Message::Unknown { token },
    ]
}

/// Records of each kind as they go into datagrams.
pub(super) fn datagrams() -> Vec<Vec<u8>> {
    let place =
        |sequence| Place { sequence, token: TOKEN, floor: 0, round: 0, acknowledge_now: sequence % 2 == 0 };
    let mut ranges = ZeroRanges::new();
    for frame in [2, 3, 4, 20, 1030] {
        ranges.push(GuestFrame(frame));
    }
    let pages = Pages { place: place(0), order: 0, at: GuestFrame(1).address() };
    let ack = Ack { sequence: 0, token: TOKEN, base: 1, arrived: [5, 0, 1 << 63, 0, 0, 0, 0, 0] };
    vec![
        [&pages.encode(), &[7; 640][..]].concat(),
        Zeros { place: place(1), ranges }.encode().to_vec(),
        ack.encode().to_vec(),
    ]
}

fn corpus() -> Vec<Vec<u8>> {
    let encoded = |message: &Message| message.encode().expect("it keeps its bounds");
    let stream = |bytes: &[u8]| Script::new().byte(0).byte(1).byte(3).byte(100).bytes(bytes).end();
    let mut inputs: Vec<_> = messages().iter().map(|message| stream(&encoded(message))).collect();
    let all: Vec<u8> = messages().iter().flat_map(encoded).collect();
    inputs.push(stream(&all));
    inputs.extend(datagrams().iter().map(|datagram| Script::new().byte(1).bytes(datagram).end()));
    inputs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_corpus_is_messages_and_records() {
        for message in messages() {
            assert_eq!(message.check(), Ok(()), "{message:?}");
        }
        for datagram in datagrams() {
            assert!(Record::decode(&datagram).is_ok(), "{datagram:?}");
        }
    }
}
