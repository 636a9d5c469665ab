//! Tests that a host runs on itself, and faults that it raises on purpose.
//!
//! Each ends in one line, `selftest NAME: passed (detail)` or `selftest NAME: failed: why`. A fault, which any CPU can be
//! asked to raise, ends in the machine's fault report instead.

mod clock;
mod fault;
mod frames;
mod heap;
mod mailbox;
mod random;
mod runner;
mod vcpu;

use alloc::{boxed::Box, string::String};

use crate::{
    machine::{Fault, Instant},
    state::HostState,
};

pub(crate) use runner::SelftestJob;

/// One selftest.
pub struct Selftest {
    /// What it is called.
    pub name: &'static str,
    /// What it does, in a few words.
    pub about: &'static str,
    pub(crate) kind: Kind,
}

/// How a selftest runs.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    /// In steps, with a verdict.
    Check(fn() -> Box<dyn Check>),
    /// By a fault, after which nothing returns.
    Fault(Fault),
}

/// What a check says after a step.
pub(crate) enum CheckStep {
    /// Another step in the next turn.
    Again,
    /// Another step when something happens, at the latest then.
    WaitUntil(Instant),
    /// It holds; the text says what was seen.
    Passed(String),
    /// It does not; the text says why.
    Failed(String),
}

/// A selftest in bounded steps.
pub(crate) trait Check {
    /// Does a bounded piece of the work.
    fn step(&mut self, state: &mut HostState<'_, '_>) -> CheckStep;

    /// Gives back what the check holds; called once it has passed, failed, or was cancelled.
    fn clean_up(&mut self, _state: &mut HostState<'_, '_>) {}
}

/// Every selftest by name; `all` runs those that come back.
pub static SELFTESTS: [Selftest; 17] = [
    check("frames", "allocates and frees in many patterns; the report comes back to what it was", || {
        Box::new(frames::FramesCheck::default())
    }),
    check("clock", "time goes forward, and a sleep ends when it should", || {
        Box::new(clock::ClockCheck::default())
    }),
    check("random", "hardware randomness is there and does not repeat", || Box::new(random::RandomCheck)),
    check("mailbox", "every running CPU answers", || Box::new(mailbox::MailboxCheck::default())),
    check("heap", "allocations keep their content apart", || Box::new(heap::HeapCheck)),
    check("vcpu", "a tiny guest runs: exits, ports, interrupts, registers kept", || {
        Box::new(vcpu::VcpuCheck::default())
    }),
    fault("panic", "a Rust panic", Fault::Panic),
    fault("divide", "a division by zero (#DE)", Fault::DivideError),
    fault("opcode", "an undefined instruction (#UD)", Fault::InvalidOpcode),
    fault("gp", "a non-canonical address (#GP)", Fault::GeneralProtection),
    fault("page-fault", "an address that is not mapped (#PF)", Fault::PageFault),
    fault("write-code", "a write to the image's own code (#PF)", Fault::WriteToCode),
    fault("write-alias", "a write to that code through the map of all RAM (#PF)", Fault::WriteToCodeAlias),
    fault("exec-data", "execution of data (#PF)", Fault::ExecuteData),
    fault("double-fault", "a fault whose own gate is broken (#DF)", Fault::DoubleFault),
    fault(
        "stack-overflow",
        "recursion into the guard page under the stack (#PF or #DF)",
        Fault::StackOverflow,
    ),
    fault("nmi", "a non-maskable interrupt", Fault::Nmi),
];

impl Selftest {
    /// The test called `name`.
    pub(crate) fn find(name: &str) -> Option<&'static Self> {
        SELFTESTS.iter().find(|test| test.name == name)
    }

    /// Whether it is a fault, which can be raised on any CPU.
    pub(crate) fn is_fault(&self) -> bool {
        matches!(self.kind, Kind::Fault(_))
    }
}

const fn check(name: &'static str, about: &'static str, make: fn() -> Box<dyn Check>) -> Selftest {
    Selftest { name, about, kind: Kind::Check(make) }
}

const fn fault(name: &'static str, about: &'static str, fault: Fault) -> Selftest {
    Selftest { name, about, kind: Kind::Fault(fault) }
}
