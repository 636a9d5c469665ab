//! Fuzz targets for everything that parses or models what a guest or a peer can write, and a harness that runs them.
//!
//! A target is a plain function of bytes ([`Target`]). It panics where what it tries breaks a promise, and returns whatever else
//! the bytes are. Two things drive it: the [`harness`] here, which needs no more than stable Rust and whose inputs follow from a
//! seed alone, and libFuzzer through the glue in `fuzz_targets/`, where a nightly compiler is.
#![forbid(unsafe_code)]

pub mod harness;
mod input;
mod target;
pub mod targets;

pub use input::{BOUNDARIES, Input, Script};
pub use target::{Kind, Target};
