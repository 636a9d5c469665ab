//! The micro guests under Godwit: each tries one thing of the virtual machine.

use anyhow::{Context, Result, ensure};
use godwit_guest::description::VcpuCount;
use godwit_lab::HostSpec;
use godwit_scenarios::{
    ANSWER, ensure_says,
    guests::{Bundle, MICRO, description, ensure_passed, micro, micro_trials, micro_trials_of_several_cpus},
    sized_spec, unwrapped,
};

/// What the host can be told to leave unused of SVM.
const WITHOUT: &str = "godwit.svm_without=nrip,decode-assists,flush-by-asid,clean-bits";
/// These by the names of the banner.
const FEATURES: [&str; 4] = ["nRIP save", "decode assists", "flush by ASID", "VMCB clean bits"];

#[test]
fn every_trial_passes_in_a_guest_of_its_own() -> Result<()> {
    let trials = micro_trials()?;
    let mut bundle = Bundle::new();
    let name = |number: usize| format!("trial-{number}");
    for (number, trial) in trials.iter().enumerate() {
        bundle.micro(micro(&name(number), &format!("test={trial}"))?)?;
    }
    let host = bundle.boot(&sized_spec("micro", 2, "128MiB")?)?;
    let before = host.free_frames()?;
    let mut failed = String::new();
    for (number, trial) in trials.iter().enumerate() {
        host.start(&name(number))?;
        let said = host.console_to_the_end(&name(number), MICRO)?;
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

/// Runs all trials in one guest; answers the host's banner.
fn all_in_one(spec: &HostSpec) -> Result<String> {
    let mut bundle = Bundle::new();
    bundle.micro(micro("all", "test=all")?)?;
    let host = bundle.boot(spec)?;
    host.start("all")?;
    let said = host.console_to_the_end("all", MICRO)?;
    ensure_passed(&said, &micro_trials()?)?;
    Ok(host.banner.clone())
}

/// Which of [`FEATURES`] a banner lists as found; the others it must list as missing.
fn found(banner: &str) -> Result<Vec<&'static str>> {
    let banner = unwrapped(banner);
    let (_, listed) = banner.split_once("svm found:").context("no SVM")?;
    let (found, rest) = listed.split_once("missing:").context("nothing is missing")?;
    let (missing, _) = rest.split_once(" memory ").context("no memory")?;
    for feature in FEATURES {
        ensure!(
            found.contains(feature) != missing.contains(feature),
            "{feature} is not listed once:\n{banner}"
        );
    }
    Ok(FEATURES.into_iter().filter(|feature| found.contains(feature)).collect())
}

#[test]
fn trials_follow_each_other_with_the_features_that_are_found() -> Result<()> {
    let banner = all_in_one(&sized_spec("micro", 2, "128MiB")?)?;
    println!("with {:?} of {FEATURES:?}", found(&banner)?);
    Ok(())
}

#[test]
fn trials_follow_each_other_with_no_feature_that_can_be_left_unused() -> Result<()> {
    let spec = sized_spec("micro", 2, "128MiB")?;
    let banner = all_in_one(&HostSpec { command_line: vec![WITHOUT.into()], ..spec })?;
    ensure!(found(&banner)?.is_empty(), "a feature that is left unused is listed as found:\n{banner}");
    ensure_says(&banner, &["left unused, as godwit.svm_without asks: nRIP save ("])?;
    for feature in FEATURES {
        let was = if unwrapped(&banner).contains(&format!("{feature} (found)")) {
            "found"
        } else {
            "not there anyway"
        };
        println!("without {feature}, which was {was}");
    }
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

/// Runs all trials for several CPUs in one guest with so many virtual CPUs.
fn trials_of_several_cpus(host_cpus: u32, vcpus: u64) -> Result<()> {
    let mut bundle = Bundle::new();
    let mut guest = micro("smp", "test=smp")?;
    guest.processors.count = VcpuCount::new(vcpus)?;
    bundle.micro(guest)?;
    let host = bundle.boot(&sized_spec("micro", host_cpus, "128MiB")?)?;
    host.start("smp")?;
    let said = host.console_to_the_end("smp", MICRO)?;
    ensure!(!said.contains("found: one CPU"), "the guest finds one CPU:\n{said}");
    ensure_passed(&said, &micro_trials_of_several_cpus()?)
}

#[test]
fn trials_for_several_cpus_pass_on_as_many_as_the_host_has() -> Result<()> {
    trials_of_several_cpus(4, 4)
}

#[test]
fn trials_for_several_cpus_pass_while_two_share_one_of_the_host() -> Result<()> {
    trials_of_several_cpus(1, 2)
}

#[test]
fn another_cpu_than_the_first_ends_its_guest() -> Result<()> {
    let ends = [
        ("smp-power-off-by-another-cpu", "switched itself off"),
        ("smp-triple-fault-of-another-cpu", "stopped: triple fault at 0x"),
    ];
    let mut bundle = Bundle::new();
    for (trial, _) in ends {
        let mut guest = micro(trial, &format!("test={trial}"))?;
        guest.processors.count = VcpuCount::new(3)?;
        bundle.micro(guest)?;
    }
    let host = bundle.boot(&sized_spec("ends", 2, "128MiB")?)?;
    for (trial, end) in ends {
        host.start(trial)?;
        host.has_said(&format!("guest {trial} {end}"), MICRO)?;
    }
    Ok(())
}
