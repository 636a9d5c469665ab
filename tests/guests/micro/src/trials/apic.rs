//! Local APIC and IO-APIC: who goes first, what holds back, what ends an interrupt.

use core::{
    arch::asm,
    hint::spin_loop,
    sync::atomic::{AtomicU64, Ordering},
};

use x86_64::instructions::{interrupts as flag, port::Port};

use crate::{
    apic,
    asked::Asked,
    console::{self, COM1},
    environment,
    interrupts::{Controller, Frame, expect_from, handle_with, hits},
    pic, pit,
    time::wait,
    trial::{Outcome, Trial, check, check_strictly, found},
};

pub(super) const TRIALS: &[Trial] = &[
    Trial::new("apic-self-ipi-arrives-once", self_ipi),
    Trial::new("apic-task-priority-holds-lower-back", task_priority),
    Trial::new("apic-cr8-is-the-task-priority", cr8),
    Trial::new("apic-higher-interrupts-come-first", order),
    Trial::new("apic-service-holds-lower-back-until-eoi", service),
    Trial::new("apic-eoi-ends-the-highest-in-service", ends_highest),
    Trial::new("apic-disabled-masks-its-vectors", disabled),
    Trial::new("apic-illegal-vector-is-an-error", illegal_vector),
    Trial::new("io-apic-passes-the-timers-ticks", ticks),
    Trial::new("io-apic-pins-keep-their-entries", entries),
    Trial::new("io-apic-level-pin-waits-for-eoi", level),
    Trial::new("io-apic-masked-level-comes-when-unmasked", masked_level),
];

const PATIENCE_MS: u64 = 2000;
const TIMER: u8 = 0x60;
const LOW: u8 = 0x35;
const HIGH: u8 = 0x95;

fn start() {
    pic::start(0);
    apic::start(false);
    expect_from(Controller::Apic);
}

fn self_ipi(_: &Asked<'_>) -> Outcome {
    start();
    for round in 1..=50 {
        apic::send_to_self(u32::from(LOW));
        check!(apic::state_of(LOW) == (true, false), "round {round}: it is not requested");
        // Twice requested before it is taken is once.
        apic::send_to_self(u32::from(LOW));
        flag::enable();
        let came = wait(PATIENCE_MS, || hits(LOW) >= round);
        flag::disable();
        check!(came && hits(LOW) == round, "{} interrupts came in round {round}", hits(LOW));
        check!(apic::state_of(LOW) == (false, false), "round {round}: it has not ended");
    }
    Ok(())
}

fn task_priority(_: &Asked<'_>) -> Outcome {
    start();
    flag::enable();
    // 0x40 holds back what is below 0x50.
    apic::write(apic::TASK_PRIORITY, 0x40);
    apic::send_to_self(u32::from(LOW));
    apic::send_to_self(u32::from(HIGH));
    let high = wait(PATIENCE_MS, || hits(HIGH) == 1);
    let held = hits(LOW) == 0;
    apic::write(apic::TASK_PRIORITY, 0);
    let low = wait(PATIENCE_MS, || hits(LOW) == 1);
    flag::disable();
    check!(high && held && low, "high came {high}, low was held {held}, came later {low}");
    Ok(())
}

fn cr8(_: &Asked<'_>) -> Outcome {
    start();
    flag::enable();
    let seen: u64;
    // SAFETY: CR8 only holds interrupts back.
    unsafe { asm!("mov cr8, {0}", "mov {1}, cr8", in(reg) 4u64, out(reg) seen) };
    let in_memory = apic::read(apic::TASK_PRIORITY);
    apic::send_to_self(u32::from(LOW));
    let held = !wait(5, || hits(LOW) > 0);
    // SAFETY: as above.
    unsafe { asm!("mov cr8, {0}", in(reg) 0u64) };
    // Nothing here gives the host a reason to look: it has to be told that CR8 fell.
    let low = (0..2_000_000).any(|_| {
        spin_loop();
        hits(LOW) == 1
    });
    flag::disable();
    check!(
        seen == 4 && in_memory == 0x40,
        "CR8 is {seen} and the task priority {in_memory:#x} after CR8 = 4"
    );
    check!(held && low, "low was held {held}, came at once {low}");
    apic::write(apic::TASK_PRIORITY, 0x70);
    let seen: u64;
    // SAFETY: as above.
    unsafe { asm!("mov {}, cr8", out(reg) seen) };
    apic::write(apic::TASK_PRIORITY, 0);
    check!(seen == 7, "CR8 is {seen} after the task priority became 0x70");
    Ok(())
}

/// The vectors of interrupts in the order in which they came, the last in the lowest byte.
static ORDER: AtomicU64 = AtomicU64::new(0);
fn note(frame: &mut Frame) {
    let before = ORDER.load(Ordering::Relaxed);
    ORDER.store(before << 8 | frame.vector, Ordering::Relaxed);
}

fn order(_: &Asked<'_>) -> Outcome {
    start();
    ORDER.store(0, Ordering::Relaxed);
    handle_with(Some(note));
    for vector in [LOW, HIGH, 0x61, 0x62, 0x31] {
        apic::send_to_self(u32::from(vector));
    }
    flag::enable();
    let came = wait(PATIENCE_MS, || hits(0x31) == 1);
    flag::disable();
    handle_with(None);
    let found = ORDER.load(Ordering::Relaxed);
    check!(came && found == 0x95_6261_3531, "interrupts came in the order {found:#x}");
    Ok(())
}

/// Nobody says that the interrupt ended: the same and lower ones wait.
fn service(_: &Asked<'_>) -> Outcome {
    start();
    expect_from(Controller::None);
    flag::enable();
    apic::send_to_self(u32::from(TIMER));
    let came = wait(PATIENCE_MS, || hits(TIMER) == 1);
    let served = apic::state_of(TIMER);
    apic::send_to_self(u32::from(TIMER));
    apic::send_to_self(u32::from(LOW));
    let early = wait(5, || hits(TIMER) > 1 || hits(LOW) > 0);
    // A higher one does not.
    apic::send_to_self(u32::from(HIGH));
    let above = wait(PATIENCE_MS, || hits(HIGH) == 1);
    apic::end_of_interrupt();
    let still = (apic::state_of(HIGH).1, apic::state_of(TIMER).1);
    apic::end_of_interrupt();
    let again = wait(PATIENCE_MS, || hits(TIMER) == 2);
    let low_waits = hits(LOW) == 0;
    apic::end_of_interrupt();
    let low = wait(PATIENCE_MS, || hits(LOW) == 1);
    apic::end_of_interrupt();
    flag::disable();
    check!(came && served == (false, true), "came {came}, requested and in service {served:?}");
    check!(!early && above, "lower ones came early {early}, a higher one came {above}");
    check!(still == (false, true), "EOI ended the wrong one: in service {still:?}");
    check!(again && low_waits && low, "after EOI: again {again}, low waited {low_waits} and came {low}");
    Ok(())
}

/// EOI ends the highest in service, whoever says it.
fn ends_highest(_: &Asked<'_>) -> Outcome {
    start();
    expect_from(Controller::None);
    flag::enable();
    for vector in [LOW, TIMER, HIGH] {
        apic::send_to_self(u32::from(vector));
        let came = wait(PATIENCE_MS, || hits(vector) == 1);
        check!(came, "vector {vector:#x} did not come above lower ones in service");
    }
    flag::disable();
    for (ended, left) in [(HIGH, TIMER), (TIMER, LOW)] {
        apic::end_of_interrupt();
        let (gone, stays) = (!apic::state_of(ended).1, apic::state_of(left).1);
        check!(gone && stays, "EOI of {ended:#x}: it ended {gone}, {left:#x} is in service {stays}");
    }
    apic::end_of_interrupt();
    check!(!apic::state_of(LOW).1, "the last one is in service after three EOIs");
    // One too many does nothing.
    apic::end_of_interrupt();
    Ok(())
}

/// Software disable (SDM vol. 3, 11.4.7.2): local vectors are masked and stay so until it is enabled again. QEMU 7.2's own
/// stay as they are.
fn disabled(_: &Asked<'_>) -> Outcome {
    start();
    apic::write(apic::LVT_TIMER, u32::from(TIMER));
    apic::write(apic::SPURIOUS, 0xff);
    let masked = apic::read(apic::LVT_TIMER) & apic::MASKED != 0;
    apic::write(apic::LVT_TIMER, u32::from(TIMER));
    let stays = apic::read(apic::LVT_TIMER) & apic::MASKED != 0;
    flag::enable();
    apic::send_to_self(u32::from(LOW));
    let came = wait(5, || hits(LOW) > 0);
    flag::disable();
    apic::start(false);
    check_strictly!(masked, "disabling the local APIC did not mask its timer");
    check_strictly!(stays, "a disabled local APIC's timer was unmasked");
    check_strictly!(!came, "a disabled local APIC took an interrupt");
    Ok(())
}

/// Vectors below 16 (SDM vol. 3, 11.5.3): told in the error status, and by the error's own interrupt.
fn illegal_vector(_: &Asked<'_>) -> Outcome {
    if !environment::get().is_strict() {
        // QEMU 7.2 delivers it.
        found!("a vector below 16 is not tried on plain emulators");
        return Ok(());
    }
    start();
    apic::write(apic::LVT_ERROR, u32::from(TIMER));
    apic::write(apic::ERROR_STATUS, 0);
    flag::enable();
    apic::send_to_self(5);
    let came = wait(20, || hits(TIMER) > 0);
    flag::disable();
    apic::write(apic::ERROR_STATUS, 0);
    let status = apic::read(apic::ERROR_STATUS);
    apic::write(apic::LVT_ERROR, apic::MASKED);
    check!(status & 0x20 != 0, "the error status is {status:#x} after vector 5 was sent");
    check!(came, "no interrupt came of the error");
    check!(hits(5) == 0, "vector 5 was delivered");
    Ok(())
}

fn ticks(_: &Asked<'_>) -> Outcome {
    start();
    // The PIT is wired to pin 2 (ACPI's usual override).
    apic::route(2, Some(TIMER));
    flag::enable();
    pit::start(pit::Mode::Periodic, (pit::HZ / 200) as u16);
    let came = wait(PATIENCE_MS, || hits(TIMER) >= 5);
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

fn entries(_: &Asked<'_>) -> Outcome {
    let pins = (apic::io_read(1) >> 16 & 0xff) + 1;
    check!(pins >= 24, "the IO-APIC has {pins} pins");
    for pin in 0..pins {
        apic::io_write(0x10 + pin * 2 + 1, 0);
        apic::io_write(0x10 + pin * 2, apic::MASKED | (0x40 + pin));
    }
    for pin in 0..pins {
        let found = apic::pin(pin);
        check!(found == apic::MASKED | (0x40 + pin), "pin {pin} of the IO-APIC reads {found:#x}");
    }
    Ok(())
}

/// COM1's pin, and what raises its line: the empty transmitter, until its cause is read.
const SERIAL_PIN: u32 = 4;

fn raise_line(raised: bool) {
    // SAFETY: COM1, which this trial has for itself; nothing is sent.
    unsafe {
        Port::<u8>::new(COM1 + 4).write(0b1011);
        Port::<u8>::new(COM1 + 1).write(if raised { 2 } else { 0 });
    }
}

fn level(_: &Asked<'_>) -> Outcome {
    start();
    expect_from(Controller::None);
    apic::route_level(SERIAL_PIN, TIMER);
    raise_line(true);
    flag::enable();
    let first = wait(PATIENCE_MS, || hits(TIMER) == 1);
    let remote = apic::pin(SERIAL_PIN) & apic::REMOTE_IRR != 0;
    let early = wait(5, || hits(TIMER) > 1);
    // The line is still up when the interrupt ends: it comes again.
    apic::end_of_interrupt();
    let second = wait(PATIENCE_MS, || hits(TIMER) == 2);
    raise_line(false);
    apic::end_of_interrupt();
    let third = wait(5, || hits(TIMER) > 2);
    flag::disable();
    let ended = apic::pin(SERIAL_PIN) & apic::REMOTE_IRR == 0;
    apic::route(SERIAL_PIN, None);
    console::start();
    check!(first && remote, "came {first}, remote IRR {remote}");
    check!(!early, "a level interrupt came again before its end");
    check!(second, "a line that was still up gave no second interrupt");
    check!(!third && ended, "after the line fell: another came {third}, remote IRR is clear {ended}");
    Ok(())
}

fn masked_level(_: &Asked<'_>) -> Outcome {
    start();
    apic::route_level(SERIAL_PIN, TIMER);
    apic::io_write(0x10 + SERIAL_PIN * 2, apic::MASKED | apic::LEVEL | u32::from(TIMER));
    raise_line(true);
    flag::enable();
    let early = wait(5, || hits(TIMER) > 0);
    expect_from(Controller::None);
    apic::route_level(SERIAL_PIN, TIMER);
    let came = wait(PATIENCE_MS, || hits(TIMER) == 1);
    raise_line(false);
    apic::end_of_interrupt();
    flag::disable();
    apic::route(SERIAL_PIN, None);
    console::start();
    check!(!early && came, "masked it came {early}, unmasked {came}");
    Ok(())
}
