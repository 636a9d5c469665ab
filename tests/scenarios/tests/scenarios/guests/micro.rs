//! The micro guests under Godwit: each tries one thing of the virtual machine.

use anyhow::{Result, ensure};
use godwit_scenarios::{
    ANSWER,
    guests::{Bundle, MICRO, description, micro},
    sized_spec,
};

/// The trials that come to an end by themselves.
const TRIALS: [&str; 16] = [
    "cpuid",
    "msr",
    "ports",
    "exceptions",
    "pages",
    "modes",
    "mmio",
    "pic",
    "apic",
    "halt",
    "serial",
    "clock",
    "registers",
    "memory",
    "heartbeat",
    "garbage",
];

#[test]
fn every_trial_passes_in_a_guest_of_its_own() -> Result<()> {
    let mut bundle = Bundle::new();
    for trial in TRIALS {
        bundle.micro(micro(trial, &format!("test={trial}"))?)?;
    }
    let host = bundle.boot(&sized_spec("micro", 2, "128MiB")?)?;
    let before = host.free_frames()?;
    let mut failed = String::new();
    for trial in TRIALS {
        host.start(trial)?;
        let said = host.console_to_the_end(trial, MICRO)?;
        let passed = said.contains("hypervisor 'KVMKVMKVM'")
            && said.contains(&format!("micro {trial} ok"))
            && said.contains("it switched itself off");
        if !passed {
            failed += &format!("--- {trial}\n{said}");
        }
    }
    ensure!(failed.is_empty(), "trials failed:\n{failed}");
    let after = host.free_frames()?;
    ensure!(after == before, "{before} frames were free, and {after} are after all guests");
    Ok(())
}

#[test]
fn trials_follow_each_other_in_one_guest() -> Result<()> {
    let mut bundle = Bundle::new();
    bundle.micro(micro("all", "test=all")?)?;
    let host = bundle.boot(&sized_spec("micro", 2, "128MiB")?)?;
    host.start("all")?;
    let said = host.console_to_the_end("all", MICRO)?;
    ensure!(said.contains("micro done: 16 ok, 0 failed"), "not all passed:\n{said}");
    Ok(())
}

#[test]
fn memory_of_a_guest_that_is_gone_is_zero_for_the_next() -> Result<()> {
    let mut bundle = Bundle::new();
    // Neither fits beside the other: what the second gets the first has written.
    bundle.micro(description("first", 64, "test=memory rounds=1")?)?;
    bundle.micro(description("second", 64, "test=ram-is-zero-at-start")?)?;
    let host = bundle.boot(&sized_spec("micro", 2, "128MiB")?)?;
    for (guest, trial) in [("first", "memory"), ("second", "ram-is-zero-at-start")] {
        host.start(guest)?;
        let said = host.console_to_the_end(guest, MICRO)?;
        ensure!(said.contains(&format!("micro {trial} ok")), "{said}");
    }
    Ok(())
}

#[test]
fn what_is_typed_at_the_console_arrives() -> Result<()> {
    let mut bundle = Bundle::new();
    bundle.micro(micro("echo", "test=echo")?)?;
    let host = bundle.boot(&sized_spec("micro", 2, "128MiB")?)?;
    host.start("echo")?;
    host.enter_console("echo")?;
    host.expect("micro echo begins", ANSWER)?;
    // The first line is more than the port's FIFO holds.
    let long = "0123456789".repeat(10);
    for (line, text) in [(1, long.as_str()), (2, "second")] {
        host.type_line(text)?;
        host.expect(&format!("echo {line}: {text}"), ANSWER)?;
    }
    // Who leaves and comes back sees what was kept, and goes on.
    host.leave_console("echo")?;
    host.enter_console("echo")?;
    host.expect("echo 2: second", ANSWER)?;
    host.type_line("quit")?;
    host.expect("micro echo ok", ANSWER)?;
    let said = host.wait_prompt(ANSWER)?;
    ensure!(said.contains("echo: it switched itself off"), "{said}");
    Ok(())
}
