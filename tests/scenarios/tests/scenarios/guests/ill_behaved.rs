//! Guests that do what they should not: the host says so, stops them when it is asked to, and goes on.

use anyhow::{Context, Result, ensure};
use godwit_scenarios::{
    ANSWER, ensure_says,
    guests::{Bundle, GuestHost, MICRO, micro},
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
    tells_of_the_crash(&host, &ended)?;
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

/// The log of events shows where the guest `triple-fault` came to its end, with registers and who called that code.
fn tells_of_the_crash(host: &GuestHost, ended: &str) -> Result<()> {
    let rip = ended.rsplit(' ').next().unwrap_or_default();
    let told = host.command("events triple-fault", ANSWER)?;
    let crash = format!("crashed on vcpu0 at {rip}: triple fault");
    // UD2.
    ensure_says(&told, &["started with ", &crash, "64-bit code: 0f 0b", &format!("#0 {rip}")])?;
    let raw = host.command("events triple-fault raw", ANSWER)?;
    let value = |key: &str| -> Result<u64> {
        let found = raw.lines().find_map(|line| line.trim_end().strip_prefix(&format!("{key} 0x")));
        let found = found.with_context(|| format!("no {key} in {raw}"))?;
        Ok(u64::from_str_radix(found, 16)?)
    };
    let rip = u64::from_str_radix(rip.trim_start_matches("0x"), 16)?;
    ensure!(value("register rip")? == rip && value("frame 0")? == rip, "{raw}");
    // Its code and its stack are within the first megabytes of its kernel, which keeps frame pointers; paging and long mode are on.
    let near = 1 << 20..16 << 20;
    ensure!(near.contains(&value("frame 1")?) && near.contains(&value("register rbp")?), "{raw}");
    ensure!(value("register cr0")? >> 31 == 1 && value("register efer")? & 1 << 10 != 0, "{raw}");
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
        let says_so =
            |line: &str| line.contains(&stopped) && line.trim_end().ends_with("shows its registers");
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
