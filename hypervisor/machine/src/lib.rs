//! The real x86-64 machine: boot, CPUs, interrupts, PCI, paging.
//!
//! Unsafe code lives here and nowhere above. What can be safe is: parsers of firmware tables read through
//! [`physical::PhysicalMemory`], so that host tests can hand them tables no emulator makes.
#![cfg_attr(not(test), no_std)]

extern crate alloc;

pub mod acpi;
pub mod boot;
pub mod features;
mod fields;
pub mod physical;
#[cfg(test)]
mod sparse_memory;
