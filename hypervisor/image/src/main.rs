//! The bootable image: entry, symbols, panic, one call into the host.
//!
//! The boot path's assembly (`godwit_machine::boot`) ends here with the address of what the loader left; the machine
//! brings itself up and the host runs on it for ever.
#![no_std]
#![no_main]
// The memory functions below must not be compiled into calls of themselves.
#![no_builtins]

extern crate alloc;

#[expect(unsafe_code, reason = "the compiler calls these by their C names with raw pointers")]
mod memory_functions;
#[expect(unsafe_code, reason = "symbol names that the linker script and the boot path expect")]
mod start;
