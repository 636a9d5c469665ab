//! Host frames: runs, orders and the allocator that keeps memory in one piece.
//!
//! [`Frames`] is shared between CPUs and owns nothing but a caller's slice of metadata. Every CPU
//! allocates and frees through its own [`CpuFrames`], which keeps a few single frames at hand and takes a
//! lock only once per 64 of them. What is allocated is a [`FrameRun`]: an owned value, so that a double
//! free does not compile.
#![forbid(unsafe_code)]
#![cfg_attr(not(test), no_std)]

mod block;
mod buddies;
mod candidates;
mod compact;
mod cpu;
mod error;
mod frame;
mod frames;
mod hand;
mod header;
mod lock;
mod order;
mod report;
mod run;
mod runs;
mod table;
mod tally;
mod vacancy;
mod zone;

pub use block::{BlockState, BlockView, Content, Mobility};
pub use compact::{CompactReport, DecodeError};
pub use cpu::CpuFrames;
pub use error::{AllocateError, FreeError, RangeError, ZoneError};
pub use frame::{FRAME_BYTES, FrameRange, HostFrame};
pub use frames::{Blocks, Frames, MAX_ZONES};
pub use order::Order;
pub use report::Report;
pub use run::FrameRun;
pub use zone::Unsound;
