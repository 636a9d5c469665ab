//! HLT: it ends with the next interrupt, and with one that waits already.

use core::arch::asm;

use x86_64::instructions::interrupts::{disable, enable_and_hlt};

use crate::{
    apic,
    asked::Asked,
    interrupts::{Controller, expect_from, hits},
    pic, pit,
    time::Stopwatch,
    trial::{Outcome, Trial, check, figure},
};

const WAKE: u8 = 0x51;
const WAKES: u64 = 20;

pub(super) const TRIALS: &[Trial] = &[
    Trial::new("hlt-ends-with-the-next-interrupt", next),
    Trial::new("hlt-behind-sti-wakes-at-once", waiting),
    Trial::new("hlt-returns-behind-itself", behind),
    Trial::new("hlt-with-interrupts-off-ends-by-nmi", nmi),
];

fn next(_: &Asked<'_>) -> Outcome {
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
    disable();
    let us = watch.microseconds();
    pit::stop();
    pic::start(0);
    check!(halts <= 2 * WAKES, "{halts} HLTs ended for {WAKES} interrupts");
    check!(us > 50_000, "{WAKES} interrupts of 5 ms came in {us} us");
    figure("us_per_5_ms_halt", us / WAKES);
    Ok(())
}

fn start() {
    pic::start(0);
    apic::start(false);
    expect_from(Controller::Apic);
}

/// One that waits already ends HLT at once: STI's shadow reaches HLT, and no further.
fn waiting(_: &Asked<'_>) -> Outcome {
    start();
    for round in 1..=100u64 {
        apic::send_to_self(u32::from(WAKE));
        enable_and_hlt();
        disable();
        check!(hits(WAKE) == round, "{} interrupts came in {round} halts", hits(WAKE));
    }
    Ok(())
}

/// The handler returns behind HLT, with registers as they were.
fn behind(_: &Asked<'_>) -> Outcome {
    start();
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

/// NMIs do not ask for IF: one that the PIT's pin of the IO-APIC delivers ends HLT with interrupts off.
fn nmi(_: &Asked<'_>) -> Outcome {
    const PIN: u32 = 2;
    start();
    apic::io_write(0x10 + PIN * 2 + 1, apic::read(apic::ID) & 0xff00_0000);
    apic::io_write(0x10 + PIN * 2, apic::NMI);
    // One after the other, so that none is missed by coming before HLT.
    pit::start(pit::Mode::Periodic, (pit::HZ / 200) as u16);
    // SAFETY: the NMIs of the timer end it.
    unsafe { asm!("cli", "hlt") };
    pit::stop();
    apic::route(PIN, None);
    check!(hits(2) > 0, "HLT with interrupts off ended without an NMI");
    Ok(())
}
