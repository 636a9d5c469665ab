//! Messages out of place, answers that come too late, and what only a lying peer says.

use godwit_guest::GuestFrame;
use godwit_migration::{
    AcceptError, Destination, DestinationEvent, DestinationPhase, Failure, Outbox, Patience, Source,
    SourceEvent, SourcePhase, SourceSettings,
};
use godwit_wire::record::{Ack, Pages, Place, ZeroRanges, Zeros};
use godwit_wire::{Accept, Go, Hello, Message, Name, Reason, RefuseCode, Region, Sent, StateChunk, Token};

use crate::guest::{Ram, offer};
use crate::world::TOKEN;

pub(crate) const ACCEPT: Accept = Accept { token: TOKEN, page_port: 4789, datagram_bytes: 8972, sum_key: 1 };
pub(crate) const REGION: Region = Region { start: GuestFrame(16), frames: 4 };

pub(crate) fn hello() -> Message {
    Message::Hello(Hello::new(Name::new("peer")))
}

pub(crate) fn source() -> (Source, Outbox<SourceEvent>) {
    let settings = SourceSettings {
        host: Name::new("host-a"),
        datagram_bytes: 8972,
        window_bytes: 1 << 20,
        patience: Patience::default(),
    };
    let mut out = Outbox::new();
    let mut source = Source::new(0, settings, offer(vec![REGION])).unwrap();
    source.connected(0, &mut out);
    (source, out)
}

/// A source that has said GO; every frame is zero.
fn committed() -> (Source, Outbox<SourceEvent>) {
    let (mut source, mut out) = source();
    source.on_message(1, hello(), &mut out);
    source.on_message(2, Message::Accept(ACCEPT), &mut out);
    source.paused(3, 3, vec![1], &mut out);
    assert!(!source.step(4, 100, &Ram::new(&[REGION]), &mut out));
    let ack = Ack { sequence: 0, token: TOKEN, base: 1, arrived: [0; 8] };
    source.on_datagram(5, &ack.encode(), &mut out);
    let Some(Message::Sent(sent)) = out.messages.back() else { panic!("SENT comes last") };
    let prepared = Message::Prepared { root: sent.root };
    source.on_message(1_000_003, prepared, &mut out);
    assert_eq!(out.messages.back(), Some(&Message::Go(Go { token: TOKEN, paused_ns: 1_000_000 })));
    (source, out)
}

type Step<'a> = &'a dyn Fn(&mut Destination, &mut Outbox<DestinationEvent>);

pub(crate) fn destination(phase: DestinationPhase) -> (Destination, Outbox<DestinationEvent>) {
    let mut out = Outbox::new();
    let mut machine = Destination::new(0, Name::new("host-b"), Patience::default());
    let zeros = Zeros { place: place(0), ranges: all_frames() }.encode();
    let steps: [Step<'_>; 7] = [
        &|machine, out| machine.on_message(0, hello(), out),
        &|machine, out| machine.on_message(0, Message::Offer(Box::new(offer(vec![REGION]))), out),
        &|machine, out| machine.accept(0, ACCEPT, out).unwrap(),
        &|machine, out| {
            let landing = machine.on_datagram(0, &zeros, out).unwrap();
            machine.landed(0, landing, &Ram::new(&[REGION]), out);
            machine.on_message(0, Message::State(StateChunk { index: 0, of: 1, bytes: vec![1] }), out);
            machine.on_message(0, Message::Sent(sent()), out);
        },
        &|machine, out| machine.restored(0, Ok(()), out),
        &|machine, out| machine.on_message(0, Message::Go(Go { token: TOKEN, paused_ns: 5 }), out),
        &|machine, out| machine.started(0, Ok(()), out),
    ];
    let mut steps = steps.iter();
    while machine.phase() != phase {
        steps.next().expect("a phase on the way")(&mut machine, &mut out);
    }
    out = Outbox::new();
    (machine, out)
}

/// What the source of an all-zero guest says.
fn sent() -> Sent {
    let key = godwit_migration::SumKey::new(ACCEPT.sum_key);
    Sent { packets: 1, frames: 4, root: key.zeros(GuestFrame(16), 4), state_sum: key.state(&[1]) }
}

pub(crate) fn place(sequence: u32) -> Place {
    Place { sequence, token: TOKEN, floor: 0, round: 0, acknowledge_now: true }
}

fn all_frames() -> ZeroRanges {
    let mut ranges = ZeroRanges::new();
    assert!((16..20).all(|frame| ranges.push(GuestFrame(frame))));
    ranges
}

#[test]
fn go_is_said_once_and_late_messages_change_nothing() {
    let (mut source, _) = committed();
    let mut out = Outbox::new();
    for message in
        [Message::Prepared { root: 1 }, hello(), Message::Accept(ACCEPT), Message::Unknown { token: TOKEN }]
    {
        source.on_message(9, message, &mut out);
        assert!(out.is_empty() && source.phase() == SourcePhase::Committed);
    }
    source.on_message(9, Message::Running { token: Token(1) }, &mut out);
    assert_eq!(source.phase(), SourcePhase::Committed, "that was another move");
    source.on_message(9, Message::Running { token: TOKEN }, &mut out);
    assert_eq!(out.events, [SourceEvent::Done]);
    source.disconnected(10, &mut out);
    source.on_message(9, Message::Running { token: TOKEN }, &mut out);
    assert_eq!((source.phase(), source.deadline_ns(), out.events.len()), (SourcePhase::Done, None, 1));
}

#[test]
fn silence_after_go_is_doubt_and_running_ends_it() {
    let (mut source, _) = committed();
    let mut out = Outbox::new();
    let deadline_ns = source.deadline_ns().unwrap();
    source.on_tick(deadline_ns - 1, &mut out);
    assert!(out.is_empty());
    source.on_tick(deadline_ns, &mut out);
    assert_eq!(out.events, [SourceEvent::InDoubt { since_ns: 1_000_003 }]);
    assert!(out.messages.is_empty(), "nothing that could be read as taking GO back");
    source.on_message(deadline_ns, Message::Running { token: TOKEN }, &mut out);
    assert_eq!(source.phase(), SourcePhase::Done);
}

#[test]
fn a_second_copy_after_force_is_reported() {
    let (mut source, mut out) = committed();
    source.disconnected(9, &mut out);
    out = Outbox::new();
    source.force_resume(&mut out).unwrap();
    source.on_message(9, Message::Running { token: TOKEN }, &mut out);
    assert_eq!(out.events, [SourceEvent::ResumeHere(Failure::Forced), SourceEvent::Conflict]);
}

#[test]
fn before_go_a_message_out_of_place_ends_the_move_at_the_source() {
    let messages = [
        Message::Prepared { root: 1 },
        Message::Running { token: TOKEN },
        Message::Go(Go { token: TOKEN, paused_ns: 1 }),
        Message::Accept(ACCEPT),
    ];
    for message in messages {
        let (mut source, mut out) = source();
        source.on_message(1, message.clone(), &mut out);
        assert!(matches!(out.events[0], SourceEvent::ResumeHere(Failure::Unexpected { .. })), "{message:?}");
        assert!(matches!(out.messages.back(), Some(Message::Abort { .. })), "the peer is told");
    }
}

#[test]
fn only_the_right_root_earns_go() {
    let (mut source, mut out) = source();
    source.on_message(1, hello(), &mut out);
    source.on_message(2, Message::Accept(ACCEPT), &mut out);
    source.paused(3, 3, vec![1], &mut out);
    source.step(4, 100, &Ram::new(&[REGION]), &mut out);
    source.on_datagram(5, &Ack { sequence: 0, token: TOKEN, base: 1, arrived: [0; 8] }.encode(), &mut out);
    source.on_message(6, Message::Prepared { root: 0 }, &mut out);
    assert_eq!(out.events.back(), Some(&SourceEvent::ResumeHere(Failure::RootDiffers)));
}

#[test]
fn an_acknowledgement_of_what_was_never_sent_is_dropped() {
    let (mut source, mut out) = source();
    source.on_message(1, hello(), &mut out);
    source.on_message(2, Message::Accept(ACCEPT), &mut out);
    source.paused(3, 3, vec![1], &mut out);
    source.step(4, 100, &Ram::new(&[REGION]), &mut out);
    let bad = [
        Ack { sequence: 0, token: TOKEN, base: 2, arrived: [0; 8] },
        Ack { sequence: 0, token: TOKEN, base: u32::MAX, arrived: [u64::MAX; 8] },
        Ack { sequence: 0, token: TOKEN, base: 0, arrived: [2, 0, 0, 0, 0, 0, 0, 0] },
        Ack { sequence: 0, token: Token(0), base: 1, arrived: [0; 8] },
    ];
    for (index, ack) in bad.iter().enumerate() {
        source.on_datagram(5, &ack.encode(), &mut out);
        assert_eq!(source.progress().dropped, index as u64 + 1);
        assert_eq!((source.phase(), source.progress().frames_done), (SourcePhase::Streaming, 0));
    }
}

#[test]
fn the_destination_runs_on_go_of_its_own_move_only() {
    let (mut machine, mut out) = destination(DestinationPhase::Prepared);
    machine.on_message(0, Message::Go(Go { token: Token(1), paused_ns: 5 }), &mut out);
    assert!(matches!(out.events[0], DestinationEvent::Discard(Failure::Unexpected { .. })));

    for phase in [DestinationPhase::Receiving, DestinationPhase::Restoring] {
        let (mut machine, mut out) = destination(phase);
        machine.on_message(0, Message::Go(Go { token: TOKEN, paused_ns: 5 }), &mut out);
        assert_eq!(machine.phase(), DestinationPhase::Discarded, "GO before PREPARED");
        machine.restored(0, Ok(()), &mut out);
        assert_eq!(machine.phase(), DestinationPhase::Discarded, "a late answer of the host");
    }
}

#[test]
fn go_that_comes_after_the_end_is_answered_and_never_obeyed() {
    let (mut machine, mut out) = destination(DestinationPhase::Prepared);
    machine.disconnected(&mut out);
    assert_eq!(out.events, [DestinationEvent::Discard(Failure::Disconnected)]);
    machine.on_message(0, Message::Go(Go { token: TOKEN, paused_ns: 5 }), &mut out);
    assert_eq!((machine.phase(), out.events.len()), (DestinationPhase::Discarded, 1));
    assert!(matches!(out.messages.back(), Some(Message::Abort { .. })));
}

#[test]
fn a_question_takes_go_back_unless_it_has_arrived() {
    let ask = Message::Inquire { token: TOKEN };
    let (mut machine, mut out) = destination(DestinationPhase::Prepared);
    machine.on_message(0, ask.clone(), &mut out);
    assert!(matches!(out.messages.back(), Some(Message::Abort { .. })));
    machine.on_message(0, Message::Go(Go { token: TOKEN, paused_ns: 5 }), &mut out);
    assert_eq!(machine.phase(), DestinationPhase::Discarded, "GO was on the way on the old connection");

    let (mut machine, mut out) = destination(DestinationPhase::Starting);
    machine.disconnected(&mut out);
    machine.on_message(0, ask.clone(), &mut out);
    assert!(out.is_empty(), "the answer is not known yet");
    machine.started(0, Ok(()), &mut out);
    assert_eq!(out.messages, [Message::Running { token: TOKEN }]);
    out.messages.clear();
    machine.on_message(0, ask, &mut out);
    machine.on_message(0, Message::Inquire { token: Token(9) }, &mut out);
    assert_eq!(out.messages, [Message::Running { token: TOKEN }, Message::Unknown { token: Token(9) }]);
    machine.on_message(0, Message::Abort { token: None, reason: Reason::new("no") }, &mut out);
    assert_eq!(machine.phase(), DestinationPhase::Running, "a running guest is nobody's to take back");
}

#[test]
fn after_prepared_no_time_ends_the_reservation() {
    let (mut machine, mut out) = destination(DestinationPhase::Prepared);
    assert_eq!(machine.deadline_ns(), None);
    machine.on_tick(u64::MAX, &mut out);
    assert!(out.is_empty() && machine.phase() == DestinationPhase::Prepared);
}

#[test]
fn an_answer_that_comes_after_the_source_has_gone_is_refused() {
    let (mut machine, mut out) = destination(DestinationPhase::Deciding);
    machine.disconnected(&mut out);
    assert_eq!(machine.accept(0, ACCEPT, &mut out), Err(AcceptError::NotAsked));
    machine.refuse(RefuseCode::Busy, "no", &mut out);
    assert!(out.messages.is_empty());
}

#[test]
fn what_was_sent_must_be_what_arrived() {
    type Spoil = fn(&mut Sent);
    let cases: [(Failure, Spoil); 3] = [
        (Failure::RootDiffers, |sent| sent.root ^= 1),
        (Failure::StateDiffers, |sent| sent.state_sum ^= 1),
        (Failure::FramesMissing { missing: 0 }, |sent| sent.frames += 1),
    ];
    for (failure, spoil) in cases {
        let (mut machine, mut out) = destination(DestinationPhase::Receiving);
        let zeros = Zeros { place: place(0), ranges: all_frames() }.encode();
        let landing = machine.on_datagram(0, &zeros, &mut out).unwrap();
        machine.landed(0, landing, &Ram::new(&[REGION]), &mut out);
        machine.on_message(0, Message::State(StateChunk { index: 0, of: 1, bytes: vec![1] }), &mut out);
        let mut spoiled = sent();
        spoil(&mut spoiled);
        machine.on_message(0, Message::Sent(spoiled), &mut out);
        assert_eq!(out.events, [DestinationEvent::Discard(failure)]);
    }
    let (mut machine, mut out) = destination(DestinationPhase::Receiving);
    machine.on_message(0, Message::Sent(sent()), &mut out);
    assert_eq!(out.events, [DestinationEvent::Discard(Failure::FramesMissing { missing: 4 })]);
}

#[test]
fn state_comes_in_order_and_whole() {
    let chunk = |index, of| Message::State(StateChunk { index, of, bytes: vec![1] });
    for wrong in [vec![chunk(1, 2)], vec![chunk(0, 2), chunk(0, 2)], vec![chunk(0, 2), chunk(1, 3)]] {
        let (mut machine, mut out) = destination(DestinationPhase::Receiving);
        wrong.into_iter().for_each(|message| machine.on_message(0, message, &mut out));
        assert_eq!(out.events, [DestinationEvent::Discard(Failure::StateDiffers)]);
    }
}

#[test]
fn records_that_cannot_be_end_the_move() {
    let page = |sequence, frame, bytes: usize| {
        let mut datagram =
            Pages { place: place(sequence), order: 0, at: GuestFrame(frame).address() }.encode().to_vec();
        datagram.resize(datagram.len() + bytes, 1);
        datagram
    };
    let later =
        Pages { place: Place { round: 1, ..place(0) }, order: 0, at: GuestFrame(16).address() }.encode();
    let zeros = Zeros { place: place(1), ranges: all_frames() }.encode().to_vec();
    let cases = [
        vec![page(0, 15, 4096)],
        vec![page(0, 19, 8192)],
        vec![page(0, 1 << 50, 64)],
        vec![[&later[..], &[0; 64]].concat()],
        vec![page(0, 16, 4096), zeros.clone()],
        vec![page(0, 16, 4096), page(1, 16, 8192)],
        vec![page(0, 16, 128), page(1, 16, 192)],
        vec![page(0, 16, 128), page(1, 16, 4096)],
        vec![page(0, 16, 128), zeros],
    ];
    for (index, datagrams) in cases.iter().enumerate() {
        let (mut machine, mut out) = destination(DestinationPhase::Receiving);
        let (last, before) = datagrams.split_last().unwrap();
        let ram = Ram::new(&[REGION]);
        for datagram in before {
            let landing = machine.on_datagram(0, datagram, &mut out).expect("new");
            machine.landed(0, landing, &ram, &mut out);
        }
        assert!(machine.on_datagram(0, last, &mut out).is_none(), "case {index}");
        assert!(matches!(out.events[0], DestinationEvent::Discard(Failure::Record(_))), "case {index}");
    }
}

#[test]
fn a_frame_that_comes_twice_counts_once() {
    let (mut machine, mut out) = destination(DestinationPhase::Receiving);
    let ram = Ram::new(&[REGION]);
    let datagram = |sequence| {
        let header = Pages { place: place(sequence), order: 0, at: GuestFrame(16).address() }.encode();
        [&header[..], &[7; 4096]].concat()
    };
    let (first, second, third) = (datagram(0), datagram(1), datagram(2));
    // Both are handed out before either is written.
    let landings = [&first, &second].map(|datagram| machine.on_datagram(0, datagram, &mut out).unwrap());
    for landing in landings {
        machine.landed(0, landing, &ram, &mut out);
        assert_eq!(machine.progress().frames_done, 1);
    }
    assert!(machine.on_datagram(0, &third, &mut out).is_none(), "known by its content");
    assert!(machine.on_datagram(0, &first, &mut out).is_none(), "known by its number");
    let progress = machine.progress();
    assert_eq!((progress.datagrams, progress.repeated, progress.dropped), (4, 2, 0));
    let foreign =
        Pages { place: Place { token: Token(1), ..place(9) }, order: 0, at: GuestFrame(17).address() };
    assert!(machine.on_datagram(0, &[&foreign.encode()[..], &[7; 4096]].concat(), &mut out).is_none());
    assert_eq!(
        (machine.progress().dropped, out.events.len()),
        (1, 0),
        "another move's record is no fault of this one's"
    );
}

#[test]
fn in_doubt_only_an_abort_that_names_the_move_counts() {
    let (mut source, mut out) = committed();
    source.disconnected(5_000_000, &mut out);
    out.events.clear();
    source.reconnected(&mut out);
    // The new connection's end knows of no offer: it may lose patience, or speak another revision.
    source.on_message(6_000_000, Message::Unknown { token: TOKEN }, &mut out);
    for token in [None, Some(Token(9))] {
        source.on_message(
            7_000_000,
            Message::Abort { token, reason: Reason::new("waited too long") },
            &mut out,
        );
        assert_eq!(
            (source.phase(), out.events.as_slices().0),
            (SourcePhase::InDoubt, &[SourceEvent::Forgotten][..])
        );
    }
    source.on_message(
        8_000_000,
        Message::Abort { token: Some(TOKEN), reason: Reason::new("never ran") },
        &mut out,
    );
    assert_eq!(source.phase(), SourcePhase::Resumed);
}
