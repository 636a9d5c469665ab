//! The trials, group by group.

mod addressing;
mod apic;
mod clock;
mod count;
mod cpuid;
mod debug;
mod delivery;
mod ending;
mod exceptions;
mod garbage;
mod halt;
mod heartbeat;
mod held_back;
mod isolation;
mod levels;
mod memory;
mod memory_types;
mod mmio;
mod modes;
mod msr;
mod pages;
mod pic;
mod port_strings;
mod ports;
mod registers;
mod serial;
mod smp;
mod timers;
mod writes;
mod x2apic;

use crate::{asked::Asked, console::println, environment, trial::Trial};

/// In an order in which a failure says most.
const GROUPS: &[&[Trial]] = &[
    cpuid::TRIALS,
    msr::TRIALS,
    exceptions::TRIALS,
    delivery::TRIALS,
    levels::TRIALS,
    debug::TRIALS,
    pages::TRIALS,
    modes::TRIALS,
    memory_types::TRIALS,
    ports::TRIALS,
    port_strings::TRIALS,
    mmio::TRIALS,
    addressing::TRIALS,
    pic::TRIALS,
    apic::TRIALS,
    x2apic::TRIALS,
    held_back::TRIALS,
    timers::TRIALS,
    halt::TRIALS,
    serial::TRIALS,
    clock::TRIALS,
    registers::TRIALS,
    memory::TRIALS,
    heartbeat::TRIALS,
    smp::start::TRIALS,
    smp::messages::TRIALS,
    smp::devices::TRIALS,
    smp::memory::TRIALS,
    smp::state::TRIALS,
    isolation::TRIALS,
    // Behind all that could be upset by it.
    garbage::TRIALS,
    ending::TRIALS,
    smp::ending::TRIALS,
    count::TRIALS,
    writes::TRIALS,
];

fn trials() -> impl Iterator<Item = &'static Trial> {
    GROUPS.iter().copied().flatten()
}

/// Runs what was asked for, in the order in which it was asked for.
pub(crate) fn run(asked: &Asked<'_>) {
    println!("micro begins, hypervisor '{}'", environment::get().hypervisor());
    let (mut passed, mut failed) = (0u32, 0u32);
    for name in asked.tests() {
        if name == "list" {
            list();
            continue;
        }
        let mut known = false;
        for trial in trials() {
            if is_asked(trial, name) {
                known = true;
                if trial.carry_out(asked) { passed += 1 } else { failed += 1 }
            }
        }
        if !known {
            println!("micro {name} FAILED: there is no such trial");
            failed += 1;
        }
    }
    println!("micro done: {passed} ok, {failed} failed");
}

/// `all` and `smp` are for those that come to an end, on one CPU and on several.
fn is_asked(trial: &Trial, name: &str) -> bool {
    match name {
        "all" => trial.ends && !trial.several,
        "smp" => trial.ends && trial.several,
        _ => name == trial.name,
    }
}

/// Says every trial's name, so that nobody else has to keep a list of them.
fn list() {
    for trial in trials() {
        let several = if trial.several { " on several CPUs" } else { "" };
        println!("micro has {}{several}{}", trial.name, if trial.ends { "" } else { " without end" });
    }
}
