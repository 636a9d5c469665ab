//! All devices of a guest: accesses in any order, at any time, with moves to another host between them.

use super::board_calls::{Call, Guest};
use crate::{Input, Kind, Script, Target};

/// The devices, by whatever a guest can do to them.
pub(super) const TARGET: Target =
    Target { name: "board", kind: Kind::Guest, run, corpus, max_bytes: 512, executions: 600_000 };

/// Calls of one execution at most.
const MAX_CALLS: usize = 128;
/// A byte below this, instead of a call, is a move to another host. Only the first is: a move costs as much as dozens of calls.
const MOVE: u8 = 8;

fn run(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let mut guest = Guest::new();
    // The guest as it would be had it moved: it has to behave the same.
    let mut moved: Option<Guest> = None;
    let mut moves = 0;
    for _ in 0..MAX_CALLS {
        if input.is_empty() {
            break;
        }
        if input.rest().first().is_some_and(|byte| *byte < MOVE) {
            input.byte();
            moves += 1;
            if moves == 1 {
                moved = Some(move_away(&mut guest));
            }
            continue;
        }
        let call = Call::read(&mut input);
        let before = guest.now();
        let answer = guest.call(call);
        // A clock that goes back is survived, but what was promised of it before a move holds behind it as well.
        let now = guest.now();
        moved = moved.filter(|_| now.time >= before.time && now.tsc >= before.tsc);
        if let Some(moved) = &mut moved {
            assert_eq!(moved.call(call), answer, "after a move {call:?} answers differently");
        }
    }
    match moved {
        Some(mut moved) => {
            guest.advance();
            moved.advance();
            assert_eq!(moved.save(), guest.save(), "a move changed what the guest does to its devices");
        }
        None => _ = move_away(&mut guest),
    }
}

/// The guest at another host: what is restored is what was saved.
fn move_away(guest: &mut Guest) -> Guest {
    guest.advance();
    let moved = guest.moved();
    assert_eq!(moved.save(), guest.save(), "what is restored is what was saved");
    moved
}

fn corpus() -> Vec<Vec<u8>> {
    let out = |script: Script, port: u8, value: u64| script.byte(24 + 3).byte(port).byte(0).number(value);
    let store =
        |script: Script, register: u8, value: u64| script.byte(24 + 10).byte(register).byte(0).number(value);
    // Both 8259A, the timer, the serial port with interrupts, the real-time clock's periodic interrupt.
    let mut legacy = Script::new();
    for (port, value) in [
        (0, 0x11),
        (1, 0x30),
        (1, 4),
        (1, 1),
        (1, 0),
        (2, 0x11),
        (3, 0x38),
        (3, 2),
        (3, 1),
        (3, 0),
        (9, 0x36),
        (6, 0xa9),
        (6, 0x04),
        (20, 0x0b),
        (17, 0x0f),
        (16, b'g'.into()),
        (13, 0x0b),
        (14, 0x42),
    ] {
        legacy = out(legacy, port, value);
    }
    let legacy = legacy.byte(24 + 18).byte(24 + 19).byte(0).byte(24 + 19).byte(24 + 22).byte(0).end();
    // The local APIC on, its timer periodic; the IO-APIC's pin 4 routed; a byte typed; an end of interrupt.
    let mut apic = Script::new();
    for (register, value) in [
        (0x0f << 1, 0x1ff),
        (0x3e << 1, 3),
        (0x32 << 1, 0x2_0040),
        (0x38 << 1, 1000),
        (1, 0x18),
        (3, 0x8034),
        (1, 0x19),
        (3, 0),
    ] {
        apic = store(apic, register, value);
    }
    let apic = out(out(apic, 20, 0x0b), 17, 1).byte(24 + 21).byte(b'x').byte(24 + 18).byte(24 + 19);
    let apic = store(apic.byte(0), 0x0b << 1, 0).byte(24 + 19).end();
    // x2APIC mode, an interrupt to itself, a deadline of the time stamp counter, the clock page, a move.
    let mut msrs = Script::new();
    for (msr, value) in
        [(0x80 + 4, 0xfee0_0d00), (0x3f, 0x66), (0x32, 0x4_0041), (0x80 + 5, 1 << 20), (0x80 + 1, 0x101)]
    {
        msrs = msrs.byte(24 + 15).byte(msr).number(value);
    }
    let msrs = msrs.byte(24 + 17).number(1000).number(2000).byte(0).byte(24 + 23).byte(1).byte(24 + 18).end();
    // Power management: an event enabled, the button, sleep; reset by three ways.
    let power = out(out(out(Script::new(), 25, 0x100), 26, 0x3400), 29, 6)
        .byte(24 + 23)
        .byte(0)
        .byte(24 + 22)
        .byte(1)
        .end();
    vec![legacy, apic, msrs, power]
}
