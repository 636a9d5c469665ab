//! What a guest sees besides its CPU and its memory: serial port, timers, interrupt controllers, ACPI,
//! clocks.
//!
//! A [`Board`] is all of it, wired together. Whoever runs the guest hands port, memory-mapped and MSR
//! accesses to it, calls [`Board::advance`] at [`Board::deadline`], and delivers what
//! [`Board::accept_interrupt`] gives. A guest has up to [`MAX_VCPUS`](godwit_guest::MAX_VCPUS) CPUs; what one of them does to
//! the others is in [`Board::take_attention`] and [`Board::take_start`].
//!
//! ```
//! use godwit_devices::{Board, BoardConfig, Now};
//!
//! let config = BoardConfig {
//!     cpus: 2,
//!     memory_bytes: 64 << 20,
//!     tsc_hz: 2_000_000_000,
//!     wall_clock_start_s: 1_700_000_000,
//! };
//! let mut board = Board::new(&config);
//! let now = Now::default();
//! for byte in *b"hello\n" {
//!     board.write_port(now, 0x3f8, 1, u32::from(byte));
//! }
//! let mut printed = Vec::new();
//! board.take_output(&mut |bytes| printed.extend_from_slice(bytes));
//! assert_eq!(printed, b"hello\n");
//!
//! // Moved to another host, the guest finds the same devices.
//! let moved = Board::restore(&config, now, &board.save(now))?;
//! assert_eq!(moved.save(now), board.save(now));
//! # Ok::<(), godwit_devices::RestoreError>(())
//! ```
//!
//! Each device's module says how it migrates. All keep time as the guest's own ([`GuestTime`], the guest's
//! TSC), so nothing of a host's clock is ever saved.
#![forbid(unsafe_code)]
#![cfg_attr(not(test), no_std)]

extern crate alloc;

mod board;
mod clock;
mod io_apic;
mod local_apic;
mod message;
mod pci;
mod pic;
mod pit;
mod power;
mod refused;
mod reset;
mod rtc;
mod saved;
mod serial;
pub mod tables;
mod time;

pub use board::{Board, BoardConfig, BoardCounters};
pub use local_apic::Start;
pub use refused::Refused;
pub use reset::PowerRequest;
pub use saved::{DeviceId, RestoreError, SavedDevice, UnknownDevice};
pub use time::{GuestTime, Now};
