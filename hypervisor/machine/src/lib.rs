//! The real x86-64 machine: boot, CPUs, interrupts, PCI, paging.
//!
//! Unsafe code lives here and nowhere above. What can be safe is: parsers of firmware tables read through
//! [`physical::PhysicalMemory`], so that host tests can hand them tables no emulator makes. What only a freestanding
//! image can link stands behind the feature `kernel`.
#![cfg_attr(not(test), no_std)]

extern crate alloc;

pub mod acpi;
pub mod boot;
pub mod cpu;
pub mod cursor;
pub mod features;
mod fields;
pub mod interrupts;
pub mod memory;
pub mod nic;
pub mod pci;
pub mod physical;
pub mod random;
#[cfg(test)]
mod sparse_memory;
pub mod speculation;
pub mod svm;
pub mod symbols;
pub mod time;
pub mod virtual_cpu;

#[cfg(feature = "kernel")]
pub mod apic;
#[cfg(feature = "kernel")]
#[expect(unsafe_code, reason = "calls what needs a promise about the whole machine, once, in order")]
pub mod bring_up;
#[cfg(feature = "kernel")]
#[expect(unsafe_code, reason = "the serial port's I/O ports")]
pub mod console;
#[cfg(feature = "kernel")]
pub mod fault;
#[cfg(feature = "kernel")]
pub mod hardware;
#[cfg(feature = "kernel")]
#[expect(unsafe_code, reason = "hands out raw memory")]
pub mod heap;
#[cfg(feature = "kernel")]
mod logger;
#[cfg(feature = "kernel")]
#[expect(unsafe_code, reason = "I/O ports of the chipset")]
pub mod power;
#[cfg(feature = "kernel")]
#[expect(unsafe_code, reason = "raises faults")]
pub mod provoke;
#[cfg(feature = "kernel")]
#[expect(unsafe_code, reason = "I/O ports and mapped registers")]
pub mod register;
