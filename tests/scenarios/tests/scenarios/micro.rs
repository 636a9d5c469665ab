//! The micro guests on a plain emulator, without Godwit: what fails here is wrong with them.

use std::time::Duration;

use anyhow::{Result, ensure};
use godwit_lab::{HostSpec, MachineKind, RunningHost};
use godwit_scenarios::guests::micro_kernel;

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
    let exit = machine.wait_exit(TRIALS)?;
    let printed = machine.transcript();
    ensure!(exit.reason.as_deref() == Some("guest-shutdown"), "ended by {:?}:\n{printed}", exit.reason);
    Ok(printed)
}

fn all_pass(spec: &HostSpec) -> Result<()> {
    let printed = run(spec)?;
    ensure!(printed.contains("micro done: 16 ok, 0 failed"), "not all passed:\n{printed}");
    Ok(())
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
fn a_trial_that_is_none_fails() -> Result<()> {
    let printed = run(&micro("cpuid,nosuch")?)?;
    for line in ["micro cpuid ok", "micro nosuch FAILED: ", "micro done: 1 ok, 1 failed"] {
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
fn a_triple_fault_resets_the_machine() -> Result<()> {
    let mut machine = RunningHost::start(&micro("triple-fault")?)?;
    machine.expect("micro triple-fault begins", TRIALS)?;
    let exit = machine.wait_exit(TRIALS)?;
    ensure!(exit.reason.as_deref() == Some("guest-reset"), "ended by {:?}", exit.reason);
    Ok(())
}
