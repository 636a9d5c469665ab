//! What a guest is, independent of the processor's vendor: CPU state, memory, descriptions, loaders.
#![forbid(unsafe_code)]
#![cfg_attr(not(test), no_std)]

extern crate alloc;

pub mod address;
pub mod baseline;
pub mod bundle;
pub mod cpu;
pub mod description;
pub mod emulate;
pub mod file;
pub mod layout;
pub mod loader;
pub mod memory;
pub mod msr_policy;
pub mod vcpu;
mod vcpu_set;

pub use address::{GuestAddress, GuestFrame};
pub use memory::{GuestMemory, NotRam};
pub use vcpu_set::{MAX_VCPUS, VcpuIndex, VcpuSet};
