//! A running host: boot information, banner, monitor and services over the [`Machine`] trait.
#![forbid(unsafe_code)]
#![cfg_attr(not(test), no_std)]

extern crate alloc;

pub mod banner;
pub mod boot;
pub mod command_line;
mod console;
mod cpu_loop;
pub mod description;
pub mod excerpt;
pub mod fragment;
pub mod guests;
mod host;
mod job;
pub mod log_line;
pub mod machine;
mod monitor;
mod moves;
pub mod name;
pub mod network;
pub mod pci_names;
pub mod picture;
mod round;
mod scheduler;
pub mod selftest;
pub mod size;
pub mod spelling;
pub mod split_mix;
pub mod startup;
mod state;
pub mod svm_without;

pub use cpu_loop::{CpuLoop, run_cpu};
pub use host::{Host, run};
pub use machine::Machine;
pub use startup::Startup;
