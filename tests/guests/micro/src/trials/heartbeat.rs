//! A heartbeat on COM1: sequence number, timer ticks and TSC, at an even pace.

use x86_64::instructions::interrupts::{disable, enable_and_hlt};

pub(super) const TRIALS: &[Trial] = &[Trial::new("heartbeat", run)];

use crate::{
    apic,
    asked::Asked,
    console::println,
    interrupts::{Controller, expect_from, hits},
    pic, pit,
    time::tsc,
    trial::{Outcome, Trial, check},
};

/// Timer interrupts in a second.
const HZ: u64 = 100;

/// `ms=N` between beats (default 50, a multiple of 10) `count=N` (default 5; 0 is for ever).
fn run(asked: &Asked<'_>) -> Outcome {
    let ticks_per_beat = (asked.number("ms", 50) * HZ / 1000).max(1);
    let count = asked.number("count", 5);
    apic::start(true);
    pic::start(1);
    expect_from(Controller::Pic);
    pit::start(pit::Mode::Periodic, (pit::HZ / HZ) as u16);
    let mut last_tsc = tsc();
    let mut beat = 0;
    while count == 0 || beat < count {
        beat += 1;
        while hits(pic::FIRST_VECTOR) < beat * ticks_per_beat {
            enable_and_hlt();
            disable();
        }
        let now = tsc();
        println!("beat {beat} ticks={} tsc={now}", hits(pic::FIRST_VECTOR));
        check!(now > last_tsc, "the TSC went from {last_tsc} to {now}");
        last_tsc = now;
    }
    pit::stop();
    pic::start(0);
    Ok(())
}
