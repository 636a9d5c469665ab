//! Interrupts: from the PIC and its timer, from the local APIC and its timer, from this CPU to itself, and what holds them
//! back.

use core::{arch::asm, hint::spin_loop};

use x86_64::{instructions::interrupts as flag, registers::model_specific::Msr};

use crate::{
    apic,
    asked::Asked,
    environment::cpuid,
    interrupts::{Controller, expect_from, hits},
    pic, pit,
    time::{Stopwatch, tsc, tsc_hz, wait},
    trial::{Outcome, check, figure, found},
};

const TIMER: u8 = 0x60;
const LOW: u8 = 0x35;
const HIGH: u8 = 0x95;
const SPURIOUS_MS: u64 = 2000;

/// The PIC passes the PIT's ticks on.
pub(super) fn pic(_: &Asked<'_>) -> Outcome {
    apic::start(true);
    pic::start(1);
    expect_from(Controller::Pic);
    let ticks = || hits(pic::FIRST_VECTOR);
    // 100 Hz.
    pit::start(pit::Mode::Periodic, (pit::HZ / 100) as u16);
    check!(!wait(30, || ticks() > 0), "an interrupt came with interrupts off");
    flag::enable();
    let came = wait(SPURIOUS_MS, || ticks() >= 2);
    let mut watch = Stopwatch::start();
    let (first, all) = (ticks(), wait(SPURIOUS_MS, || ticks() >= 12));
    let us = watch.microseconds();
    flag::disable();
    pit::stop();
    check!(came && all, "{} timer interrupts came in {SPURIOUS_MS} ms", ticks());
    figure("us_per_10_ms_tick", us / (ticks() - first).max(1));

    // Once means once.
    expect_from(Controller::Pic);
    flag::enable();
    pit::start(pit::Mode::Once, 2000);
    let came = wait(SPURIOUS_MS, || ticks() > 0);
    let more = wait(20, || ticks() > 1);
    flag::disable();
    check!(came && !more, "{} interrupts came of a single shot", ticks());

    // Masked there, it waits; unmasked, it comes.
    pic::start(0);
    expect_from(Controller::Pic);
    pit::start(pit::Mode::Periodic, (pit::HZ / 1000) as u16);
    flag::enable();
    let early = wait(20, || ticks() > 0);
    pic::start(1);
    let came = wait(SPURIOUS_MS, || ticks() > 0);
    flag::disable();
    pit::stop();
    pic::start(0);
    check!(!early && came, "masked: {early}, unmasked: {came}");
    Ok(())
}

/// The local APIC's own sources.
pub(super) fn apic(_: &Asked<'_>) -> Outcome {
    pic::start(0);
    apic::start(false);
    timer()?;
    deadline()?;
    priorities()?;
    shadow()?;
    nmi()?;
    through_io_apic()
}

fn timer() -> Outcome {
    expect_from(Controller::Apic);
    // How fast it counts.
    apic::write(apic::INITIAL_COUNT, u32::MAX);
    let mut watch = Stopwatch::start();
    wait(10, || false);
    let passed = u64::from(u32::MAX - apic::read(apic::CURRENT_COUNT));
    let us = watch.microseconds().max(1);
    check!(passed > 0, "the local APIC's timer does not count");
    figure("apic_timer_hz", passed * 1_000_000 / us * 16);
    let millisecond = (passed * 1000 / us).clamp(1, u64::from(u32::MAX)) as u32;

    flag::enable();
    apic::write(apic::LVT_TIMER, u32::from(TIMER));
    apic::write(apic::INITIAL_COUNT, millisecond);
    let came = wait(SPURIOUS_MS, || hits(TIMER) > 0);
    let more = wait(20, || hits(TIMER) > 1);
    check!(came && !more, "{} interrupts came of a single shot", hits(TIMER));
    check!(apic::read(apic::CURRENT_COUNT) == 0, "the timer went on counting after its shot");

    expect_from(Controller::Apic);
    apic::write(apic::LVT_TIMER, apic::PERIODIC | u32::from(TIMER));
    let mut watch = Stopwatch::start();
    apic::write(apic::INITIAL_COUNT, millisecond * 5);
    let came = wait(SPURIOUS_MS, || hits(TIMER) >= 20);
    let us = watch.microseconds();
    apic::write(apic::LVT_TIMER, apic::MASKED | u32::from(TIMER));
    apic::write(apic::INITIAL_COUNT, 0);
    flag::disable();
    check!(came, "{} periodic interrupts came in {SPURIOUS_MS} ms", hits(TIMER));
    check!(us > 50_000, "20 interrupts of 5 ms came in {us} us");
    figure("us_per_5_ms_tick", us / hits(TIMER));
    Ok(())
}

fn deadline() -> Outcome {
    // Leaf 1, ECX bit 24.
    if cpuid(1, 0).ecx & (1 << 24) == 0 {
        found!("TSC deadlines are not offered");
        return Ok(());
    }
    let hz = tsc_hz(5);
    expect_from(Controller::Apic);
    let mut register = Msr::new(0x6e0);
    flag::enable();
    apic::write(apic::LVT_TIMER, apic::TSC_DEADLINE | u32::from(TIMER));
    let due = tsc() + hz / 200;
    // SAFETY: leaf 1 says that the register is there.
    unsafe { register.write(due) };
    let came = wait(SPURIOUS_MS, || hits(TIMER) > 0);
    let at = tsc();
    // A deadline in the past is due at once; zero is none.
    // SAFETY: as above.
    let left = unsafe { register.read() };
    // SAFETY: as above.
    unsafe { register.write(1) };
    let again = wait(SPURIOUS_MS, || hits(TIMER) > 1);
    // SAFETY: as above.
    unsafe {
        register.write(tsc() + hz / 100);
        register.write(0);
    }
    let disarmed = !wait(30, || hits(TIMER) > 2);
    flag::disable();
    apic::write(apic::LVT_TIMER, apic::MASKED | u32::from(TIMER));
    check!(came, "no interrupt came at the TSC deadline");
    check!(at >= due, "the deadline's interrupt came {} ticks early", due - at);
    check!(left == 0, "the deadline reads {left} after it came");
    check!(again, "a deadline in the past gave no interrupt");
    check!(disarmed, "an interrupt came of a deadline that was taken back");
    Ok(())
}

fn priorities() -> Outcome {
    expect_from(Controller::Apic);
    flag::enable();
    // By the register in memory: 0x40 holds back what is below 0x50.
    apic::write(apic::TASK_PRIORITY, 0x40);
    apic::send_to_self(u32::from(LOW));
    apic::send_to_self(u32::from(HIGH));
    let high = wait(SPURIOUS_MS, || hits(HIGH) == 1);
    let held = hits(LOW) == 0;
    apic::write(apic::TASK_PRIORITY, 0);
    let low = wait(SPURIOUS_MS, || hits(LOW) == 1);
    check!(high && held && low, "task priority: high came {high}, low was held {held}, came later {low}");

    // By CR8, which is the same register.
    let seen: u64;
    // SAFETY: CR8 only holds interrupts back.
    unsafe { asm!("mov cr8, {0}", "mov {1}, cr8", in(reg) 4u64, out(reg) seen) };
    let in_memory = apic::read(apic::TASK_PRIORITY);
    apic::send_to_self(u32::from(LOW));
    let held = !wait(5, || hits(LOW) > 1);
    // SAFETY: as above.
    unsafe { asm!("mov cr8, {0}", in(reg) 0u64) };
    // Nothing here gives the host a reason to look: it has to be told that CR8 fell.
    let low = (0..2_000_000).any(|_| {
        spin_loop();
        hits(LOW) == 2
    });
    flag::disable();
    check!(
        seen == 4 && in_memory == 0x40,
        "CR8 is {seen} and the task priority {in_memory:#x} after CR8 = 4"
    );
    check!(held && low, "CR8: low was held {held}, came at once {low}");
    Ok(())
}

/// STI holds interrupts off for one more instruction, also one that exits.
fn shadow() -> Outcome {
    expect_from(Controller::Apic);
    apic::send_to_self(u32::from(LOW));
    let (during, after): (u64, u64);
    let counter = crate::interrupts::counter(LOW);
    // SAFETY: the counter is an aligned word; CPUID changes the registers named.
    unsafe {
        asm!(
            "mov r8, rbx", "xor eax, eax",
            "sti", "cpuid",
            // The window between STI's shadow and CLI is the two instructions below.
            "nop", "cli",
            "mov rbx, r8", "mov {after}, [{counter}]",
            counter = in(reg) counter, after = out(reg) after,
            out("rax") _, out("rcx") _, out("rdx") _, out("r8") _,
        );
    }
    check!(after == 1, "an interrupt that waited came {after} times in STI; CPUID; NOP; CLI");
    apic::send_to_self(u32::from(LOW));
    // SAFETY: as above.
    unsafe {
        asm!("sti", "mov {during}, [{counter}]", "cli", counter = in(reg) counter, during = out(reg) during);
    };
    check!(during == 1, "an interrupt came in STI's shadow");
    // SAFETY: as above: STI; CLI opens no window at all.
    unsafe { asm!("sti", "cli") };
    check!(hits(LOW) <= 2, "STI; CLI let interrupts in twice");
    flag::enable();
    let came = wait(SPURIOUS_MS, || hits(LOW) == 2);
    flag::disable();
    check!(came, "the interrupt that was held back came {} times", hits(LOW) - 1);
    Ok(())
}

fn nmi() -> Outcome {
    expect_from(Controller::Apic);
    apic::send_to_self(apic::NMI);
    let came = wait(SPURIOUS_MS, || hits(2) == 1);
    check!(came, "{} NMIs came, with interrupts off, of one", hits(2));
    Ok(())
}

fn through_io_apic() -> Outcome {
    expect_from(Controller::Apic);
    // The PIT is wired to pin 2 (ACPI's usual override), on some machines to pin 0.
    apic::route(2, Some(TIMER));
    flag::enable();
    pit::start(pit::Mode::Periodic, (pit::HZ / 200) as u16);
    let came = wait(SPURIOUS_MS, || hits(TIMER) >= 5);
    apic::route(2, None);
    wait(10, || false);
    let before = hits(TIMER);
    let silent = !wait(30, || hits(TIMER) > before);
    flag::disable();
    pit::stop();
    check!(came, "{before} interrupts came through the IO-APIC");
    check!(silent, "interrupts came through a masked pin");
    Ok(())
}
