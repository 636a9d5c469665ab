//! A picture of the frames: where memory is free in one piece, and where it is broken up.
//!
//! [`write_map`] draws it for a person, [`write_orders`] adds the figures, [`write_raw`] says the same to a program. All
//! walk the 2 MiB blocks once or twice and keep nothing, so a TiB of memory costs as little heap as a MiB: none.

mod map;
mod orders;
mod raw;

pub use map::write_map;
pub use orders::write_orders;
pub use raw::write_raw;

/// Frames of a 2 MiB block.
const BLOCK_FRAMES: u64 = godwit_frames::Order::LARGE.frames();
