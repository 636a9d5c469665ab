//! Second-level page tables as arithmetic, over a caller's table memory.
//!
//! [`NestedTables`] turns guest frames into host frames in the format that the processor walks: [`Npt`] (AMD) or [`Ept`]
//! (Intel), four levels, leaves of 4 KiB, 2 MiB and 1 GiB. It owns no memory: it asks a [`TableMemory`] for tables and
//! reads and writes their entries through it. A *guest frame* is a `u64` everywhere: guest-physical address / 4096.
//!
//! ```
//! use godwit_frames::{FrameRange, HostFrame, Order};
//! use godwit_nested::{NestedTables, Npt, Rights, TableMemory};
//!
//! struct Tables(Vec<[u64; 512]>); // table n is frame n
//! impl TableMemory for Tables {
//!     fn load(&self, table: HostFrame, index: usize) -> u64 {
//!         self.0[table.number() as usize][index]
//!     }
//!     fn store(&mut self, table: HostFrame, index: usize, entry: u64) {
//!         self.0[table.number() as usize][index] = entry;
//!     }
//!     fn clear(&mut self, table: HostFrame, index: usize, mask: u64) -> u64 {
//!         let before = self.load(table, index);
//!         self.store(table, index, before & !mask);
//!         before
//!     }
//!     fn allocate(&mut self) -> Option<HostFrame> {
//!         self.0.push([0; 512]);
//!         Some(HostFrame::new(self.0.len() as u64 - 1))
//!     }
//!     fn free(&mut self, _table: HostFrame) {}
//! }
//!
//! let mut memory = Tables(Vec::new());
//! let mut tables = NestedTables::<Npt>::new(&mut memory, Order::HUGE)?;
//! // 1 GiB + 2 MiB of RAM: two leaves.
//! tables.map(&mut memory, 0, FrameRange::new(HostFrame::new(3 << 18), 0x4_0200), Rights::all())?;
//! assert_eq!((tables.histogram().huge.leaves, tables.histogram().large.leaves), (1, 1));
//! // One frame of the first is taken its write right: the 1 GiB leaf is split where it is cut, and nowhere else.
//! let change = tables.protect(&mut memory, 7..8, Rights::EXECUTE)?;
//! assert!(change.flush);
//! assert_eq!((tables.histogram().large.leaves, tables.histogram().frame.leaves), (512, 512));
//! # tables.destroy(&mut memory);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Processors that walk the tables meanwhile
//!
//! Every operation may run while processors run the guest:
//!
//! - They set accessed and dirty marks at any time. No mark they make in an entry is lost: an entry changes either by the
//!   atomic [`TableMemory::clear`], or it is made absent by it first, and replaced then, with the marks it had.
//! - So an entry that changes can be absent for a moment. A nested fault on a frame whose [`lookup`](NestedTables::lookup)
//!   allows the access means: try again.
//! - They remember what they walked. [`Change::flush`] says whether they must forget it. The order is law: *protect or
//!   clear → flush, acknowledged by every CPU that runs the guest → read*. What is read earlier (the bytes of a frame,
//!   or a mark) may be older than a write that has happened.
//! - A table that was freed may still be walked until that flush: [`TableMemory::free`] says what follows.
//! - Some processors take a machine check when they fetch an instruction through remembered leaves of two sizes; where the
//!   processor has that flaw, keep its CPUs out of the guest from [`split`](NestedTables::split) or
//!   [`merge`](NestedTables::merge) until the flush.
//!
//! From the bottom up: `format` is the bits, `entry` and `level` are the arithmetic, `cursor` finds leaves, `tables` changes them.
#![forbid(unsafe_code)]
#![cfg_attr(not(test), no_std)]

mod cursor;
mod entry;
mod error;
mod format;
mod histogram;
mod leaf;
mod level;
mod memory;
mod tables;

pub use error::{MapError, MergeError, OutOfTables, SplitError};
pub use format::{Ept, Format, Npt};
pub use histogram::{OrderHistogram, Tally};
pub use leaf::{Change, Leaf, Mark, Rights};
pub use level::{GUEST_FRAMES, HOST_FRAMES};
pub use memory::TableMemory;
pub use tables::NestedTables;
