//! Host frames: runs, orders and the allocator that keeps memory in one piece.
#![forbid(unsafe_code)]
#![cfg_attr(not(test), no_std)]

mod frame;
mod order;

pub use frame::{FrameRange, HostFrame};
pub use order::Order;
