//! The tests that a host runs on itself.

use anyhow::{Result, ensure};
use godwit_scenarios::{ANSWER, boot, sized_spec};

/// The selftests that come back.
const CHECKS: [&str; 6] = ["frames", "clock", "random", "mailbox", "heap", "vcpu"];

/// Runs `selftest argument` and returns the verdicts: the name of each test, and whether it passed.
fn verdicts(output: &str) -> Vec<(&str, bool)> {
    let lines = output.lines().filter_map(|line| line.strip_prefix("selftest ")?.split_once(": "));
    lines
        .filter(|(name, _)| CHECKS.contains(name))
        .map(|(name, verdict)| (name, verdict.starts_with("passed")))
        .collect()
}

#[test]
fn every_check_passes_alone() -> Result<()> {
    let (host, _) = boot(&sized_spec("selftest", 2, "1GiB")?)?;
    for name in CHECKS {
        let output = host.command(&format!("selftest {name}"), ANSWER)?;
        ensure!(verdicts(&output) == [(name, true)], "selftest {name} said:\n{output}");
    }
    Ok(())
}

#[test]
fn all_run_on_many_cpus() -> Result<()> {
    let (host, _) = boot(&sized_spec("selftest", 8, "128MiB")?)?;
    let output = host.command("selftest all", ANSWER)?;
    ensure!(verdicts(&output) == CHECKS.map(|name| (name, true)), "selftest all said:\n{output}");
    Ok(())
}

#[test]
fn no_randomness_is_said_and_not_made_up() -> Result<()> {
    let mut spec = sized_spec("selftest", 1, "128MiB")?;
    spec.cpu_model = "max,-rdrand,-rdseed".into();
    let (host, banner) = boot(&spec)?;
    godwit_scenarios::ensure_says(&banner, &["no incarnation: no hardware randomness"])?;
    let output = host.command("selftest random", ANSWER)?;
    ensure!(verdicts(&output).len() == 1 && output.contains("no"), "selftest random said:\n{output}");
    Ok(())
}

#[test]
fn the_list_names_every_test() -> Result<()> {
    let (host, _) = boot(&sized_spec("selftest", 1, "128MiB")?)?;
    let list = host.command("selftest", ANSWER)?;
    let faults =
        ["panic", "page-fault", "write-code", "write-alias", "double-fault", "stack-overflow", "nmi"];
    for name in CHECKS.iter().chain(&faults) {
        ensure!(list.split_whitespace().any(|word| word == *name), "`{name}` is not in:\n{list}");
    }
    let output = host.command("selftest nothing", ANSWER)?;
    ensure!(output.contains("nothing") && verdicts(&output).is_empty(), "selftest nothing said:\n{output}");
    Ok(())
}
