//! Devices whose interrupts the IO-APIC leads to other CPUs, and each CPU's own timer.

use core::sync::atomic::{AtomicUsize, Ordering};

use x86_64::instructions::{
    interrupts::{self as flag, enable_and_hlt},
    port::Port,
};

use crate::{
    apic,
    asked::Asked,
    console::{self, COM1},
    cpus::{self, Cpus, MOST, PATIENCE_MS},
    interrupts::{Controller, expect_from, hits_on},
    pit,
    time::wait,
    trial::{Outcome, Trial, check},
};

pub(crate) const TRIALS: &[Trial] = &[
    Trial::new("smp-io-apic-leads-the-timer-to-the-cpu-it-names", timer_physical).of_several_cpus(),
    Trial::new("smp-io-apic-leads-the-timer-to-the-set-it-names", timer_logical).of_several_cpus(),
    Trial::new("smp-io-apic-leads-com1-to-another-cpu", serial).of_several_cpus(),
    Trial::new("smp-apic-timers-fire-on-their-own-cpu", timers).of_several_cpus(),
    Trial::new("smp-apic-timer-wakes-its-own-halted-cpu", halted).of_several_cpus(),
];

const VECTOR: u8 = 0x53;
/// Vectors of the CPUs' own timers, by their places.
const OWN: u8 = 0x70;
/// The first vector of the PIT's ticks.
const TICKS: u8 = 0x80;
/// The PIT's pin (ACPI's usual override) and COM1's.
const TIMER_PIN: u32 = 2;
const SERIAL_PIN: u32 = 4;

static READY: AtomicUsize = AtomicUsize::new(0);

fn listen(cpu: usize) {
    apic::join(cpu);
    flag::enable();
    READY.fetch_add(1, Ordering::SeqCst);
    while !cpus::is_enough() {}
}

fn while_listening(trial: impl FnOnce(Cpus) -> Outcome) -> Outcome {
    cpus::with_all(|cpus| {
        expect_from(Controller::Apic);
        READY.store(0, Ordering::SeqCst);
        apic::join(0);
        cpus.all_do(listen);
        check!(wait(PATIENCE_MS, || READY.load(Ordering::SeqCst) == cpus.count - 1), "a CPU is not ready");
        flag::enable();
        let outcome = trial(cpus);
        flag::disable();
        check!(cpus.come_to_an_end(), "a CPU does not come to an end");
        outcome
    })
}

/// Leads the PIT's ticks by `entry` to `to`: they come to the CPUs of `set`, and to no others. Each call has a vector of its own: a
/// CPU that waits for its turn hears of its last tick late.
fn ticks_to(cpus: Cpus, to: u32, entry: u32, vector: u8, set: u32) -> Outcome {
    apic::route_to(TIMER_PIN, to, entry | u32::from(vector));
    pit::start(pit::Mode::Periodic, (pit::HZ / 200) as u16);
    let is_in = |cpu: usize| set >> cpu & 1 != 0;
    let came = wait(PATIENCE_MS, || cpus.all().all(|cpu| !is_in(cpu) || hits_on(cpu, vector) >= 5));
    pit::stop();
    apic::route(TIMER_PIN, None);
    // What is on its way still comes.
    wait(5, || false);
    let hits = cpus.hits(vector);
    let elsewhere = cpus.all().any(|cpu| !is_in(cpu) && hits[cpu] != 0);
    check!(came && !elsewhere, "led to {to:#x} by {entry:#x}, to CPUs {set:#b} only, came {hits:?}");
    Ok(())
}

fn timer_physical(_: &Asked<'_>) -> Outcome {
    while_listening(|cpus| {
        cpus.all().rev().try_for_each(|cpu| ticks_to(cpus, cpus::id(cpu), 0, TICKS + cpu as u8, 1 << cpu))
    })
}

fn timer_logical(_: &Asked<'_>) -> Outcome {
    while_listening(|cpus| {
        let everybody = (1 << cpus.count.min(8)) - 1;
        let mut sets = (TICKS..).zip([0b10, 0b11, everybody, everybody & !1]);
        sets.try_for_each(|(vector, set)| ticks_to(cpus, set, apic::LOGICAL, vector, set))
    })
}

fn serial(_: &Asked<'_>) -> Outcome {
    while_listening(|cpus| {
        for cpu in cpus.others() {
            apic::route_to(SERIAL_PIN, cpus::id(cpu), VECTOR.into());
            let before = hits_on(cpu, VECTOR);
            // SAFETY: COM1's interrupts are led to a CPU that counts them; the line stays as it is. Switching on the interrupt of an
            // empty transmitter is an edge (16550D data sheet, 8.6).
            unsafe {
                Port::<u8>::new(COM1 + 4).write(0x0b);
                Port::<u8>::new(COM1 + 1).write(0);
                Port::<u8>::new(COM1 + 1).write(2);
            }
            let came = wait(PATIENCE_MS, || hits_on(cpu, VECTOR) > before);
            // SAFETY: as above.
            unsafe { Port::<u8>::new(COM1 + 1).write(0) };
            apic::route(SERIAL_PIN, None);
            console::start();
            check!(came, "led to CPU {cpu}, COM1's interrupts came {:?}", cpus.hits(VECTOR));
            check!(hits_on(0, VECTOR) == 0, "COM1's interrupts came to the CPU that booted");
        }
        Ok(())
    })
}

fn start_timer(cpu: usize, periodic: bool, count: u32) {
    apic::write(apic::LVT_TIMER, if periodic { apic::PERIODIC } else { 0 } | (u32::from(OWN) + cpu as u32));
    apic::write(apic::INITIAL_COUNT, count);
}

fn stop_timer() {
    apic::write(apic::INITIAL_COUNT, 0);
    apic::write(apic::LVT_TIMER, apic::MASKED | u32::from(OWN));
}

fn own_timer(cpu: usize) {
    flag::enable();
    // Each at a pace of its own.
    start_timer(cpu, true, 100_000 + 20_000 * cpu as u32);
    wait(PATIENCE_MS, || hits_on(cpu, OWN + cpu as u8) >= 10);
    stop_timer();
}

fn timers(_: &Asked<'_>) -> Outcome {
    cpus::with_all(|cpus| {
        expect_from(Controller::Apic);
        cpus.all_do(own_timer);
        own_timer(0);
        check!(cpus.are_done(), "a CPU's timer does not come to an end");
        for timer in cpus.all() {
            let hits = cpus.hits(OWN + timer as u8);
            let elsewhere = (0..MOST).any(|cpu| cpu != timer && hits[cpu] != 0);
            check!(hits[timer] >= 10 && !elsewhere, "the timer of CPU {timer} came {hits:?}");
        }
        Ok(())
    })
}

fn halt_to_timer(cpu: usize) {
    for _ in 0..10 {
        start_timer(cpu, false, 100_000);
        enable_and_hlt();
        flag::disable();
    }
    stop_timer();
}

fn halted(_: &Asked<'_>) -> Outcome {
    cpus::with_all(|cpus| {
        expect_from(Controller::Apic);
        cpus.all_do(halt_to_timer);
        check!(cpus.are_done(), "a CPU was not woken by its timer");
        for cpu in cpus.others() {
            let hits = cpus.hits(OWN + cpu as u8);
            check!(hits[cpu] == 10, "ten timers of CPU {cpu} came {hits:?}");
        }
        Ok(())
    })
}
