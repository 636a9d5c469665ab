//! The trials.

mod clock;
mod count;
mod cpuid;
mod exceptions;
mod garbage;
mod halt;
mod heartbeat;
mod memory;
mod mmio;
mod modes;
mod msr;
mod never_ending;
mod pages;
mod ports;
mod registers;
mod serial;
mod timers;

use crate::{asked::Asked, console::println, environment, trial::Trial};

/// Those that end come first, in an order in which a failure says most.
static TRIALS: [Trial; 21] = [
    Trial { name: "cpuid", run: cpuid::run, ends: true },
    Trial { name: "msr", run: msr::run, ends: true },
    Trial { name: "ports", run: ports::run, ends: true },
    Trial { name: "exceptions", run: exceptions::run, ends: true },
    Trial { name: "pages", run: pages::run, ends: true },
    Trial { name: "modes", run: modes::run, ends: true },
    Trial { name: "mmio", run: mmio::run, ends: true },
    Trial { name: "pic", run: timers::pic, ends: true },
    Trial { name: "apic", run: timers::apic, ends: true },
    Trial { name: "halt", run: halt::run, ends: true },
    Trial { name: "serial", run: serial::interrupts, ends: true },
    Trial { name: "clock", run: clock::run, ends: true },
    Trial { name: "registers", run: registers::run, ends: true },
    Trial { name: "memory", run: memory::run, ends: true },
    Trial { name: "heartbeat", run: heartbeat::run, ends: true },
    Trial { name: "garbage", run: garbage::run, ends: true },
    Trial { name: "echo", run: serial::echo, ends: false },
    Trial { name: "triple-fault", run: never_ending::triple_fault, ends: false },
    Trial { name: "spin", run: never_ending::spin, ends: false },
    Trial { name: "count", run: count::run, ends: false },
    Trial { name: "halt-forever", run: never_ending::halt, ends: false },
];

/// Runs what was asked for, in the order in which it was asked for.
pub(crate) fn run(asked: &Asked<'_>) {
    println!("micro begins, hypervisor '{}'", environment::get().hypervisor());
    let (mut passed, mut failed) = (0u32, 0u32);
    for name in asked.tests() {
        let mut known = false;
        for trial in &TRIALS {
            if name == trial.name || (name == "all" && trial.ends) {
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
