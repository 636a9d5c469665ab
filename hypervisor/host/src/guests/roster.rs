//! The guests that this host knows by name.

use alloc::{boxed::Box, string::String, sync::Arc, vec::Vec};

use godwit_guest::description::{GuestDescription, GuestName};

use super::{ConsoleHandle, Guest, TrustDomain, files::BundleFiles, start::StartTask};

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
    /// It has memory, and its virtual CPUs are with the scheduler.
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
    /// The guest itself, while it has memory here.
    pub guest: Option<Arc<Guest>>,
    /// What it said and was told, also when it has come to an end.
    pub console: ConsoleHandle,
    /// How far it is.
    pub phase: Phase,
}

impl Entry {
    /// A guest that was not started yet.
    pub fn new(description: GuestDescription, origin: Origin) -> Self {
        Self {
            description,
            origin,
            guest: None,
            console: ConsoleHandle::default(),
            phase: Phase::Stopped(None),
        }
    }

    /// Its name.
    pub fn name(&self) -> &GuestName {
        &self.description.name
    }
}

/// All guests that this host knows, in the order in which it got to know them.
#[derive(Default)]
pub struct Roster {
    pub(super) entries: Vec<Entry>,
    /// Trust domains by name, as far as guests here name them.
    domains: Vec<(GuestName, TrustDomain)>,
    /// Trust domains so far.
    domains_count: u64,
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

    /// Adds a guest whose name is new.
    pub(crate) fn add(&mut self, entry: Entry) {
        self.entries.push(entry);
    }

    /// Forgets the guest called `name`, which has no memory here.
    pub(crate) fn forget(&mut self, name: &str) {
        self.entries.retain(|entry| entry.name().as_str() != name);
    }

    /// The guest called `name`, while it has memory here.
    pub(crate) fn here(&self, name: &str) -> Option<&Arc<Guest>> {
        self.find(name)?.guest.as_ref()
    }

    /// The trust domain of a guest that starts or arrives: one of its own, unless it names one.
    pub(super) fn trust_domain(&mut self, guest: &GuestDescription) -> TrustDomain {
        let entries = &self.entries;
        let is_named = |name: &GuestName| {
            entries.iter().any(|entry| entry.description.trust_domain.as_ref() == Some(name))
        };
        self.domains.retain(|(name, _)| is_named(name));
        if let Some(name) = &guest.trust_domain
            && let Some((_, known)) = self.domains.iter().find(|(known, _)| known == name)
        {
            return *known;
        }
        self.domains_count += 1;
        let domain = TrustDomain(self.domains_count);
        if let Some(name) = &guest.trust_domain {
            self.domains.push((name.clone(), domain));
        }
        domain
    }

    /// Whether a guest is being started.
    pub fn is_starting(&self) -> bool {
        self.entries.iter().any(|entry| matches!(entry.phase, Phase::Starting(_)))
    }
}
