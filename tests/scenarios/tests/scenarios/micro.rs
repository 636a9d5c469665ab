//! The micro guests on a plain emulator, without Godwit: what fails here is wrong with them.

use std::time::Duration;

use anyhow::{Result, ensure};
use godwit_lab::{HostSpec, MachineKind, RunningHost};
use godwit_scenarios::guests::{ensure_passed, micro_kernel, micro_trials, micro_trials_of_several_cpus};

/// How long all trials together may take.
const TRIALS: Duration = Duration::from_secs(120);

/// A machine that boots the micro guests with this `test=`.
fn micro(tests: &str) -> Result<HostSpec> {
    let kernel = micro_kernel()?;
    Ok(HostSpec { command_line: vec![format!("test={tests}")], ..HostSpec::new("micro", kernel)? })
}

/// Runs the machine until it switches itself off; answers what it printed.
fn run(spec: &HostSpec) -> Result<String> {
    let mut machine = RunningHost::start(spec)?;
    // The machine may be gone before its last words have been read.
    machine.expect_line("the last line", |line| line.starts_with("micro done: "), TRIALS)?;
    let exit = machine.wait_exit(TRIALS)?;
    let printed = machine.transcript();
    ensure!(exit.reason.as_deref() == Some("guest-shutdown"), "ended by {:?}:\n{printed}", exit.reason);
    Ok(printed)
}

fn all_pass(spec: &HostSpec) -> Result<()> {
    ensure_passed(&run(spec)?, &micro_trials()?)
}

#[test]
fn every_trial_passes_on_both_mainboards() -> Result<()> {
    for machine in [MachineKind::Q35, MachineKind::Pc] {
        all_pass(&HostSpec { machine, ..micro("all")? })?;
    }
    Ok(())
}

#[test]
fn every_trial_passes_on_a_small_machine() -> Result<()> {
    all_pass(&HostSpec { memory: "16MiB".parse()?, cpu_model: "qemu64".into(), ..micro("all")? })
}

#[test]
fn every_trial_for_several_cpus_passes() -> Result<()> {
    let printed = run(&HostSpec { cpus: 4, ..micro("smp")? })?;
    ensure!(!printed.contains("found: one CPU"), "the machine has one CPU:\n{printed}");
    ensure_passed(&printed, &micro_trials_of_several_cpus()?)
}

#[test]
fn trials_for_several_cpus_say_that_there_is_one() -> Result<()> {
    let trials = micro_trials_of_several_cpus()?;
    let printed = run(&HostSpec { cpus: 1, ..micro("smp")? })?;
    let said = printed.matches("found: one CPU").count();
    ensure!(said == trials.len(), "{said} of {} trials say it:\n{printed}", trials.len());
    ensure_passed(&printed, &trials)
}

#[test]
fn a_trial_that_is_none_fails() -> Result<()> {
    let printed = run(&micro("ud2-gives-ud,nosuch")?)?;
    for line in ["micro ud2-gives-ud ok", "micro nosuch FAILED: ", "micro done: 1 ok, 1 failed"] {
        ensure!(printed.contains(line), "`{line}` was not printed:\n{printed}");
    }
    Ok(())
}

#[test]
fn what_is_typed_arrives_by_interrupt() -> Result<()> {
    let mut machine = RunningHost::start(&micro("echo")?)?;
    machine.expect("micro echo begins", TRIALS)?;
    // The first line gets a few FIFOs full at once.
    let long = "0123456789".repeat(10);
    for (line, text) in [(1, long.as_str()), (2, "second"), (3, "quit")] {
        machine.type_line(text)?;
        machine.expect(&format!("echo {line}: {text}"), TRIALS)?;
    }
    machine.expect("micro echo ok", TRIALS)?;
    machine.wait_exit(TRIALS)?;
    Ok(())
}

#[test]
fn the_machine_ends_in_every_way_there_is() -> Result<()> {
    for (trial, reason) in [
        ("power-off-by-acpi", "guest-shutdown"),
        ("reset-by-control-port", "guest-reset"),
        ("reset-by-keyboard-controller", "guest-reset"),
        ("triple-fault", "guest-reset"),
    ] {
        let mut machine = RunningHost::start(&micro(trial)?)?;
        machine.expect(&format!("micro {trial} begins"), TRIALS)?;
        let exit = machine.wait_exit(TRIALS)?;
        ensure!(exit.reason.as_deref() == Some(reason), "{trial}: ended by {:?}", exit.reason);
    }
    Ok(())
}
