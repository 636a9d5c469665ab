//! Runs targets without a nightly compiler: inputs from a seed, in processes of their own.
//!
//! The input of an execution follows from target, seed and the execution's number alone ([`Generator`]), so a run comes out the same
//! everywhere, and one execution can be had without those before it. Targets run in a [`worker`] process; the [`supervise`]
//! module watches it, so that panics, aborts, endless loops, overflown stacks and too much memory are all the same to it: the
//! process ended. It then finds the execution, [shrinks](mod@shrink) its input, and says how to run it again.

mod generate;
pub mod hex;
mod mutate;
pub mod report;
mod shrink;
pub mod supervise;
pub mod worker;

pub use generate::{DEFAULT_SEED, Generator};
pub use shrink::shrink;
