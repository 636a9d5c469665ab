//! `selftest`.

use alloc::boxed::Box;
use core::fmt::{self, Write};

use super::{Outcome, unknown};
use crate::{
    console::Console,
    selftest::{Kind, SELFTESTS, SelftestJob},
    state::HostState,
};

pub(super) fn selftest<'a, 'm>(
    _state: &mut HostState<'a, 'm>,
    out: &mut Console<'a>,
    arguments: &[&str],
) -> Result<Outcome<'a, 'm>, fmt::Error> {
    match arguments {
        [] => list(out)?,
        [name] => match SelftestJob::new(name) {
            Some(job) => return Ok(Outcome::Job(Box::new(job))),
            None => {
                let known = SELFTESTS.iter().map(|test| test.name).chain(["all"]);
                unknown(out, "selftest", name, known)?;
            }
        },
        _ => return Ok(Outcome::Usage),
    }
    Ok(Outcome::Done)
}

fn list(out: &mut Console<'_>) -> fmt::Result {
    for (heading, faults) in [
        ("tests that come back; \"all\" runs each of them:", false),
        ("faults that end in a fault report and stop the host:", true),
    ] {
        writeln!(out, "{heading}")?;
        for test in SELFTESTS.iter().filter(|test| matches!(test.kind, Kind::Fault(_)) == faults) {
            writeln!(out, "  {:<15} {}", test.name, test.about)?;
        }
    }
    Ok(())
}
