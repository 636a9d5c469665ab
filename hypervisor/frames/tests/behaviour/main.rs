//! What the allocator promises, one behaviour at a time.
#![cfg(not(loom))]

mod compact;
mod contract;
mod ground;
mod placement;
mod runs;
