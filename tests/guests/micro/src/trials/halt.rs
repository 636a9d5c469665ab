//! HLT: it ends with the next interrupt, and with one that waits already.

use core::arch::asm;

use x86_64::instructions::interrupts::enable_and_hlt;

use crate::{
    apic,
    asked::Asked,
    interrupts::{Controller, expect_from, hits},
    pic, pit,
    time::Stopwatch,
    trial::{Outcome, check, figure},
};

const WAKE: u8 = 0x51;
const WAKES: u64 = 20;

pub(super) fn run(_: &Asked<'_>) -> Outcome {
    apic::start(true);
    pic::start(1);
    expect_from(Controller::Pic);
    let mut watch = Stopwatch::start();
    pit::start(pit::Mode::Periodic, (pit::HZ / 200) as u16);
    let mut halts = 0;
    while hits(pic::FIRST_VECTOR) < WAKES {
        enable_and_hlt();
        halts += 1;
    }
    x86_64::instructions::interrupts::disable();
    let us = watch.microseconds();
    pit::stop();
    pic::start(0);
    check!(halts <= 2 * WAKES, "{halts} HLTs ended for {WAKES} interrupts");
    check!(us > 50_000, "{WAKES} interrupts of 5 ms came in {us} us");
    figure("us_per_5_ms_halt", us / WAKES);

    // One that waits already ends HLT at once: STI's shadow reaches HLT, and no further.
    expect_from(Controller::Apic);
    for round in 1..=100u64 {
        apic::send_to_self(u32::from(WAKE));
        enable_and_hlt();
        x86_64::instructions::interrupts::disable();
        check!(hits(WAKE) == round, "{} interrupts came in {round} halts", hits(WAKE));
    }

    // The handler returns behind HLT, with registers as they were.
    let (count, kept): (u64, u64);
    apic::send_to_self(u32::from(WAKE));
    // SAFETY: the handler keeps every register; interrupts are off again at the end.
    unsafe {
        asm!("mov {kept}, 0x1badcafe", "xor {count:e}, {count:e}", "sti", "hlt", "inc {count}", "cli",
            count = out(reg) count, kept = out(reg) kept);
    }
    check!((count, kept) == (1, 0x1bad_cafe), "behind HLT: {count}, {kept:#x}");
    Ok(())
}
