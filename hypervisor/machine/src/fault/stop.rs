//! Stopping every processor for good.

use core::sync::atomic::{AtomicU32, Ordering};

use x86_64::instructions::{hlt, interrupts};

use crate::{
    apic::local as local_apic,
    console,
    cpu::local::{self, Cpu},
    time::tsc,
};

const NOBODY: u32 = u32::MAX;
/// How long the others get to stop: an NMI is served within microseconds unless the processor is wedged.
const STOP_WAIT_TICKS: u64 = 1 << 30;

/// Which processor reports.
static REPORTER: AtomicU32 = AtomicU32::new(NOBODY);

/// Makes the calling processor the one that reports, stops all others, and takes the console. A second processor that
/// comes here waits to be stopped; a fault inside the report halts at once.
pub(super) fn claim(rip: u64) {
    interrupts::disable();
    let own = u32::from(local::this().number().0);
    match REPORTER.compare_exchange(NOBODY, own, Ordering::AcqRel, Ordering::Acquire) {
        Ok(_) => {}
        Err(reporter) if reporter == own => {
            // SAFETY: the others were stopped or will be; this processor never returns to the report that may hold the lock.
            unsafe { console::seize() };
            console::write(b"\ngodwit fault: another fault while reporting the first\ngodwit halted\n");
            halt()
        }
        Err(_) => {
            local::this().set_stopped(rip);
            halt()
        }
    }
    for cpu in others() {
        local_apic::send_nmi(cpu.apic_id());
    }
    let start = tsc::read();
    while !others().all(|cpu| cpu.stopped_at().is_some()) && tsc::read().wrapping_sub(start) < STOP_WAIT_TICKS
    {
        core::hint::spin_loop();
    }
    // SAFETY: the others stopped for good, or did not answer an NMI for long and are named so in the report; this
    // processor never returns from its report.
    unsafe { console::seize() };
}

/// Stops here when another processor is reporting.
pub(super) fn park_if_reporting(rip: u64) {
    let reporter = REPORTER.load(Ordering::Acquire);
    if reporter != NOBODY && reporter != u32::from(local::this().number().0) {
        local::this().set_stopped(rip);
        halt()
    }
}

/// Every processor but this one that was running.
pub(super) fn others() -> impl Iterator<Item = &'static Cpu> {
    let own = local::this().number();
    local::all().iter().filter(move |cpu| cpu.number() != own && cpu.is_alive())
}

/// Halts the calling processor for good.
pub(super) fn halt() -> ! {
    loop {
        interrupts::disable();
        hlt();
    }
}
