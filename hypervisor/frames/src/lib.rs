//! Host frames: runs, orders and the allocator that keeps memory in one piece.
//!
//! [`Frames`] is shared between CPUs and owns nothing but a caller's slice of metadata. Every CPU allocates and
//! frees through its own [`CpuFrames`], which keeps a few single frames at hand, so that most calls take no
//! lock. What is allocated is a [`FrameRun`]: an owned value, so that a double free does not compile.
//!
//! ```
//! use godwit_frames::{FrameRange, Frames, HostFrame, Mobility, Order};
//!
//! let span = FrameRange::new(HostFrame::containing(0x10_0000), 16 << 8); // 16 MiB from 1 MiB on
//! let mut metadata = vec![0; Frames::metadata_words(span.frames)];
//! let frames = Frames::new(span, &mut metadata)?;
//! frames.release(span)?;
//!
//! let mut cpu = frames.cpu();
//! let large = cpu.allocate(Order::LARGE, Mobility::Movable)?;
//! assert_eq!((large.frames(), large.start().number() % 512), (512, 0));
//! cpu.free(large)?;
//! cpu.drain();
//! assert_eq!(frames.report().free_frames, span.frames);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! From the bottom up: `buddies` is arithmetic on 512 bits; `tally`, `vacancy`, `header`, `candidates` and `table`
//! are what a `zone` knows and how it finds things; `hand` is what a CPU keeps. `docs/notes/0002` says why.
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
