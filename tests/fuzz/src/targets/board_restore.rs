//! Saved states of devices as they come from another host: refused, or a board that works.

use godwit_devices::{DeviceId, GuestTime, Now, SavedDevice};

use super::board_calls::{Call, Guest};
use crate::{Input, Kind, Script, Target};

/// Saved states, whatever they are.
pub(super) const TARGET: Target =
    Target { name: "board-restore", kind: Kind::Guest, run, corpus, max_bytes: 2048, executions: 600_000 };

/// Calls to a board that was restored.
const MAX_CALLS: usize = 24;

fn run(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let now = Now { time: GuestTime(input.number()), tsc: input.number() };
    let changes = input.below(4);
    let mut saved = match input.below(8) {
        // The whole of it in its own encoding, as it comes.
        0 => match postcard::from_bytes::<Vec<SavedDevice>>(input.rest()) {
            Ok(saved) => return try_board(&saved, now, &mut Input::new(&[])),
            Err(_) => return,
        },
        calls => working(calls, &mut input),
    };
    for _ in 0..=changes {
        change(&mut saved, &mut input);
    }
    try_board(&saved, now, &mut input);
}

/// A state that is right: a guest's after a few calls.
fn working(calls: usize, input: &mut Input<'_>) -> Vec<SavedDevice> {
    let mut guest = Guest::new();
    for _ in 1..calls {
        guest.call(Call::read(input));
    }
    guest.save()
}

/// Makes something of it wrong, or something else.
fn change(saved: &mut Vec<SavedDevice>, input: &mut Input<'_>) {
    let which = input.below(saved.len());
    let other = input.below(saved.len());
    let Some(device) = saved.get_mut(which) else { return };
    let at = input.below(device.bytes.len() + 1);
    match input.below(12) {
        0 => device.version = input.number() as u16,
        1 => device.device = DeviceId::try_from(input.number() as u16 % 11).unwrap_or(DeviceId::Serial),
        2 => device.bytes.truncate(at),
        3 => device.bytes.extend(input.counted(64)),
        4 => _ = saved.remove(which),
        5 => {
            let copy = device.clone();
            saved.push(copy);
        }
        6 => saved.swap(which, other),
        7 => {
            // A number of postcard's: seven bits a byte.
            let mut number = Vec::new();
            let mut rest = input.number();
            while rest >= 0x80 {
                number.push(rest as u8 | 0x80);
                rest >>= 7;
            }
            number.push(rest as u8);
            let end = (at + input.below(3)).min(device.bytes.len());
            device.bytes.splice(at.min(end)..end, number);
        }
        8 => device.bytes.insert(at, input.byte()),
        _ => {
            let value = input.byte();
            if let Some(byte) = device.bytes.get_mut(at) {
                *byte = value;
            }
        }
    }
}

/// Either it is refused, or it works and saves what can be restored.
fn try_board(saved: &[SavedDevice], now: Now, input: &mut Input<'_>) {
    let Some(mut guest) = Guest::restore(saved, now) else { return };
    for _ in 0..MAX_CALLS {
        if input.is_empty() {
            break;
        }
        guest.call(Call::read(input));
    }
    // As it comes, and after what the guest did.
    guest.advance();
    assert_eq!(guest.moved().save(), guest.save(), "what is restored is what was saved");
}

fn corpus() -> Vec<Vec<u8>> {
    let head = |calls: u8| Script::new().number(1_000_000).number(2_000_000).byte(0).byte(calls);
    let fresh = Guest::new().save();
    let mut inputs = vec![head(0).bytes(&postcard::to_allocvec(&fresh).unwrap_or_default()).end()];
    // One byte of each device's state, and calls afterwards.
    for (which, device) in fresh.iter().enumerate() {
        for at in (0..device.bytes.len().min(255)).step_by(3) {
            let change = head(1).byte(which as u8).byte(0).byte(at as u8).byte(9).byte(0xff);
            inputs.push(change.byte(3).byte(16).byte(0).number(7).byte(18).byte(19).byte(23).byte(1).end());
        }
    }
    inputs
}
