//! Clocks that never go back: the TSC, and KVM's paravirtual clock (Linux `Documentation/virt/kvm/x86/msr.rst`).

use core::sync::atomic::{Ordering, fence};

use x86_64::{
    instructions::interrupts::{disable, enable_and_hlt},
    registers::model_specific::Msr,
};

use super::msr::{is_gp, try_write};
use crate::{
    apic,
    asked::Asked,
    environment::{self, cpuid},
    faults::Shown,
    interrupts::{Controller, expect_from},
    pic, pit,
    single::Single,
    time::{Measured, Stopwatch, steadily, tsc, tsc_hz, wait},
    trial::{Outcome, Trial, check, found},
};

const TIME_STAMP: u32 = 0x10;
const WALL_CLOCK: u32 = 0x4b56_4d00;
pub(super) const SYSTEM_TIME: u32 = 0x4b56_4d01;
/// Leaf 0x40000001, EAX: the two registers above exist.
const CLOCK_SOURCE_2: u32 = 1 << 3;
/// 2020-01-01, in seconds since 1970: the wall clock is at least as late.
const YEAR_2020_S: u32 = 1_577_836_800;

static PAGE: Single<[u64; 512]> = Single::new([0; 512]);

/// `pvclock_vcpu_time_info`.
#[derive(Clone, Copy)]
#[repr(C)]
struct TimeInfo {
    version: u32,
    pad: u32,
    tsc_timestamp: u64,
    system_time_ns: u64,
    multiplier: u32,
    shift: i8,
    flags: u8,
    pad2: [u8; 2],
}

pub(super) const TRIALS: &[Trial] = &[
    Trial::new("wall-clock-page-is-whole", wall_clock),
    Trial::new("kvmclock-never-goes-back-over-exits", |asked| with_clock(|| never_back(asked))),
    Trial::new("kvmclock-never-goes-back-over-halts", |_| with_clock(over_halts)),
    Trial::new("kvmclock-keeps-the-acpi-timers-pace", |_| with_clock(pace)),
    Trial::new("kvmclock-goes-on-over-a-tsc-write", |_| with_clock(over_tsc_write)),
    Trial::new("kvmclock-page-outside-ram-gives-gp", outside_ram),
    Trial::new("tsc-never-goes-back-over-exits", tsc_over_exits),
    Trial::new("tsc-counts-on-through-halts", tsc_over_halts),
];

/// Whether KVM's clock is offered; says so where it is not.
pub(super) fn is_offered() -> bool {
    let offered = environment::get().is_strict() && cpuid(0x4000_0001, 0).eax & CLOCK_SOURCE_2 != 0;
    if !offered {
        found!("KVM's clock is not offered");
    }
    offered
}

fn with_clock(trial: impl FnOnce() -> Outcome) -> Outcome {
    if !is_offered() {
        return Ok(());
    }
    // SAFETY: leaf 0x40000001 offers the register; the page is this trial's.
    unsafe { Msr::new(SYSTEM_TIME).write(PAGE.address() | 1) };
    let result = trial();
    // SAFETY: as above; bit 0 clear switches it off before the page is used for anything else.
    unsafe { Msr::new(SYSTEM_TIME).write(0) };
    result
}

fn wall_clock(_: &Asked<'_>) -> Outcome {
    if !is_offered() {
        return Ok(());
    }
    let at = PAGE.get().cast::<u32>();
    // SAFETY: leaf 0x40000001 offers the register; the page is this trial's.
    let [version, seconds, nanoseconds] = unsafe {
        Msr::new(WALL_CLOCK).write(PAGE.address());
        [at.read_volatile(), at.add(1).read_volatile(), at.add(2).read_volatile()]
    };
    check!(version % 2 == 0, "the wall clock is left in the middle of an update, version {version}");
    check!(nanoseconds < 1_000_000_000, "the wall clock has {nanoseconds} ns in a second");
    check!(seconds > YEAR_2020_S, "the guest started {seconds} s after 1970");
    Ok(())
}

/// The host writes the page: it must not be led anywhere but to this guest's RAM.
fn outside_ram(_: &Asked<'_>) -> Outcome {
    if !is_offered() {
        return Ok(());
    }
    let end = environment::get().ram().iter().map(|range| range.end).max().unwrap_or(0);
    for at in [end, end - 4 + 0x1000, 0xfee0_0000, 0xfec0_0000, 1 << 45, !3, PAGE.address() + 2] {
        for (register, value) in [(SYSTEM_TIME, at | 1), (WALL_CLOCK, at)] {
            let caught = try_write(register, value);
            check!(is_gp(caught), "writing {value:#x} to MSR {register:#x}: {}", Shown(caught));
        }
    }
    Ok(())
}

fn never_back(asked: &Asked<'_>) -> Outcome {
    let mut last = now()?;
    for _ in 0..asked.number("exits", 2000) {
        cpuid(0, 0);
        let next = now()?;
        check!(next >= last, "the clock went from {last} ns back to {next} ns");
        last = next;
    }
    Ok(())
}

/// Halts until the next tick of the PIT, some times; `look` comes in between.
fn halts(mut look: impl FnMut() -> Outcome) -> Outcome {
    apic::start(true);
    pic::start(1);
    expect_from(Controller::Pic);
    pit::start(pit::Mode::Periodic, (pit::HZ / 500) as u16);
    let result = (0..20).try_for_each(|_| {
        enable_and_hlt();
        disable();
        look()
    });
    pit::stop();
    pic::start(0);
    result
}

fn over_halts() -> Outcome {
    let mut last = now()?;
    let mut result = Ok(());
    let measured = steadily(|| {
        let mut watch = Stopwatch::start();
        let start = last;
        let halted = halts(|| {
            let next = now()?;
            check!(next >= last, "the clock went from {last} ns back to {next} ns over a halt");
            last = next;
            Ok(())
        });
        if halted.is_err() {
            result = halted;
        }
        let expected = watch.microseconds();
        Measured { found: (last - start) / 1000, expected, apart: expected / 10 + 2000 }
    });
    result?;
    let Measured { found, expected, .. } = measured;
    check!(measured.agrees(), "over 20 halts the clock counted {found} us of {expected} us");
    Ok(())
}

/// What the TSC counts from is the guest's own affair: its clock does not jump with it.
fn over_tsc_write() -> Outcome {
    let mut last = now()?;
    for ahead in [1_i64 << 40, -(1 << 40), 1 << 20, -(1 << 20)] {
        // SAFETY: the TSC's register exists on every x86-64 processor; in the end the counter is about where it was.
        unsafe { Msr::new(TIME_STAMP).write(tsc().wrapping_add_signed(ahead)) };
        let next = now()?;
        check!(
            next >= last && next - last < 1_000_000_000,
            "as the TSC moved by {ahead} the clock went from {last} ns to {next} ns"
        );
        last = next;
    }
    Ok(())
}

fn pace() -> Outcome {
    now()?;
    let measured = steadily(|| {
        let mut watch = Stopwatch::start();
        let start = now().unwrap_or(0);
        wait(20, || false);
        let found = (now().unwrap_or(0) - start) / 1000;
        let expected = watch.microseconds();
        Measured { found, expected, apart: expected / 20 }
    });
    let Measured { found, expected, .. } = measured;
    check!(measured.agrees(), "the clock counted {found} us in {expected} us");
    Ok(())
}

fn tsc_over_exits(asked: &Asked<'_>) -> Outcome {
    let mut last = tsc();
    for round in 0..asked.number("exits", 2000) {
        cpuid(0, 0);
        let next = tsc();
        check!(next > last, "round {round}: the TSC went from {last} to {next}");
        last = next;
    }
    Ok(())
}

fn tsc_over_halts(_: &Asked<'_>) -> Outcome {
    let hz = tsc_hz(10);
    let mut last = tsc();
    let mut back = None;
    let measured = steadily(|| {
        let mut watch = Stopwatch::start();
        let start = tsc();
        halts(|| {
            let next = tsc();
            back = back.or((next <= last).then_some((last, next)));
            last = next;
            Ok(())
        })
        .ok();
        let expected = watch.microseconds();
        let found = (u128::from(last - start) * 1_000_000 / u128::from(hz.max(1))) as u64;
        Measured { found, expected, apart: expected / 10 + 2000 }
    });
    check!(back.is_none(), "the TSC went back over a halt: {back:?}");
    let Measured { found, expected, .. } = measured;
    check!(measured.agrees(), "over 20 halts the TSC counted {found} us of {expected} us");
    Ok(())
}

/// Nanoseconds by the page.
fn now() -> Result<u64, crate::trial::Failed> {
    now_by(&PAGE).ok_or_else(|| crate::trial::failed(format_args!("the clock's page is never complete")))
}

/// Nanoseconds by the page of the CPU that asks. The version is odd while the host writes it, and another one afterwards.
pub(super) fn now_by(page: &Single<[u64; 512]>) -> Option<u64> {
    for _ in 0..1000 {
        let at = page.get().cast::<TimeInfo>();
        // SAFETY: the page is a trial's; a version that stays and is even says that it was read whole.
        let info = unsafe { at.read_volatile() };
        fence(Ordering::SeqCst);
        // SAFETY: as above.
        let version = unsafe { (&raw const (*at).version).read_volatile() };
        if info.version % 2 == 0 && info.version == version && info.multiplier != 0 {
            let ticks = tsc().wrapping_sub(info.tsc_timestamp);
            let shifted = if info.shift < 0 { ticks >> -info.shift } else { ticks << info.shift };
            let ns = ((u128::from(shifted) * u128::from(info.multiplier)) >> 32) as u64;
            return Some(info.system_time_ns.wrapping_add(ns));
        }
    }
    None
}
