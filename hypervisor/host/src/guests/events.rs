//! What happened to this host's guests: the last events, in the order in which they came.
//!
//! The log takes a fixed amount of memory at most, whatever guests and peers do: the oldest events go first, texts are cut, and a
//! crash is of one size.

use alloc::{boxed::Box, collections::VecDeque};
use core::fmt::{self, Write};

use arrayvec::ArrayString;
use godwit_guest::description::GuestName;

use super::Crash;
use crate::{machine::Instant, size::Size};

/// Events that are kept.
const MAX_EVENTS: usize = 64;
/// Bytes of a text in an event.
const TEXT_BYTES: usize = 160;

/// A text in an event, as much of it as fits, without control characters: some come from other hosts.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Text(ArrayString<TEXT_BYTES>);

impl Text {
    /// The beginning of what `text` shows as.
    pub(crate) fn new(text: impl fmt::Display) -> Self {
        let mut kept = Self::default();
        // It says that it is full by an error; what fits is kept.
        let _ = write!(kept, "{text}");
        kept
    }
}

impl Write for Text {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for character in text.chars() {
            let shown = if character.is_control() { '?' } else { character };
            self.0.try_push(shown).map_err(|_| fmt::Error)?;
        }
        Ok(())
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What can happen to a guest.
#[derive(Debug)]
pub(crate) enum What {
    /// Its memory is being filled.
    Starting,
    /// It runs, from its kernel's beginning.
    Started { memory_bytes: u64, cpus: usize },
    /// It could not be started.
    NotStarted { why: Text },
    /// A person stopped it for a while.
    Paused,
    /// A person let it go on.
    Resumed,
    /// Its memory was freed.
    Stopped { why: Text },
    /// It switched its machine off.
    SwitchedOff,
    /// It asked to be started again.
    AskedForReset,
    /// It came to an end that it did not ask for.
    Crashed(Box<Crash>),
    /// It is on its way to another host.
    Leaving { to: Text },
    /// It runs on another host now.
    Left { to: Text },
    /// It is here again: its move failed.
    Stays { why: Text },
    /// Another host was told to run it and has not answered.
    InDoubt { to: Text },
    /// That host was started again meanwhile, and cannot say.
    Forgotten { by: Text },
    /// It runs on both hosts.
    Conflict { with: Text },
    /// It is on its way here.
    Arriving { from: Text },
    /// It runs here now.
    Arrived { from: Text, stood_still_ms: u64 },
    /// Its move to here failed.
    NotArrived { why: Text },
}

impl What {
    /// A word for programs.
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Started { .. } => "started",
            Self::NotStarted { .. } => "not-started",
            Self::Paused => "paused",
            Self::Resumed => "resumed",
            Self::Stopped { .. } => "stopped",
            Self::SwitchedOff => "switched-off",
            Self::AskedForReset => "asked-for-reset",
            Self::Crashed(_) => "crashed",
            Self::Leaving { .. } => "leaving",
            Self::Left { .. } => "left",
            Self::Stays { .. } => "stays",
            Self::InDoubt { .. } => "in-doubt",
            Self::Forgotten { .. } => "forgotten",
            Self::Conflict { .. } => "conflict",
            Self::Arriving { .. } => "arriving",
            Self::Arrived { .. } => "arrived",
            Self::NotArrived { .. } => "not-arrived",
        }
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Starting => write!(f, "is being started"),
            Self::Started { memory_bytes, cpus } => {
                let plural = if *cpus == 1 { "" } else { "s" };
                write!(f, "started with {} and {cpus} CPU{plural}", Size::from_bytes(*memory_bytes))
            }
            Self::NotStarted { why } => write!(f, "did not start: {why}"),
            Self::Paused => write!(f, "paused"),
            Self::Resumed => write!(f, "resumed"),
            Self::Stopped { why } => write!(f, "stopped: {why}"),
            Self::SwitchedOff => write!(f, "switched itself off"),
            Self::AskedForReset => write!(f, "asked to start again"),
            Self::Crashed(crash) => write!(f, "{crash}"),
            Self::Leaving { to } => write!(f, "moves to {to}"),
            Self::Left { to } => write!(f, "left for {to}; its memory here is free"),
            Self::Stays { why } => write!(f, "stays here: {why}"),
            Self::InDoubt { to } => write!(f, "in doubt: {to} was told to run it and has not answered"),
            Self::Forgotten { by } => write!(f, "in doubt: {by} does not know it any more"),
            Self::Conflict { with } => write!(f, "runs here AND on {with}"),
            Self::Arriving { from } => write!(f, "is on its way here, from {from}"),
            Self::Arrived { from, stood_still_ms } => {
                write!(f, "runs here, from {from}; it stood still for {stood_still_ms} ms")
            }
            Self::NotArrived { why } => write!(f, "did not arrive: {why}"),
        }
    }
}

/// Something that happened.
#[derive(Debug)]
pub(crate) struct Event {
    /// When.
    pub(crate) at: Instant,
    guest: ArrayString<{ GuestName::MAX_BYTES }>,
    /// What.
    pub(crate) what: What,
}

impl Event {
    /// Which guest it happened to, by name.
    pub(crate) fn guest(&self) -> &str {
        &self.guest
    }
}

/// The last events of a host.
#[derive(Debug, Default)]
pub(crate) struct EventLog {
    events: VecDeque<Event>,
    lost: u64,
}

impl EventLog {
    /// Adds what happened to the guest called `guest`.
    pub(crate) fn add(&mut self, at: Instant, guest: &str, what: What) {
        if self.events.len() >= MAX_EVENTS {
            self.events.pop_front();
            self.lost += 1;
        }
        // No guest has a longer name.
        let name = guest.get(..guest.floor_char_boundary(GuestName::MAX_BYTES)).unwrap_or_default();
        self.events.push_back(Event { at, guest: ArrayString::from(name).unwrap_or_default(), what });
    }

    /// The events, oldest first.
    pub(crate) fn events(&self) -> impl Iterator<Item = &Event> {
        self.events.iter()
    }

    /// Events that had to go for newer ones.
    pub(crate) fn lost(&self) -> u64 {
        self.lost
    }
}

#[cfg(test)]
mod tests {
    use super::{Crash, EventLog, MAX_EVENTS, TEXT_BYTES, Text, What};
    use crate::machine::Instant;

    #[test]
    fn the_oldest_go_first_and_are_counted() {
        let mut log = EventLog::default();
        for number in 0..MAX_EVENTS as u64 + 10 {
            let why = Text::new(number);
            log.add(Instant::from_nanoseconds(number), "web-1", What::Stopped { why });
            assert_eq!(log.events().count() as u64 + log.lost(), number + 1);
        }
        assert_eq!((log.events().count(), log.lost()), (MAX_EVENTS, 10));
        let times: Vec<_> = log.events().map(|event| event.at.as_nanoseconds()).collect();
        assert_eq!(times, (10..MAX_EVENTS as u64 + 10).collect::<Vec<_>>());
        assert!(log.events.capacity() <= 2 * MAX_EVENTS, "{}", log.events.capacity());
    }

    #[test]
    fn an_event_is_of_one_size_whatever_is_said() {
        assert_eq!(Text::new("a\u{1b}[2J\nb").to_string(), "a?[2J?b");
        assert_eq!(Text::new("x".repeat(5000)).to_string(), "x".repeat(TEXT_BYTES));
        assert_eq!(Text::new("\u{20ac}".repeat(100)).to_string(), "\u{20ac}".repeat(TEXT_BYTES / 3));
        let mut log = EventLog::default();
        log.add(Instant::default(), &"é".repeat(40), What::Paused);
        assert_eq!(log.events().next().map(|event| event.guest().to_owned()), Some("é".repeat(16)));
        let most = MAX_EVENTS * (2 * size_of::<super::Event>() + size_of::<Crash>());
        assert!(most < 160 << 10, "{most} bytes");
    }
}
