//! Switching off, and starting again.

use anyhow::{Result, ensure};
use godwit_lab::{HostSpec, MachineKind, OnReset};
use godwit_scenarios::{ANSWER, BOOT, boot, running_cpus, sized_spec};

fn powers_off(machine: MachineKind) -> Result<()> {
    let (mut host, _) = boot(&HostSpec { machine, ..sized_spec("leaving", 2, "128MiB")? })?;
    host.type_line("poweroff")?;
    let exit = host.wait_exit(ANSWER)?;
    ensure!(exit.status.success(), "QEMU ended with {}", exit.status);
    ensure!(exit.reason.as_deref() == Some("guest-shutdown"), "QEMU ended for {:?}", exit.reason);
    Ok(())
}

fn reboots(machine: MachineKind) -> Result<()> {
    let on_reset = OnReset::BootAgain;
    let (host, first) = boot(&HostSpec { machine, on_reset, ..sized_spec("returning", 2, "128MiB")? })?;
    host.type_line("reboot")?;
    let second = host.wait_ready(BOOT)?;
    // A new boot has a new random name, and finds the same machine.
    let name = |banner: &str| {
        let unwrapped = godwit_scenarios::unwrapped(banner);
        let (_, rest) = unwrapped.rsplit_once("incarnation ")?;
        rest.split_whitespace().next().map(str::to_owned)
    };
    let (first, second) = (name(&first), name(&second));
    ensure!(first.is_some() && second.is_some() && first != second, "incarnations {first:?} and {second:?}");
    ensure!(running_cpus(&host)? == 2, "a CPU was lost");
    Ok(())
}

#[test]
fn pc_powers_off() -> Result<()> {
    powers_off(MachineKind::Pc)
}

#[test]
fn q35_powers_off() -> Result<()> {
    powers_off(MachineKind::Q35)
}

#[test]
fn pc_reboots() -> Result<()> {
    reboots(MachineKind::Pc)
}

#[test]
fn q35_reboots() -> Result<()> {
    reboots(MachineKind::Q35)
}

#[test]
fn a_reset_without_a_reboot_ends_the_emulator() -> Result<()> {
    let (mut host, _) = boot(&sized_spec("leaving", 1, "128MiB")?)?;
    host.type_line("reboot")?;
    let exit = host.wait_exit(ANSWER)?;
    ensure!(exit.reason.as_deref() == Some("guest-reset"), "QEMU ended for {:?}", exit.reason);
    Ok(())
}
