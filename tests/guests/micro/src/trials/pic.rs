//! The 8259A pair: the PIT's ticks through it, masks, the cascade.

use x86_64::instructions::interrupts as flag;

use crate::{
    apic,
    asked::Asked,
    interrupts::{Controller, expect_from, hits},
    pic, pit, rtc,
    time::{Stopwatch, wait},
    trial::{Outcome, Trial, check, figure},
};

pub(super) const TRIALS: &[Trial] = &[
    Trial::new("pic-holds-ticks-while-interrupts-are-off", off),
    Trial::new("pic-passes-the-timers-ticks", ticks),
    Trial::new("pic-mask-holds-a-tick-back", mask),
    Trial::new("pic-cascade-passes-the-clocks-interrupt", cascade),
    Trial::new("pic-in-service-holds-back-until-eoi", in_service),
];

const PATIENCE_MS: u64 = 2000;
const TICK: u8 = pic::FIRST_VECTOR;

fn start(enabled: u16) {
    apic::start(true);
    pic::start(enabled);
    expect_from(Controller::Pic);
}

fn stop() {
    flag::disable();
    pit::stop();
    pic::start(0);
}

fn off(_: &Asked<'_>) -> Outcome {
    start(1);
    pit::start(pit::Mode::Periodic, (pit::HZ / 1000) as u16);
    let early = wait(20, || hits(TICK) > 0);
    flag::enable();
    let came = wait(PATIENCE_MS, || hits(TICK) > 0);
    stop();
    check!(!early && came, "with interrupts off one came: {early}; with interrupts on: {came}");
    Ok(())
}

fn ticks(_: &Asked<'_>) -> Outcome {
    start(1);
    flag::enable();
    // 200 Hz.
    pit::start(pit::Mode::Periodic, (pit::HZ / 200) as u16);
    let came = wait(PATIENCE_MS, || hits(TICK) >= 2);
    let mut watch = Stopwatch::start();
    let (first, all) = (hits(TICK), wait(PATIENCE_MS, || hits(TICK) >= 12));
    let us = watch.microseconds();
    stop();
    check!(came && all, "{} timer interrupts came in {PATIENCE_MS} ms", hits(TICK));
    figure("us_per_5_ms_tick", us / (hits(TICK) - first).max(1));
    Ok(())
}

fn mask(_: &Asked<'_>) -> Outcome {
    start(0);
    pit::start(pit::Mode::Periodic, (pit::HZ / 1000) as u16);
    flag::enable();
    let early = wait(20, || hits(TICK) > 0);
    pic::start(1);
    let came = wait(PATIENCE_MS, || hits(TICK) > 0);
    stop();
    check!(!early && came, "masked: {early}, unmasked: {came}");
    Ok(())
}

/// The real-time clock is the slave's first input, the slave the master's third.
fn cascade(_: &Asked<'_>) -> Outcome {
    const CLOCK: u8 = pic::FIRST_VECTOR + 8;
    start(1 << 8);
    flag::enable();
    rtc::start_periodic();
    // Each has to be seen at the clock as well, or no other comes.
    let early = wait(20, || {
        rtc::cause();
        hits(CLOCK) > 0
    });
    // With the cascade's input open.
    pic::start(1 << 8 | 1 << 2);
    let came = wait(PATIENCE_MS, || {
        rtc::cause();
        hits(CLOCK) >= 5
    });
    rtc::stop();
    stop();
    check!(!early && came, "with the cascade masked: {early}, open: {} interrupts", hits(CLOCK));
    Ok(())
}

/// Without an end of interrupt the same and lower ones wait.
fn in_service(_: &Asked<'_>) -> Outcome {
    start(1);
    expect_from(Controller::None);
    flag::enable();
    pit::start(pit::Mode::Periodic, (pit::HZ / 1000) as u16);
    let came = wait(PATIENCE_MS, || hits(TICK) > 0);
    let more = wait(20, || hits(TICK) > 1);
    let served = pic::in_service(false);
    pic::end_of_interrupt(TICK);
    let next = wait(PATIENCE_MS, || hits(TICK) > 1);
    pic::end_of_interrupt(TICK);
    stop();
    check!(came && !more && next, "came {came}, again without EOI {more}, after EOI {next}");
    check!(served == 1, "the master has {served:#x} in service");
    Ok(())
}
