//! Guests: their memory, the loop that runs them, and what the host knows about them.
//!
//! The virtual CPUs of a guest that has memory are with the scheduler ([`GuestTable`]). Each host CPU's loop runs one after the other
//! ([`mod@slice`]) and carries out what they stop for ([`exits`], [`instructions`]); whoever else wants one takes it between two
//! exits ([`Vcpu::take`]). The first CPU knows every guest by name ([`roster`]), starts them ([`start`]) and looks after
//! those that came to an end ([`turn`]). [`tracking`] finds out what a running guest writes.

mod clock;
mod console;
mod counters;
mod crash;
mod epoch;
mod events;
mod exits;
mod files;
pub(crate) mod fit;
mod guest;
mod host_cpuid;
mod instructions;
mod life;
mod marks;
mod memory;
mod paging;
mod ram;
pub(crate) mod report;
mod roster;
mod slice;
mod start;
mod table;
mod tables;
mod tracking;
mod vcpu;
mod watch;

pub use clock::GuestClock;
pub use console::{ConsoleHandle, GuestConsole};
pub use counters::ExitCounters;
pub use crash::Crash;
pub(crate) use events::{Event, EventLog, Text, What};
pub(crate) use guest::Parts;
pub use guest::{Guest, TrustDomain};
pub(crate) use host_cpuid::HostLeaves;
pub use life::{End, Life, RunState};
pub use marks::WriteMarks;
pub use paging::{Paging, Tables};
pub use ram::{Door, Ram, Segment};
pub use roster::{Entry, Leaving, Origin, Phase, Roster};
pub(crate) use slice::move_output;
pub use slice::{Rest, Runner};
pub(crate) use start::{assemble, begin as begin_start, place};
pub use table::GuestTable;
pub(crate) use table::Scene;
pub use tables::{OpenTables, TableFrames};
pub use vcpu::{Core, Vcpu};
pub(crate) use watch::{
    autostart, look_again, note_crashes, read_bundles, set_run_state, stop, turn, type_byte, went_away,
};
