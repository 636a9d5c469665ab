//! Guests that cannot be waited for: the host has to notice, say so, and stop them.

use core::{arch::asm, hint::spin_loop};

use x86_64::instructions::{hlt, interrupts::disable};

use crate::{
    asked::Asked,
    console::println,
    interrupts,
    trial::{Outcome, name},
};

/// An exception without a table to deliver it by.
pub(super) fn triple_fault(_: &Asked<'_>) -> Outcome {
    println!("micro {} begins", name());
    interrupts::load_idt(0);
    // SAFETY: the machine shuts down, which is the point.
    unsafe { asm!("ud2", options(noreturn)) };
}

/// Spins with interrupts off.
pub(super) fn spin(_: &Asked<'_>) -> Outcome {
    println!("micro {} begins", name());
    disable();
    loop {
        spin_loop();
    }
}

/// Halts with interrupts off.
pub(super) fn halt(_: &Asked<'_>) -> Outcome {
    println!("micro {} begins", name());
    disable();
    loop {
        hlt();
    }
}
