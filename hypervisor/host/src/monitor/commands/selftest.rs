//! `selftest`.

use alloc::{boxed::Box, format, string::String};
use core::fmt::{self, Write};

use super::{Outcome, unknown};
use crate::{
    console::Console,
    excerpt::Excerpt,
    machine::{CpuNumber, Machine},
    round::CpuSet,
    selftest::{SELFTESTS, Selftest, SelftestJob},
    state::HostState,
};

pub(super) fn selftest<'a, 'm>(
    state: &mut HostState<'a, 'm>,
    out: &mut Console<'a>,
    arguments: &[&str],
) -> Result<Outcome<'a, 'm>, fmt::Error> {
    let (name, cpu) = match *arguments {
        [] => return list(out).map(|()| Outcome::Done),
        [name] => (name, None),
        [name, cpu] => (name, Some(cpu)),
        _ => return Ok(Outcome::Usage),
    };
    let Some(mut job) = SelftestJob::new(name, state.machine.this_cpu()) else {
        let known = SELFTESTS.iter().map(|test| test.name).chain(["all"]);
        return unknown(out, "selftest", name, known).map(|()| Outcome::Done);
    };
    if let Some(cpu) = cpu {
        match chosen_cpu(state.machine, name, cpu) {
            Ok(cpu) => job.raise_on(cpu),
            Err(why) => return writeln!(out, "selftest {name}: {why}").map(|()| Outcome::Done),
        }
    }
    Ok(Outcome::Job(Box::new(job)))
}

/// The CPU that `word` names, `cpu1` or `1`, where the test called `name` can be raised on it; else why not.
fn chosen_cpu(machine: &dyn Machine, name: &str, word: &str) -> Result<CpuNumber, String> {
    if !Selftest::find(name).is_some_and(Selftest::is_fault) {
        return Err("takes no CPU: only a fault is raised on a CPU of choice".into());
    }
    let running = CpuSet::running(machine);
    let digits = word.strip_prefix("cpu").unwrap_or(word);
    let number = digits.parse().ok().filter(|_| digits.bytes().all(|byte| byte.is_ascii_digit()));
    let Some(cpu) = number.map(CpuNumber) else {
        let shown = Excerpt::new(word);
        return Err(format!("expected a CPU such as cpu0, not \"{shown}\"; running: {running}"));
    };
    if running.contains(cpu) {
        return Ok(cpu);
    }
    let is_listed = usize::from(cpu.0) < machine.description().cpus.len();
    Err(if is_listed {
        format!("{cpu} does not run; running: {running}")
    } else {
        format!("there is no {cpu}; running: {running}")
    })
}

fn list(out: &mut Console<'_>) -> fmt::Result {
    for (heading, faults) in [
        ("tests that come back; \"all\" runs each of them:", false),
        ("faults that end in a fault report and stop the host; \"selftest NAME CPU\" picks the CPU:", true),
    ] {
        writeln!(out, "{heading}")?;
        for test in SELFTESTS.iter().filter(|test| test.is_fault() == faults) {
            writeln!(out, "  {:<15} {}", test.name, test.about)?;
        }
    }
    Ok(())
}
