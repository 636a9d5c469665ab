//! Counts for ever and makes no exits in between: how fast it counts is how much of a processor it has.

use core::hint::{black_box, spin_loop};

use crate::{
    asked::Asked,
    console::println,
    time::{tsc, tsc_hz},
    trial::{Outcome, Trial, name},
};

pub(super) const TRIALS: &[Trial] = &[Trial::endless("count", run)];

/// Turns between two looks at the time stamp counter.
const TURNS: u64 = 1000;

/// `ms=N` between lines (default 100): `count NUMBER turns=N us=N`, both since the first line.
fn run(asked: &Asked<'_>) -> Outcome {
    let hz = tsc_hz(50).max(1);
    let every = hz / 1000 * asked.number("ms", 100).max(1);
    println!("micro {} begins", name());
    let start = tsc();
    let (mut turns, mut number, mut next) = (0u64, 0u64, start);
    loop {
        let now = tsc();
        if now >= next {
            let us = u128::from(now - start) * 1_000_000 / u128::from(hz);
            println!("count {number} turns={turns} us={us}");
            number += 1;
            // A guest that had no processor for a while does not catch up on lines.
            next = tsc() + every;
        }
        for _ in 0..TURNS {
            turns = black_box(turns + 1);
            spin_loop();
        }
    }
}
