//! Nested page tables as a caller, and as a processor, sees them.
//!
//! What stands in memory is never read through the code under test: `walker` knows the manuals' bits on its own.

mod fixture;
mod formats;
mod harvest;
mod map;
mod marks_while_running;
mod memory;
mod model;
mod protect;
mod resize;
mod sequences;
mod unmap;
mod walker;
