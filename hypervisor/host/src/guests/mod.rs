//! Guests: their memory, the loop that runs them, and what the host knows about them.
//!
//! A guest that has memory is in the [`slots::Slot`] of its host CPU. That CPU's loop runs it ([`mod@slice`]) and carries out what it
//! stops for ([`exits`], [`instructions`]); whoever else wants it takes it between two exits
//! ([`GuestTable::with_guest`]). The first CPU knows every guest by name ([`roster`]), starts them ([`start`]) and looks after
//! those that came to an end ([`turn`]).

mod clock;
mod console;
mod counters;
mod exits;
mod files;
mod guest;
mod host_cpuid;
mod instructions;
mod memory;
mod ram;
pub(crate) mod report;
mod roster;
mod slice;
mod slots;
mod start;
mod tables;
mod watch;

pub use clock::GuestClock;
pub use console::GuestConsole;
pub use counters::ExitCounters;
pub use guest::{End, Guest, RunState};
pub(crate) use host_cpuid::HostLeaves;
pub use ram::{Door, Ram, Segment};
pub use roster::{Entry, Leaving, NoCpu, Origin, Phase, Roster};
pub(crate) use slice::move_output;
pub use slice::{Rest, Runner};
pub use slots::{GuestTable, MAX_SLOTS, Slot};
pub(crate) use start::{Parts, assemble, begin as begin_start, give_cpu, place};
pub use tables::{OpenTables, TableFrames};
pub(crate) use watch::{
    autostart, look_again, read_bundles, set_run_state, stop, turn, type_byte, went_away,
};
