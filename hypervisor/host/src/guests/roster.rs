//! The guests that this host knows by name.

use alloc::{boxed::Box, string::String, vec::Vec};
use core::fmt;

use godwit_guest::description::{GuestDescription, GuestName};

use super::{MAX_SLOTS, files::BundleFiles, start::StartTask};
use crate::{
    description::{CpuState, Description},
    machine::CpuNumber,
};

/// Where a guest comes from.
#[derive(Clone, Debug)]
pub enum Origin {
    /// A boot module: it can be started again from there.
    Bundle(BundleFiles),
    /// Another host, by name: its kernel is there.
    Moved(String),
}

/// How far a guest is.
pub enum Phase {
    /// It has no memory here. Says why, where it is not only that nobody started it.
    Stopped(Option<String>),
    /// It moved to the host of this name, and runs there for all that is known here.
    Away(String),
    /// It is being started.
    Starting(Box<StartTask>),
    /// It has memory, and is in the slot of its CPU.
    Here,
    /// It is on its way from here to another host.
    Leaving(Leaving),
    /// It is on its way from another host to here.
    Arriving,
}

/// A guest on its way to another host.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Leaving {
    /// The other host.
    pub to: String,
    /// Whether the other host was told to go: then nobody here may run the guest until a person decides.
    pub in_doubt: bool,
}

/// A guest that this host knows.
pub struct Entry {
    /// What it is.
    pub description: GuestDescription,
    /// Where it comes from.
    pub origin: Origin,
    /// The CPU whose guest it is while it has memory, or while that is prepared.
    pub cpu: Option<CpuNumber>,
    /// The CPU in whose slot its last output is still kept: its own, or the one that it had and that no guest had since.
    pub console: Option<CpuNumber>,
    /// How far it is.
    pub phase: Phase,
}

impl Entry {
    /// A guest that was not started yet.
    pub fn new(description: GuestDescription, origin: Origin) -> Self {
        Self { description, origin, cpu: None, console: None, phase: Phase::Stopped(None) }
    }

    /// Its name.
    pub fn name(&self) -> &GuestName {
        &self.description.name
    }
}

/// No CPU is free for another guest.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NoCpu {
    /// CPUs of this host that run.
    pub cpus: usize,
}

impl fmt::Display for NoCpu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "each of the {} CPUs of this host has a guest already, and a CPU runs one guest for now; stop one first",
            self.cpus
        )
    }
}

/// All guests that this host knows, in the order in which it got to know them.
#[derive(Default)]
pub struct Roster {
    pub(super) entries: Vec<Entry>,
}

impl Roster {
    /// The guests.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The guest called `name`.
    pub fn find(&self, name: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.name().as_str() == name)
    }

    /// The guest called `name`, to be changed.
    pub(crate) fn find_mut(&mut self, name: &str) -> Option<&mut Entry> {
        self.entries.iter_mut().find(|entry| entry.name().as_str() == name)
    }

    /// The guest whose CPU is `cpu`.
    pub(crate) fn on_cpu(&mut self, cpu: CpuNumber) -> Option<&mut Entry> {
        self.entries.iter_mut().find(|entry| entry.cpu == Some(cpu))
    }

    /// Gives `cpu`, which no guest has, to the guest called `name`. `true` where what the slot's console still holds is
    /// another guest's, and has to go.
    pub(crate) fn give_cpu(&mut self, name: &str, cpu: CpuNumber) -> bool {
        let mut is_foreign = true;
        for entry in &mut self.entries {
            if entry.name().as_str() == name {
                is_foreign = entry.console != Some(cpu);
                entry.cpu = Some(cpu);
                entry.console = Some(cpu);
            } else if entry.console == Some(cpu) {
                entry.console = None;
            }
        }
        is_foreign
    }

    /// Adds a guest whose name is new.
    pub(crate) fn add(&mut self, entry: Entry) {
        self.entries.push(entry);
    }

    /// Forgets the guest called `name`, which has no memory here.
    pub(crate) fn forget(&mut self, name: &str) {
        self.entries.retain(|entry| entry.name().as_str() != name);
    }

    /// Whether a guest is being started.
    pub fn is_starting(&self) -> bool {
        self.entries.iter().any(|entry| matches!(entry.phase, Phase::Starting(_)))
    }

    /// A CPU without a guest: the last such one, because the first has the most other work.
    ///
    /// # Errors
    /// [`NoCpu`].
    pub fn free_cpu(&self, machine: &Description) -> Result<CpuNumber, NoCpu> {
        let running = |(number, cpu): (usize, &crate::description::CpuInfo)| {
            (cpu.state == CpuState::Running).then_some(CpuNumber(number as u16))
        };
        let cpus = machine.cpus.iter().take(MAX_SLOTS).enumerate().filter_map(running);
        let taken = |cpu: &CpuNumber| self.entries.iter().any(|entry| entry.cpu == Some(*cpu));
        let count = cpus.clone().count();
        cpus.rev().find(|cpu| !taken(cpu)).ok_or(NoCpu { cpus: count })
    }
}
