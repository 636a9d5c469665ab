//! Starts emulated hosts, reads their serial lines with deadlines, and ends them.
//!
//! A [`HostSpec`] says what machine to emulate, [`RunningHost::start`] starts it, and the running host answers
//! [`expect`](RunningHost::expect), [`command`](RunningHost::command) and [`qemu_monitor`](RunningHost::qemu_monitor).
//! Nothing here sleeps: every wait is for an event and has a deadline, and every emulator is ended by its own process,
//! whether a test returns, panics or is killed. A [`LabFile`] describes several hosts at once, and a [`Lab`] runs them, joined by
//! a [`Switch`].
#![forbid(unsafe_code)]

mod emulator;
mod fault_report;
mod guest_line;
mod host;
mod keeper;
mod lab;
mod memory_size;
mod micro;
mod network;
mod patience;
mod qmp;
mod raw_frames;
mod screen;
mod spec;
mod topology;
mod transcript;

pub use emulator::Emulator;
pub use fault_report::{CodeAddress, FaultReport};
pub use guest_line::GuestLine;
pub use host::{Exit, RunningHost};
pub use lab::Lab;
pub use memory_size::MemorySize;
pub use micro::{MicroRun, Verdict, micro_trials, micro_trials_of_several_cpus, try_each};
pub use network::{Drops, MAX_FRAME_BYTES, MacAddress, Port, PortCounters, Switch, Traffic};
pub use raw_frames::{Block, RawFrames};
pub use spec::{HostSpec, MachineKind, NetworkSpec, OnReset};
pub use topology::{Fragment, InterfaceAddress, LabAdapter, LabFile, LabHost};
pub use transcript::{Match, StampedLine};
