//! A running host: boot information, banner, monitor and services over the [`Machine`] trait.
#![forbid(unsafe_code)]
#![cfg_attr(not(test), no_std)]

extern crate alloc;

pub mod boot;
pub mod description;
pub mod machine;

pub use machine::Machine;
