//! Every running CPU answers its mail.

use alloc::format;
use core::time::Duration;

use super::{Check, CheckStep};
use crate::{
    round::{CpuSet, Question},
    state::HostState,
};

/// How long CPUs have to answer, on a loaded emulator too.
const DEADLINE: Duration = Duration::from_secs(5);

/// Pings every CPU that runs, this one included, and awaits the answers.
#[derive(Default)]
pub(super) struct MailboxCheck {
    asked: bool,
}

impl Check for MailboxCheck {
    fn step(&mut self, state: &mut HostState<'_, '_>) -> CheckStep {
        if !self.asked {
            self.asked = true;
            state.ask(CpuSet::running(state.machine), Question::Ping);
        }
        match answers(state) {
            Answers::Waiting(step) => step,
            Answers::All(cpus, slowest) => {
                let plural = if cpus == 1 { "" } else { "s" };
                CheckStep::Passed(format!(
                    "{cpus} CPU{plural} answered, the slowest in {} us",
                    slowest.as_micros()
                ))
            }
        }
    }

    fn clean_up(&mut self, state: &mut HostState<'_, '_>) {
        state.round = None;
    }
}

/// Where a round of questions stands.
pub(super) enum Answers {
    /// Not all are there: what the check has to say now.
    Waiting(CheckStep),
    /// That many CPUs answered, the last after that time.
    All(u32, Duration),
}

/// How the round that a check began stands.
pub(super) fn answers(state: &HostState<'_, '_>) -> Answers {
    let Some(round) = &state.round else {
        return Answers::Waiting(CheckStep::Failed("another question took this one's place".into()));
    };
    if round.missing().is_empty() {
        return Answers::All(round.asked().count(), round.slowest());
    }
    let deadline = round.started().after(DEADLINE);
    if state.machine.now() < deadline {
        // Mail wakes the CPU. What could not be posted yet is tried again in the next turn.
        return Answers::Waiting(if round.has_unasked() {
            CheckStep::Again
        } else {
            CheckStep::WaitUntil(deadline)
        });
    }
    let (missing, seconds) = (round.missing(), DEADLINE.as_secs());
    Answers::Waiting(CheckStep::Failed(format!("no answer within {seconds} s from {missing}")))
}
