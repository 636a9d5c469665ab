//! Runs one selftest, or all that come back, one after the other.

use alloc::{boxed::Box, string::String};
use core::fmt::{self, Write};

use super::{Check, CheckStep, Kind, SELFTESTS, Selftest, fault::FaultCheck};
use crate::{
    console::Console,
    job::{Job, Step},
    machine::{CpuNumber, Fault},
    state::HostState,
};

/// A run of selftests.
pub(crate) struct SelftestJob {
    /// Tests still to begin, by index into [`SELFTESTS`].
    rest: core::ops::Range<usize>,
    all: bool,
    /// Where faults are raised.
    cpu: CpuNumber,
    running: Option<(&'static str, Box<dyn Check>)>,
    passed: usize,
    failed: usize,
}

impl SelftestJob {
    /// The test called `name`, every one that comes back for `all`, or `None` where none is called that. A fault is raised
    /// on `cpu`, the one that asks.
    pub(crate) fn new(name: &str, cpu: CpuNumber) -> Option<Self> {
        let all = name == "all";
        let rest = if all {
            0..SELFTESTS.len()
        } else {
            let index = SELFTESTS.iter().position(|test| test.name == name)?;
            index..index + 1
        };
        Some(Self { rest, all, cpu, running: None, passed: 0, failed: 0 })
    }

    /// Raises faults on `cpu`, which has to be running.
    pub(crate) fn raise_on(&mut self, cpu: CpuNumber) {
        self.cpu = cpu;
    }

    /// Begins the next test; `None` where none is left.
    fn begin(&mut self, out: &mut Console<'_>) -> Option<fmt::Result> {
        let Selftest { name, kind, .. } = self.rest.next().and_then(|index| SELFTESTS.get(index))?;
        Some(match *kind {
            Kind::Check(make) => {
                self.running = Some((name, make()));
                Ok(())
            }
            Kind::Fault(_) if self.all => Ok(()),
            Kind::Fault(fault) => self.raise(out, name, fault),
        })
    }

    fn raise(&mut self, out: &mut Console<'_>, name: &'static str, fault: Fault) -> fmt::Result {
        // The line is on the console before the CPU is asked: the report comes from there, past this console's buffer.
        writeln!(out, "selftest {name}: the fault report of {} follows", self.cpu)?;
        self.running = Some((name, Box::new(FaultCheck::new(fault, self.cpu))));
        Ok(())
    }

    fn verdict(&mut self, out: &mut Console<'_>, name: &str, result: Result<String, String>) -> fmt::Result {
        match result {
            Ok(detail) => {
                self.passed += 1;
                writeln!(out, "selftest {name}: passed ({detail})")
            }
            Err(why) => {
                self.failed += 1;
                writeln!(out, "selftest {name}: failed: {why}")
            }
        }
    }
}

impl<'a, 'm> Job<'a, 'm> for SelftestJob {
    fn step(&mut self, state: &mut HostState<'a, 'm>, out: &mut Console<'a>) -> Result<Step, fmt::Error> {
        let Some((name, check)) = &mut self.running else {
            if let Some(begun) = self.begin(out) {
                begun?;
                return Ok(Step::Again);
            }
            if self.all {
                writeln!(out, "selftest all: {} passed, {} failed", self.passed, self.failed)?;
            }
            return Ok(Step::Done);
        };
        let result = match check.step(state) {
            CheckStep::Again => return Ok(Step::Again),
            CheckStep::WaitUntil(deadline) => return Ok(Step::WaitUntil(deadline)),
            CheckStep::Passed(detail) => Ok(detail),
            CheckStep::Failed(why) => Err(why),
        };
        let name = *name;
        check.clean_up(state);
        self.running = None;
        self.verdict(out, name, result)?;
        Ok(Step::Again)
    }

    fn cancel(&mut self, state: &mut HostState<'a, 'm>, out: &mut Console<'a>) -> fmt::Result {
        let Some((name, mut check)) = self.running.take() else { return Ok(()) };
        check.clean_up(state);
        writeln!(out, "selftest {name}: stopped")
    }
}
