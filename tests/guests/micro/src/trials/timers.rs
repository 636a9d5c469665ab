//! Timers: the local APIC's, the 8254, the real-time clock, the ACPI timer.

use x86_64::{instructions::interrupts as flag, registers::model_specific::Msr};

use crate::{
    apic,
    asked::Asked,
    environment::cpuid,
    interrupts::{Controller, expect_from, hits},
    pic, pit, rtc,
    time::{Measured, Stopwatch, steadily, ticks, tsc, tsc_hz, wait},
    trial::{Failed, Outcome, Trial, check, check_strictly, figure, found},
};

pub(super) const TRIALS: &[Trial] = &[
    Trial::new("apic-timer-once-is-once", apic_once),
    Trial::new("apic-timer-periodic-keeps-its-pace", apic_periodic),
    Trial::new("apic-timer-masked-stays-silent", apic_masked),
    Trial::new("apic-timer-divides-by-its-divisor", apic_divide),
    Trial::new("apic-timer-comes-at-the-tsc-deadline", deadline),
    Trial::new("pit-once-is-once", pit_once),
    Trial::new("pit-square-wave-keeps-its-pace", pit_square),
    Trial::new("pit-count-and-status-read-back", pit_read_back),
    Trial::new("pit-gate-drives-channel-2", pit_gate),
    Trial::new("rtc-periodic-keeps-its-pace", rtc_periodic),
    Trial::new("rtc-alarm-comes-with-its-second", rtc_alarm),
    Trial::new("acpi-timer-counts-on", acpi_timer),
];

const VECTOR: u8 = 0x60;
const PATIENCE_MS: u64 = 2000;
const TICK: u8 = pic::FIRST_VECTOR;

/// Starts the local APIC alone; answers the counts of its timer in a millisecond, divided by 16.
fn start() -> Result<u32, Failed> {
    pic::start(0);
    apic::start(false);
    expect_from(Controller::Apic);
    apic::write(apic::INITIAL_COUNT, u32::MAX);
    let mut watch = Stopwatch::start();
    wait(5, || false);
    let passed = u64::from(u32::MAX - apic::read(apic::CURRENT_COUNT));
    let us = watch.microseconds().max(1);
    apic::write(apic::INITIAL_COUNT, 0);
    check!(passed > 0, "the local APIC's timer does not count");
    figure("apic_timer_hz", passed * 1_000_000 / us * 16);
    Ok((passed * 1000 / us).clamp(1, u64::from(u32::MAX)) as u32)
}

fn apic_once(_: &Asked<'_>) -> Outcome {
    let millisecond = start()?;
    flag::enable();
    apic::write(apic::LVT_TIMER, u32::from(VECTOR));
    apic::write(apic::INITIAL_COUNT, millisecond);
    let came = wait(PATIENCE_MS, || hits(VECTOR) > 0);
    let more = wait(20, || hits(VECTOR) > 1);
    flag::disable();
    let left = apic::read(apic::CURRENT_COUNT);
    apic::write(apic::LVT_TIMER, apic::MASKED | u32::from(VECTOR));
    check!(came && !more, "{} interrupts came of a single shot", hits(VECTOR));
    check!(left == 0, "the timer went on counting after its shot: {left}");
    Ok(())
}

fn apic_periodic(_: &Asked<'_>) -> Outcome {
    let millisecond = start()?;
    flag::enable();
    apic::write(apic::LVT_TIMER, apic::PERIODIC | u32::from(VECTOR));
    let mut watch = Stopwatch::start();
    apic::write(apic::INITIAL_COUNT, millisecond * 5);
    let came = wait(PATIENCE_MS, || hits(VECTOR) >= 20);
    let us = watch.microseconds();
    apic::write(apic::LVT_TIMER, apic::MASKED | u32::from(VECTOR));
    apic::write(apic::INITIAL_COUNT, 0);
    flag::disable();
    check!(came, "{} periodic interrupts came in {PATIENCE_MS} ms", hits(VECTOR));
    check!(us > 50_000, "20 interrupts of 5 ms came in {us} us");
    figure("us_per_5_ms_tick", us / hits(VECTOR));
    Ok(())
}

/// What ran out while the entry was masked is lost, not late.
fn apic_masked(_: &Asked<'_>) -> Outcome {
    let millisecond = start()?;
    flag::enable();
    apic::write(apic::LVT_TIMER, apic::MASKED | u32::from(VECTOR));
    apic::write(apic::INITIAL_COUNT, millisecond);
    wait(5, || false);
    let left = apic::read(apic::CURRENT_COUNT);
    apic::write(apic::LVT_TIMER, u32::from(VECTOR));
    let late = wait(10, || hits(VECTOR) > 0);
    flag::disable();
    apic::write(apic::LVT_TIMER, apic::MASKED | u32::from(VECTOR));
    check!(left == 0, "a masked timer does not count down: {left}");
    check!(!late, "a shot that ran out masked came when the entry was opened");
    Ok(())
}

fn apic_divide(_: &Asked<'_>) -> Outcome {
    let by_16 = u64::from(start()?);
    // By 1, 4 and 128.
    for (code, divisor) in [(0b1011, 1), (0b0001, 4), (0b1010, 128_u64)] {
        let measured = steadily(|| {
            apic::write(apic::DIVIDE, code);
            apic::write(apic::INITIAL_COUNT, u32::MAX);
            let mut watch = Stopwatch::start();
            wait(5, || false);
            let found = u64::from(u32::MAX - apic::read(apic::CURRENT_COUNT));
            let expected = by_16 * 16 * watch.microseconds() / 1000 / divisor;
            Measured { found, expected, apart: expected / 4 + 10 }
        });
        let Measured { found, expected, .. } = measured;
        check!(measured.agrees(), "divided by {divisor} it counted {found}, not about {expected}");
    }
    apic::write(apic::INITIAL_COUNT, 0);
    apic::write(apic::DIVIDE, 0b0011);
    Ok(())
}

fn deadline(_: &Asked<'_>) -> Outcome {
    // Leaf 1, ECX bit 24.
    if cpuid(1, 0).ecx & (1 << 24) == 0 {
        found!("TSC deadlines are not offered");
        return Ok(());
    }
    start()?;
    let hz = tsc_hz(5);
    let mut register = Msr::new(0x6e0);
    flag::enable();
    apic::write(apic::LVT_TIMER, apic::TSC_DEADLINE | u32::from(VECTOR));
    let due = tsc() + hz / 200;
    // SAFETY: leaf 1 says that the register is there.
    unsafe { register.write(due) };
    let came = wait(PATIENCE_MS, || hits(VECTOR) > 0);
    let at = tsc();
    // A deadline in the past is due at once; zero is none.
    // SAFETY: as above.
    let left = unsafe { register.read() };
    // SAFETY: as above.
    unsafe { register.write(1) };
    let again = wait(PATIENCE_MS, || hits(VECTOR) > 1);
    // SAFETY: as above.
    unsafe {
        register.write(tsc() + hz / 100);
        register.write(0);
    }
    let disarmed = !wait(30, || hits(VECTOR) > 2);
    flag::disable();
    apic::write(apic::LVT_TIMER, apic::MASKED | u32::from(VECTOR));
    check!(came, "no interrupt came at the TSC deadline");
    check!(at >= due, "the deadline's interrupt came {} ticks early", due - at);
    check!(left == 0, "the deadline reads {left} after it came");
    check!(again, "a deadline in the past gave no interrupt");
    check!(disarmed, "an interrupt came of a deadline that was taken back");
    Ok(())
}

/// Ticks by the PIC, interrupts on.
fn start_pic() {
    apic::start(true);
    pic::start(1);
    expect_from(Controller::Pic);
    flag::enable();
}

fn stop_pic() {
    flag::disable();
    pit::stop();
    pic::start(0);
}

fn pit_once(_: &Asked<'_>) -> Outcome {
    start_pic();
    pit::start(pit::Mode::Once, 2000);
    let came = wait(PATIENCE_MS, || hits(TICK) > 0);
    let more = wait(20, || hits(TICK) > 1);
    stop_pic();
    check!(came && !more, "{} interrupts came of a single shot", hits(TICK));
    Ok(())
}

fn pit_square(_: &Asked<'_>) -> Outcome {
    start_pic();
    let mut watch = Stopwatch::start();
    pit::start(pit::Mode::Square, (pit::HZ / 500) as u16);
    let came = wait(PATIENCE_MS, || hits(TICK) >= 20);
    let us = watch.microseconds();
    stop_pic();
    check!(came, "{} interrupts came of a square wave", hits(TICK));
    check!(us > 20_000, "20 interrupts of 2 ms came in {us} us");
    Ok(())
}

fn pit_read_back(_: &Asked<'_>) -> Outcome {
    pit::start(pit::Mode::Periodic, 0xf000);
    wait(2, || false);
    let (status, first) = pit::read_back();
    wait(2, || false);
    let second = pit::latch();
    pit::stop();
    // Both bytes, mode 2 (bit 3 does not count), binary.
    check!(status & 0x37 == 0x34, "channel 0's status is {status:#x}");
    check!(first <= 0xf000 && second <= 0xf000, "{first:#x} and {second:#x} of 0xf000 ticks are left");
    check!(second != first, "the count stands still at {first:#x}");
    Ok(())
}

fn pit_gate(_: &Asked<'_>) -> Outcome {
    pit::load_channel_2(2000);
    let closed = wait(5, pit::output_2);
    pit::gate_2(true);
    let late = wait(50, pit::output_2);
    pit::gate_2(false);
    // QEMU 7.2's own counts without its gate.
    check_strictly!(!closed, "channel 2's output rose with its gate closed");
    check!(late, "channel 2's output did not rise with its gate open");
    Ok(())
}

fn rtc_periodic(_: &Asked<'_>) -> Outcome {
    rtc::start_periodic();
    let mut watch = Stopwatch::start();
    let mut causes = 0;
    // Each look takes one.
    let came = wait(PATIENCE_MS, || {
        causes += u32::from(rtc::cause() & rtc::CAUSE_PERIODIC != 0);
        causes >= 32
    });
    let us = watch.microseconds();
    rtc::stop();
    check!(came, "{causes} periodic interrupts of the clock came in {PATIENCE_MS} ms");
    check!(us > 25_000, "32 periods of 976 us passed in {us} us");
    Ok(())
}

fn rtc_alarm(_: &Asked<'_>) -> Outcome {
    let before = rtc::read(rtc::SECONDS);
    rtc::start_alarm();
    let came = wait(PATIENCE_MS, || rtc::cause() & rtc::CAUSE_ALARM != 0);
    let after = rtc::read(rtc::SECONDS);
    rtc::stop();
    check!(came, "no alarm came in {PATIENCE_MS} ms");
    check!(before != after, "the alarm came in second {before:#x} that it was set in");
    Ok(())
}

fn acpi_timer(_: &Asked<'_>) -> Outcome {
    let first = ticks();
    let moved = (0..100_000).any(|_| ticks() != first);
    check!(moved, "the ACPI timer stands still at {first:#x}");
    let mut last = ticks();
    for _ in 0..500 {
        let next = ticks();
        check!(
            next.wrapping_sub(last) & 0xff_ffff < 0x80_0000,
            "the ACPI timer went from {last:#x} to {next:#x}"
        );
        last = next;
    }
    let measured = steadily(|| {
        let hz = tsc_hz(5);
        let (first, at) = (ticks(), tsc());
        while tsc() - at < hz / 200 {}
        let found = u64::from(ticks().wrapping_sub(first) & 0xff_ffff);
        let expected = (u128::from(tsc() - at) * 3_579_545 / u128::from(hz.max(1))) as u64;
        Measured { found, expected, apart: expected / 4 + 200 }
    });
    let Measured { found, expected, .. } = measured;
    check!(measured.agrees(), "the ACPI timer counted {found}, by the TSC it is {expected}");
    Ok(())
}
