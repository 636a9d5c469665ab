//! Machines and command lines that are not as they should be: the host says so, and goes on where it can.

use anyhow::{Result, ensure};
use godwit_lab::{HostSpec, RunningHost};
use godwit_scenarios::{BOOT, boot, ensure_says, running_cpus, sized_spec, spec, unwrapped};

/// Boots with more words on the command line.
fn boot_with(words: &[&str]) -> Result<(RunningHost, String)> {
    let command_line = words.iter().map(|word| (*word).to_owned()).collect();
    boot(&HostSpec { command_line, ..spec("odd")? })
}

#[test]
fn an_unknown_key_is_named_with_its_position() -> Result<()> {
    let (_host, banner) = boot_with(&["godwit.grop=lab", "quiet"])?;
    // `godwit.host=odd` and a blank come before.
    ensure_says(
        &banner,
        &["command line byte 16: unknown key \"godwit.grop\": did you mean godwit.group?", "byte 32:"],
    )
}

#[test]
fn a_bad_value_keeps_the_default() -> Result<()> {
    let (_host, banner) = boot_with(&["godwit.log=loud", "godwit.cpus=many"])?;
    ensure_says(
        &banner,
        &[
            "command line byte 27: bad value \"loud\" for godwit.log: expected off, error, warn, info, debug or trace",
            "bad value \"many\" for godwit.cpus: expected a number",
        ],
    )
}

#[test]
fn a_repeated_key_is_reported() -> Result<()> {
    let repeated = RunningHost::start(&HostSpec {
        command_line: vec!["godwit.group=a".into(), "godwit.group=b".into()],
        ..spec("odd")?
    })?;
    let banner = repeated.wait_ready(BOOT)?;
    ensure_says(&banner, &["godwit.group was given before, at byte 16", "work group default"])
}

#[test]
fn fewer_cpus_can_be_asked_for() -> Result<()> {
    let spec = HostSpec { command_line: vec!["godwit.cpus=2".into()], ..sized_spec("odd", 4, "128MiB")? };
    let (host, _) = boot(&spec)?;
    ensure!(running_cpus(&host)? == 2, "not two CPUs run");
    Ok(())
}

#[test]
fn a_cpu_without_virtualization_stays_in_the_monitor() -> Result<()> {
    let (host, banner) = boot(&HostSpec { cpu_model: "qemu64,-svm".into(), ..spec("plain")? })?;
    ensure_says(&banner, &["guests cannot run here"])?;
    ensure!(running_cpus(&host)? == 1, "the monitor does not answer");
    Ok(())
}

#[test]
fn other_cpu_models_boot() -> Result<()> {
    for model in ["qemu64,+svm,+npt", "EPYC,+svm,+npt"] {
        let (_host, banner) = boot(&HostSpec { cpu_model: model.into(), ..spec("other")? })?;
        ensure!(unwrapped(&banner).contains("svm found:"), "{model}:\n{banner}");
    }
    Ok(())
}

#[test]
fn too_little_memory_says_how_much_is_needed() -> Result<()> {
    let host = RunningHost::start(&HostSpec { memory: "8MiB".parse()?, ..spec("small")? })?;
    let said = host.expect_line("how much memory is needed", |line| line.contains("godwit needs"), BOOT)?;
    ensure!(said.text.contains("too little memory") && said.text.contains("MiB"), "{}", said.text);
    Ok(())
}

#[test]
fn more_cpus_than_supported_are_counted() -> Result<()> {
    let (host, banner) = boot(&sized_spec("crowded", 70, "1GiB")?)?;
    ensure_says(&banner, &["64 of 64 CPUs running", "6 more CPUs are beyond what this build supports"])?;
    ensure!(running_cpus(&host)? == 64, "not all 64 run");
    Ok(())
}
