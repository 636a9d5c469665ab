//! Runs one selftest, or all that come back, one after the other.

use alloc::{boxed::Box, string::String};
use core::fmt::{self, Write};

use super::{Check, CheckStep, Kind, SELFTESTS, Selftest};
use crate::{
    console::Console,
    job::{Job, Step},
    machine::Fault,
    state::HostState,
};

/// A run of selftests.
pub(crate) struct SelftestJob {
    /// Tests still to begin, by index into [`SELFTESTS`].
    rest: core::ops::Range<usize>,
    all: bool,
    running: Option<(&'static str, Box<dyn Check>)>,
    passed: usize,
    failed: usize,
}

impl SelftestJob {
    /// The test called `name`, every one that comes back for `all`, or `None` where none is called that.
    pub(crate) fn new(name: &str) -> Option<Self> {
        let all = name == "all";
        let rest = if all {
            0..SELFTESTS.len()
        } else {
            let index = SELFTESTS.iter().position(|test| test.name == name)?;
            index..index + 1
        };
        Some(Self { rest, all, running: None, passed: 0, failed: 0 })
    }

    /// Begins the next test; `None` where none is left.
    fn begin(&mut self, state: &mut HostState<'_, '_>, out: &mut Console<'_>) -> Option<fmt::Result> {
        let Selftest { name, kind, .. } = self.rest.next().and_then(|index| SELFTESTS.get(index))?;
        Some(match *kind {
            Kind::Check(make) => {
                self.running = Some((name, make()));
                Ok(())
            }
            Kind::Fault(_) if self.all => Ok(()),
            Kind::Fault(fault) => self.raise(state, out, name, fault),
        })
    }

    fn raise(
        &mut self,
        state: &mut HostState<'_, '_>,
        out: &mut Console<'_>,
        name: &str,
        fault: Fault,
    ) -> fmt::Result {
        writeln!(out, "selftest {name}: the fault report follows")?;
        out.flush();
        state.machine.provoke(fault);
        self.verdict(out, name, Err("the machine went on as if nothing had happened".into()))
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
            if let Some(begun) = self.begin(state, out) {
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
