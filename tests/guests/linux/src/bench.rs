//! What exits and first touches cost: lines `bench SEQ cpuid_ns X`, one `bench touch first_ns X again_ns Y`, and `bench done`.

use std::{arch::x86_64::__cpuid, hint::black_box};

use crate::{clock::Clock, console::say, pages::PAGE_WORDS};

/// Measurements of the exit, so that a median can be taken.
const ROUNDS: u32 = 7;
/// Pages touched: 32 MiB, which Linux has not used before.
const TOUCHED_PAGES: usize = 8192;

/// Measures `exits` exits at a time.
pub(crate) fn run(exits: u32, clock: &mut Clock) {
    for round in 0..ROUNDS {
        let began_ns = clock.now_ns();
        for _ in 0..exits {
            // Every CPUID leaves a guest, whatever it asks for.
            black_box(__cpuid(0));
        }
        let taken_ns = clock.now_ns().saturating_sub(began_ns);
        say!("bench {round} cpuid_ns {}", taken_ns / u64::from(exits));
    }
    let mut memory = vec![0u64; TOUCHED_PAGES * PAGE_WORDS];
    let first_ns = touch(&mut memory, clock);
    let again_ns = touch(&mut memory, clock);
    say!("bench touch first_ns {first_ns} again_ns {again_ns}");
    say!("bench done");
}

/// Nanoseconds that writing one word costs, on average over all pages.
fn touch(memory: &mut [u64], clock: &mut Clock) -> u64 {
    let began_ns = clock.now_ns();
    for word in memory.iter_mut().step_by(PAGE_WORDS) {
        *word = 1;
    }
    black_box(memory);
    clock.now_ns().saturating_sub(began_ns) / TOUCHED_PAGES as u64
}
