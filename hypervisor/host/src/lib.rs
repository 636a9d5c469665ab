//! A running host: boot information, banner, monitor and services over the [`Machine`] trait.
#![forbid(unsafe_code)]
#![cfg_attr(not(test), no_std)]

extern crate alloc;

pub mod banner;
pub mod boot;
pub mod command_line;
pub mod description;
pub mod fragment;
pub mod log_line;
pub mod machine;
pub mod monitor;
pub mod name;
pub mod pci_names;
pub mod size;
pub mod spelling;
pub mod split_mix;
pub mod startup;

pub use machine::Machine;
pub use startup::Startup;
