//! What time does: acknowledgements that wait a little, and patience that begins again with everything new.

use godwit_guest::GuestFrame;
use godwit_migration::{
    Destination, DestinationEvent, DestinationPhase, Outbox, Patience, SourceEvent, SourcePhase,
};
use godwit_wire::record::{Ack, Pages, Place, Record};
use godwit_wire::{Message, Reason};

use crate::guest::Ram;
use crate::messages::{ACCEPT, REGION, destination, hello, place, source};
use crate::network::MILLISECOND_NS;
use crate::world::TOKEN;

/// Gives piece number `sequence` of frame 16 to `machine`; nobody waits for an answer.
fn land_piece(machine: &mut Destination, out: &mut Outbox<DestinationEvent>, now_ns: u64, sequence: u32) {
    let mut at = GuestFrame(16).address();
    at.0 += u64::from(sequence) * 64;
    let header = Pages { place: Place { acknowledge_now: false, ..place(sequence) }, order: 0, at }.encode();
    let datagram = [&header[..], &[7; 64]].concat();
    let landing = machine.on_datagram(now_ns, &datagram, out).expect("new");
    machine.landed(now_ns, landing, &Ram::new(&[REGION]), out);
}

fn acknowledged(out: &mut Outbox<DestinationEvent>) -> Vec<u32> {
    let base = |header: &[u8]| match Record::decode(header) {
        Ok(Record::Ack(ack)) => ack.base,
        other => panic!("{other:?}"),
    };
    out.datagrams.drain(..).map(|datagram| base(&datagram.header)).collect()
}

#[test]
fn one_acknowledgement_is_for_sixteen_arrivals() {
    let (mut machine, mut out) = destination(DestinationPhase::Receiving);
    (0..40).for_each(|sequence| land_piece(&mut machine, &mut out, 0, sequence));
    assert_eq!(acknowledged(&mut out), [16, 32]);
    assert_eq!(machine.progress().acknowledgements, 2);
}

#[test]
fn no_arrival_waits_longer_than_two_milliseconds_for_its_acknowledgement() {
    let (mut machine, mut out) = destination(DestinationPhase::Receiving);
    land_piece(&mut machine, &mut out, 100, 0);
    land_piece(&mut machine, &mut out, 5000, 1);
    let due_ns = 100 + 2 * MILLISECOND_NS;
    assert_eq!(machine.deadline_ns(), Some(due_ns));
    machine.on_tick(due_ns - 1, &mut out);
    assert_eq!(acknowledged(&mut out), []);
    machine.on_tick(due_ns, &mut out);
    assert_eq!(acknowledged(&mut out), [2]);
    assert!(machine.deadline_ns() > Some(due_ns + MILLISECOND_NS), "said once");
}

#[test]
fn something_new_in_time_keeps_the_destination_waiting() {
    let (mut machine, mut out) = destination(DestinationPhase::Receiving);
    let patience = Patience::default();
    let almost_ns = patience.stall_ns + patience.pause_ns - 1;
    for sequence in 0..5 {
        let now_ns = almost_ns * u64::from(sequence + 1);
        machine.on_tick(now_ns, &mut out);
        assert_eq!(machine.phase(), DestinationPhase::Receiving, "piece {sequence}");
        land_piece(&mut machine, &mut out, now_ns, sequence);
    }
    machine.on_tick(almost_ns * 6 + 1, &mut out);
    assert_eq!(machine.phase(), DestinationPhase::Discarded);
}

#[test]
fn something_new_in_time_keeps_the_source_waiting() {
    let (mut source, mut out) = source();
    source.on_message(0, hello(), &mut out);
    let small = godwit_wire::Accept { datagram_bytes: 32 + 128, ..ACCEPT };
    source.on_message(0, Message::Accept(small), &mut out);
    source.paused(0, 0, vec![1], &mut out);
    let ram = Ram::new(&[REGION]);
    ram.fill(16, 1);
    source.step(0, 100, &ram, &mut out);
    let almost_ns = Patience::default().stall_ns - 1;
    for arrival in 1..6 {
        let now_ns = almost_ns * arrival;
        source.on_tick(now_ns, &mut out);
        assert_eq!(source.phase(), SourcePhase::Streaming, "arrival {arrival}");
        source.step(now_ns, 100, &ram, &mut out);
        // The newest datagram arrives, and nothing before it.
        let newest = out.datagrams.back().unwrap();
        let bytes = [&newest.header[..], &vec![0; newest.body.unwrap().bytes as usize]].concat();
        let Ok(Record::Pages(Pages { place, .. }, _)) = Record::decode(&bytes) else {
            panic!("a page record")
        };
        let mut arrived = [0; 8];
        arrived[0] = 1 << (place.sequence - place.floor);
        let ack = Ack { sequence: 0, token: TOKEN, base: place.floor, arrived }.encode();
        source.on_datagram(now_ns, &ack, &mut out);
        source.on_datagram(now_ns + 1000, &ack, &mut out); // the same again is nothing new
    }
    source.on_tick(almost_ns * 6, &mut out);
    assert_eq!(source.phase(), SourcePhase::Streaming);
    source.on_tick(almost_ns * 6 + 1, &mut out);
    assert_eq!(source.phase(), SourcePhase::Resumed);
}

#[test]
fn a_source_that_reads_zeros_and_awaits_nothing_is_patient_with_itself() {
    let (mut source, mut out) = source();
    source.on_message(0, hello(), &mut out);
    source.on_message(0, Message::Accept(ACCEPT), &mut out);
    source.paused(0, 0, vec![1], &mut out);
    let ram = Ram::new(&[REGION]);
    let almost_ns = Patience::default().stall_ns - 1;
    // Three of four frames.
    for read in 1..4 {
        source.on_tick(almost_ns * read, &mut out);
        assert!(source.step(almost_ns * read, 1, &ram, &mut out), "zeros that are not named yet");
        assert!(out.datagrams.is_empty() && source.phase() == SourcePhase::Streaming, "frame {read}");
    }
    // Once something is on its way, its answer must come in time.
    source.step(almost_ns * 4, u32::MAX, &ram, &mut out);
    assert!(!out.datagrams.is_empty());
    source.step(almost_ns * 5, u32::MAX, &ram, &mut out);
    source.on_tick(almost_ns * 5 + 2, &mut out);
    assert_eq!(source.phase(), SourcePhase::Resumed);
}

#[test]
fn an_abort_is_not_answered_by_another() {
    let abort = Message::Abort { token: None, reason: Reason::new("no") };
    let (mut machine, mut out) = destination(DestinationPhase::Receiving);
    machine.on_message(0, abort.clone(), &mut out);
    assert!(out.messages.is_empty() && matches!(out.events[0], DestinationEvent::Discard(_)));
    let (mut source, mut out) = source();
    out.messages.clear();
    source.on_message(0, abort, &mut out);
    assert!(out.messages.is_empty() && matches!(out.events[0], SourceEvent::ResumeHere(_)));
}
