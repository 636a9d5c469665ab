//! What the allocator promises, one behaviour at a time.

mod compact;
mod contract;
mod ground;
mod placement;
mod runs;
