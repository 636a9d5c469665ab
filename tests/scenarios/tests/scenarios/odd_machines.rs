//! Machines that are built or described differently from what a PC is.

use std::fs;

use anyhow::{Result, ensure};
use godwit_lab::{HostSpec, MachineKind, RunningHost};
use godwit_scenarios::{ANSWER, BOOT, boot, ensure_says, running_cpus, sized_spec, spec};

/// A machine without PCI, without legacy devices, and with hardware-reduced ACPI.
fn microvm() -> Result<HostSpec> {
    Ok(HostSpec {
        extra_arguments: vec!["-machine".into(), "microvm,acpi=on,pit=off,pic=off,rtc=off".into()],
        ..sized_spec("micro", 2, "256MiB")?
    })
}

/// Boots with an MCFG that says that configuration space of segment 0 lies at `base`.
fn boot_with_mcfg(base: u64) -> Result<String> {
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("mcfg");
    // ACPI's MCFG behind its header: 8 reserved bytes, then base, segment, first and last bus, 4 reserved bytes.
    let mut table = vec![0; 8];
    table.extend(base.to_le_bytes());
    table.extend([0, 0, 0, 255, 0, 0, 0, 0]);
    fs::write(&path, table)?;
    let option = format!("sig=MCFG,data={}", path.display());
    let (_host, banner) = boot(&HostSpec {
        machine: MachineKind::Pc,
        extra_arguments: vec!["-acpitable".into(), option.into()],
        ..spec("misled")?
    })?;
    Ok(banner)
}

#[test]
fn a_machine_without_acpi_runs_on_one_cpu_and_resets_by_the_keyboard_controller() -> Result<()> {
    let isa = HostSpec {
        extra_arguments: vec!["-machine".into(), "isapc".into()],
        ..sized_spec("old", 1, "128MiB")?
    };
    let (mut host, banner) = boot(&isa)?;
    ensure_says(&banner, &["there is no root pointer (RSDP)", "MHz by PIT", "the console cannot interrupt"])?;
    ensure!(host.command("selftest clock", ANSWER)?.contains("passed"), "{}", host.transcript());
    let refusal = host.command("poweroff", ANSWER)?;
    ensure_says(&refusal, &["the firmware names no way to switch this machine off"])?;
    host.type_line("reboot")?;
    let exit = host.wait_exit(ANSWER)?;
    ensure!(exit.status.success(), "reset: {exit:?}");
    Ok(())
}

#[test]
fn a_machine_without_legacy_devices_boots_and_says_what_it_assumes() -> Result<()> {
    let (mut host, banner) = boot(&microvm()?)?;
    ensure_says(&banner, &["no timer of known frequency counts"])?;
    ensure!(running_cpus(&host)? == 2, "not both run");
    host.type_line("poweroff")?;
    let status = host.wait_exit(ANSWER)?;
    ensure!(status.status.success(), "hardware-reduced power-off: {status:?}");
    Ok(())
}

#[test]
fn configuration_space_in_ram_is_refused() -> Result<()> {
    ensure_says(&boot_with_mcfg(0x20_0000)?, &["PCI segment 0 at 0x200000 cannot be mapped", "host bridge"])
}

#[test]
fn configuration_space_beyond_the_processor_is_refused() -> Result<()> {
    ensure_says(
        &boot_with_mcfg(1 << 45)?,
        &["PCI segment 0 at 0x200000000000 cannot be mapped", "host bridge"],
    )
}

#[test]
fn a_processor_without_no_execute_pages_is_refused_in_words() -> Result<()> {
    let host = RunningHost::start(&HostSpec { cpu_model: "max,-nx".into(), ..spec("open")? })?;
    let said = host.expect_line("why it cannot boot", |line| line.contains("cannot boot"), BOOT)?;
    ensure!(said.text.contains("enable NX"), "{}", said.text);
    Ok(())
}
