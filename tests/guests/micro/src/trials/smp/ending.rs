//! Ends that another CPU than the first brings about.

use core::arch::asm;

use crate::{
    acpi,
    console::println,
    cpus, interrupts,
    time::wait,
    trial::{Outcome, Trial, failed, name},
};

pub(crate) const TRIALS: &[Trial] = &[
    Trial::endless("smp-power-off-by-another-cpu", |_| ends_by(power_off)).of_several_cpus(),
    Trial::endless("smp-triple-fault-of-another-cpu", |_| ends_by(triple_fault)).of_several_cpus(),
];

fn ends_by(job: cpus::Job) -> Outcome {
    cpus::with_all(|_| {
        println!("micro {} begins", name());
        cpus::tell(1, job);
        wait(cpus::PATIENCE_MS, || false);
        Err(failed(format_args!("the machine goes on")))
    })
}

fn power_off(_: usize) {
    acpi::power_off();
}

fn triple_fault(_: usize) {
    interrupts::load_idt(0);
    // SAFETY: the machine shuts down, which is the point.
    unsafe { asm!("ud2", options(noreturn)) };
}
