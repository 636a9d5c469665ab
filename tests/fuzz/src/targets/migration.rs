//! Both ends of a move, each with a peer that says anything.

use godwit_guest::{GuestAddress, GuestMemory, NotRam};
use godwit_migration::{
    Destination, DestinationEvent, DestinationPhase, Landed, Outbox, Patience, Source, SourceEvent,
    SourceSettings,
};
use godwit_wire::{Accept, Message, Name, RefuseCode, StreamDecoder, Token};

use super::{
    fake_memory::FakeMemory,
    wire::{ACCEPT, datagrams, messages, offer},
};
use crate::{Input, Kind, Script, Target};

/// Source and destination, whatever the peer sends.
pub(super) const TARGET: Target =
    Target { name: "migration", kind: Kind::Outside, run, corpus, max_bytes: 2048, executions: 120_000 };

/// Steps of one execution at most.
const MAX_STEPS: usize = 48;
/// Regions and leaves of an offer that a host here could reserve; more it would refuse.
const MAX_FRAMES: u64 = 1 << 20;
/// RAM of the guest that leaves.
const RAM_BYTES: usize = 1032 << 12;

fn run(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    if input.flag() { destination(&mut input) } else { source(&mut input) }
}

/// A message: one that is right, or what the bytes spell.
fn message(input: &mut Input<'_>) -> Option<Message> {
    let choice = input.below(16);
    let known = messages().into_iter().nth(choice);
    match known {
        Some(Message::Go(mut go)) => {
            go.paused_ns = input.number();
            Some(Message::Go(go))
        }
        Some(Message::Sent(mut sent)) => {
            (sent.packets, sent.frames) = (input.number(), input.number());
            Some(Message::Sent(sent))
        }
        Some(Message::State(mut chunk)) => {
            (chunk.index, chunk.of) = (input.number() as u16, input.number() as u16);
            chunk.bytes = input.counted(64).to_vec();
            // As the decoder would have it.
            Some(Message::State(chunk)).filter(|message| message.check().is_ok())
        }
        Some(Message::Accept(_)) => Some(Message::Accept(Accept {
            token: Token(input.number()),
            page_port: input.number() as u16,
            datagram_bytes: input.number() as u16,
            sum_key: input.number(),
        })),
        Some(known) => Some(known),
        None => {
            let mut bytes = input.counted(400);
            StreamDecoder::new().read(&mut bytes).ok().flatten()
        }
    }
}

/// A datagram: one that is right but for some bytes, or anything.
fn datagram(input: &mut Input<'_>) -> Vec<u8> {
    let mut datagram =
        datagrams().into_iter().nth(input.below(4)).unwrap_or_else(|| input.counted(700).to_vec());
    for _ in 0..input.below(4) {
        let (at, value) = (input.below(64), input.byte());
        if let Some(byte) = datagram.get_mut(at) {
            *byte = value;
        }
    }
    if input.flag() {
        datagram.truncate(input.number().min(1 << 16) as usize);
    }
    datagram
}

fn destination(input: &mut Input<'_>) {
    let mut now_ns = input.number();
    let mut machine = Destination::new(now_ns, Name::new("b"), Patience::default());
    let mut out = Outbox::new();
    let memory = FakeMemory::new(64 << 12);
    let mut starts = 0;
    for _ in 0..MAX_STEPS {
        if input.is_empty() {
            break;
        }
        match input.below(12) {
            0..5 => {
                if let Some(message) = message(input) {
                    machine.on_message(now_ns, message, &mut out);
                }
            }
            5..9 => {
                let datagram = datagram(input);
                if let Some(landing) = machine.on_datagram(now_ns, &datagram, &mut out) {
                    let written = match landing.content() {
                        Landed::Bytes { at, bytes } => memory.write(*at, bytes),
                        Landed::Zeros(_) => Ok(()),
                    };
                    match written {
                        Ok(()) => machine.landed(now_ns, landing, &memory, &mut out),
                        Err(error) => machine.not_landed(error, &mut out),
                    }
                }
            }
            9 => {
                now_ns = now_ns.saturating_add(input.number());
                machine.on_tick(now_ns, &mut out);
            }
            10 => machine.disconnected(&mut out),
            _ => _ = machine.cancel("enough", &mut out),
        }
        for event in out.events.drain(..).collect::<Vec<_>>() {
            assert!(starts == 0, "after the guest started nothing is asked of the host");
            match event {
                DestinationEvent::Reserve(offer) if offer.frames() <= MAX_FRAMES && !input.flag() => {
                    assert_eq!(offer.check(), Ok(()), "an offer was checked");
                    _ = machine.accept(now_ns, ACCEPT, &mut out);
                }
                DestinationEvent::Reserve(_) => machine.refuse(RefuseCode::Memory, "too large", &mut out),
                DestinationEvent::Restore { state } => {
                    assert!(!state.is_empty());
                    machine.restored(now_ns, if input.flag() { Err("no") } else { Ok(()) }, &mut out);
                }
                DestinationEvent::Start { .. } => {
                    starts += 1;
                    machine.started(now_ns, Ok(()), &mut out);
                    assert_eq!(machine.phase(), DestinationPhase::Running);
                }
                DestinationEvent::Discard(_) => assert_ne!(machine.phase(), DestinationPhase::Running),
            }
        }
        check_out(&mut out);
        let progress = machine.progress();
        assert!(progress.frames_done <= progress.frames_total, "{progress:?}");
    }
}

fn source(input: &mut Input<'_>) {
    let mut now_ns = input.number();
    let settings = SourceSettings {
        host: Name::new("a"),
        datagram_bytes: input.pick(&[1472, 8972, 65000, 576]),
        window_bytes: input.pick(&[1 << 20, 1500, u32::MAX]),
        patience: Patience::default(),
    };
    let mut machine = Source::new(now_ns, settings, offer()).expect("the offer is right");
    let mut out = Outbox::new();
    let memory = Sparse;
    machine.connected(now_ns, &mut out);
    let (mut done, mut stays) = (false, false);
    for _ in 0..MAX_STEPS {
        if input.is_empty() {
            break;
        }
        match input.below(12) {
            0..4 => {
                if let Some(message) = message(input) {
                    machine.on_message(now_ns, message, &mut out);
                }
            }
            4..6 => machine.on_datagram(now_ns, &datagram(input), &mut out),
            6..9 => _ = machine.step(now_ns, input.number() as u32 % 64, &memory, &mut out),
            9 => {
                now_ns = now_ns.saturating_add(input.number());
                machine.on_tick(now_ns, &mut out);
            }
            10 => machine.disconnected(now_ns, &mut out),
            _ => match input.below(3) {
                0 => _ = machine.cancel(now_ns, "enough", &mut out),
                1 => machine.reconnected(&mut out),
                _ => _ = machine.force_resume(&mut out),
            },
        }
        for event in out.events.drain(..).collect::<Vec<_>>() {
            match event {
                SourceEvent::Pause => machine.paused(now_ns, now_ns, input.counted(200).to_vec(), &mut out),
                SourceEvent::ResumeHere(_) => {
                    assert!(!done, "a guest that was freed does not run here");
                    stays = true;
                }
                SourceEvent::Done => {
                    assert!(!stays, "a guest that runs here is not freed");
                    done = true;
                }
                SourceEvent::InDoubt { .. } | SourceEvent::Forgotten | SourceEvent::Conflict => {}
            }
        }
        check_out(&mut out);
        let progress = machine.progress();
        assert!(progress.frames_done <= progress.frames_total, "{progress:?}");
    }
}

/// What is sent is what a peer takes.
fn check_out<E>(out: &mut Outbox<E>) {
    for message in out.messages.drain(..) {
        assert!(message.encode().is_ok(), "{message:?} keeps its bounds");
    }
    for datagram in out.datagrams.drain(..) {
        let bytes = datagram.header.len() + datagram.body.map_or(0, |body| body.bytes as usize);
        assert!(bytes <= 65_507, "a datagram fits");
    }
}

/// RAM of the guest that leaves: every third frame is not zero.
struct Sparse;

impl GuestMemory for Sparse {
    fn read(&self, at: GuestAddress, out: &mut [u8]) -> Result<(), NotRam> {
        if at.0.checked_add(out.len() as u64).is_none_or(|end| end > RAM_BYTES as u64) {
            return Err(NotRam { at });
        }
        out.fill(if at.frame().0.is_multiple_of(3) { 7 } else { 0 });
        Ok(())
    }

    fn write(&self, at: GuestAddress, _: &[u8]) -> Result<(), NotRam> {
        Err(NotRam { at })
    }
}

fn corpus() -> Vec<Vec<u8>> {
    let number = |script: Script| script.number(1000);
    // HELLO, OFFER, accepted; pages and zeros; a chunk of state; SENT; GO.
    let arrives = number(Script::new().byte(1)).byte(0).byte(0).byte(0).byte(1).byte(0);
    let arrives = arrives.byte(5).byte(0).byte(0).byte(0).byte(5).byte(1).byte(0).byte(0);
    let arrives =
        arrives.byte(0).byte(4).number(0).number(1).counted(b"state").byte(0).byte(5).number(2).number(40);
    let arrives = arrives.byte(0).byte(7).number(9).byte(9).number(1 << 33).end();
    // HELLO, ACCEPT, paused; steps; acknowledgements; PREPARED, RUNNING.
    let leaves = number(Script::new().byte(0)).byte(0).byte(0).byte(0).byte(0);
    let leaves = leaves.byte(0).byte(2).number(0x1234).number(7001).number(1472).number(5).counted(b"state");
    let leaves = leaves.byte(6).number(63).byte(6).number(63).byte(4).byte(2).byte(0).byte(0);
    let leaves = leaves.byte(0).byte(6).byte(0).byte(8).byte(10).byte(11).byte(1).end();
    vec![arrives, leaves]
}
