//! The state of one virtual CPU, in the vendor-neutral form that is saved, sent and restored.

mod initial;
mod registers;
mod segments;
mod state;

pub use registers::{General, Registers};
pub use segments::{Attributes, Segment, Segments, Table};
pub use state::{Activity, Control, CpuState, Debug, Msrs};
