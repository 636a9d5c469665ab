//! A fault on purpose, on a CPU of choice.

use alloc::format;

use super::{
    Check, CheckStep,
    mailbox::{Answers, answers},
};
use crate::{
    machine::{CpuNumber, Fault},
    round::{CpuSet, Question},
    state::HostState,
};

/// Has `cpu` raise `fault`. That ends in the machine's fault report, which no verdict follows: there is one only where the
/// CPU survived.
pub(super) struct FaultCheck {
    fault: Fault,
    cpu: CpuNumber,
    asked: bool,
}

impl FaultCheck {
    pub(super) fn new(fault: Fault, cpu: CpuNumber) -> Self {
        Self { fault, cpu, asked: false }
    }
}

impl Check for FaultCheck {
    fn step(&mut self, state: &mut HostState<'_, '_>) -> CheckStep {
        if !self.asked {
            self.asked = true;
            state.ask(CpuSet::of(self.cpu), Question::Provoke(self.fault));
        }
        match answers(state) {
            Answers::Waiting(step) => step,
            Answers::All(..) => CheckStep::Failed(format!("{} went on as if nothing had happened", self.cpu)),
        }
    }

    fn clean_up(&mut self, state: &mut HostState<'_, '_>) {
        state.round = None;
    }
}
