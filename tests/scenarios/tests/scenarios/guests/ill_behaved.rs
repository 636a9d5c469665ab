//! Guests that do what they should not: the host says so, stops them when it is asked to, and goes on.

use anyhow::{Result, ensure};
use godwit_scenarios::{
    ANSWER, ensure_says,
    guests::{Bundle, MICRO, micro},
    running_cpus, sized_spec,
};

/// Guests in the order in which they start: the last one shares its CPU with the host's own services.
const GUESTS: [&str; 4] = ["triple-fault", "halt-forever", "garbage", "spin"];

#[test]
fn every_one_is_reported_and_can_be_stopped() -> Result<()> {
    let mut bundle = Bundle::new();
    for name in GUESTS {
        // So much garbage takes longer than this test.
        bundle.micro(micro(name, &format!("test={name} writes=1000000000"))?)?;
    }
    let host = bundle.boot(&sized_spec("north", 4, "256MiB")?)?;
    let before = host.free_frames()?;
    for name in GUESTS {
        host.start(name)?;
    }
    host.has_said("guest triple-fault stopped: triple fault at 0x", ANSWER)?;
    let ended = host.guest("triple-fault")?.state;
    ensure!(ended.starts_with("ended: triple fault at 0x"), "{ended}");
    host.tell("pause", "triple-fault", "triple-fault came to an end")?;
    for name in ["halt-forever", "spin"] {
        host.enter_console(name)?;
        host.expect(&format!("micro {name} begins"), MICRO)?;
        host.leave_console(name)?;
    }

    // A guest that spins with interrupts off hinders nobody; one that halts for ever costs no exits.
    for name in &GUESTS[1..] {
        host.ensure_state(name, "running")?;
        host.tell("pause", name, "is paused")?;
        host.ensure_state(name, "paused")?;
        host.tell("resume", name, "runs")?;
        host.ensure_state(name, "running")?;
    }
    let halts = |guest: &godwit_scenarios::guests::RawGuest| guest.exits.get("halt").copied();
    let (first, second) = (host.guest("halt-forever")?, host.guest("halt-forever")?);
    ensure!(halts(&first) == Some(1) && halts(&second) == Some(1), "{first:?}, then {second:?}");
    ensure!(running_cpus(&host)? == 4, "a CPU does not answer");

    for name in GUESTS {
        host.tell("stop", name, "is stopped; its memory is free")?;
        host.ensure_state(name, "stopped")?;
    }
    let after = host.free_frames()?;
    ensure!(after == before, "{before} frames were free, and {after} are");
    let said = host.command("selftest frames", ANSWER)?;
    ensure!(said.contains("selftest frames: passed"), "{said}");
    // What ended once can be started again.
    host.start("triple-fault")?;
    Ok(())
}

#[test]
fn a_power_off_ends_a_guest_and_a_reset_starts_it_again() -> Result<()> {
    let ways = ["power-off-by-acpi", "reset-by-control-port", "reset-by-keyboard-controller"];
    let mut bundle = Bundle::new();
    for trial in ways {
        bundle.micro(micro(trial, &format!("test={trial}"))?)?;
    }
    let host = bundle.boot(&sized_spec("ends", 2, "128MiB")?)?;
    let before = host.free_frames()?;
    for trial in ways {
        host.start(trial)?;
        let end =
            if trial.starts_with("reset") { "starts again, as it asked" } else { "switched itself off" };
        host.has_said(&format!("guest {trial} {end}"), MICRO)?;
        if end.starts_with("starts") {
            // It would do so for ever.
            host.command(&format!("stop {trial}"), ANSWER)?;
        }
        host.ensure_state(trial, "stopped")?;
    }
    let after = host.free_frames()?;
    ensure!(after == before, "{before} frames were free, and {after} are");
    Ok(())
}

#[test]
fn what_needs_memory_where_a_device_is_ends_that_guest_alone() -> Result<()> {
    let trials = [
        ("tables-in-device-memory", "the guest's page tables lie outside its memory, at 0xfee00"),
        ("code-in-device-memory", "the guest executes code outside its memory, at 0xfee00"),
        (
            "stack-in-device-memory",
            "the guest's stack or descriptor table lies outside its memory, at 0xfee00",
        ),
    ];
    let mut bundle = Bundle::new();
    for (trial, _) in trials {
        bundle.micro(micro(trial, &format!("test={trial}"))?)?;
    }
    bundle.micro(micro("beating", "test=heartbeat count=0 ms=20")?)?;
    let host = bundle.boot(&sized_spec("odd", 4, "128MiB")?)?;
    host.start("beating")?;
    for (trial, why) in trials {
        host.start(trial)?;
        // The whole line: a command that is typed into the middle of one is torn.
        let stopped = format!("guest {trial} stopped at 0x");
        let says_so = |line: &str| line.contains(&stopped) && line.trim_end().ends_with("(0x0)");
        if !host.transcript().lines().any(says_so) {
            host.expect_line("that it stopped", says_so, MICRO)?;
        }
        ensure_says(&host.transcript(), &[&format!("guest {trial}: {why}")])?;
        let ended = host.guest(trial)?.state;
        ensure!(ended.starts_with("ended at 0x"), "{trial} is {ended}");
    }
    host.ensure_state("beating", "running")?;
    ensure!(running_cpus(&host)? == 4, "a CPU does not answer");
    Ok(())
}
