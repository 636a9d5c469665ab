//! Guests that cannot be waited for: those that end their machine in every way there is, and those that the host has to notice and
//! to stop.

use core::{arch::asm, hint::spin_loop};

use x86_64::instructions::{hlt, interrupts::disable, port::Port};

use crate::{
    acpi, apic,
    asked::Asked,
    console::println,
    interrupts,
    time::wait,
    trial::{Outcome, Trial, failed, name},
    window::{self, Size},
};

pub(super) const TRIALS: &[Trial] = &[
    Trial::endless("power-off-by-acpi", power_off),
    Trial::endless("reset-by-control-port", reset_control),
    Trial::endless("reset-by-keyboard-controller", reset_keyboard),
    Trial::endless("triple-fault", triple_fault),
    Trial::endless("spin", spin),
    Trial::endless("halt-forever", halt),
    Trial::endless("tables-in-device-memory", tables_in_device),
    Trial::endless("code-in-device-memory", code_in_device),
    Trial::endless("stack-in-device-memory", stack_in_device),
];

fn begin() {
    println!("micro {} begins", name());
}

/// What did not end the machine in a second has failed.
fn still_here() -> Outcome {
    wait(1000, || false);
    Err(failed(format_args!("the machine goes on")))
}

/// SLP_EN with the sleep type of S5, by the port of the FADT.
fn power_off(_: &Asked<'_>) -> Outcome {
    begin();
    acpi::power_off();
}

/// The reset control register of PCs: a full reset when bit 2 rises (Intel's ICH9 data sheet, 13.7.6).
fn reset_control(_: &Asked<'_>) -> Outcome {
    begin();
    // SAFETY: the machine resets, which is the point.
    unsafe {
        Port::<u8>::new(0xcf9).write(0x02);
        Port::<u8>::new(0xcf9).write(0x06);
    }
    still_here()
}

/// The keyboard controller's command that pulses the reset line.
fn reset_keyboard(_: &Asked<'_>) -> Outcome {
    begin();
    // SAFETY: as above.
    unsafe { Port::<u8>::new(0x64).write(0xfe) };
    still_here()
}

/// An exception without a table to deliver it by.
fn triple_fault(_: &Asked<'_>) -> Outcome {
    begin();
    interrupts::load_idt(0);
    // SAFETY: the machine shuts down, which is the point.
    unsafe { asm!("ud2", options(noreturn)) };
}

/// Spins with interrupts off.
fn spin(_: &Asked<'_>) -> Outcome {
    begin();
    disable();
    loop {
        spin_loop();
    }
}

/// Halts with interrupts off.
fn halt(_: &Asked<'_>) -> Outcome {
    begin();
    disable();
    loop {
        hlt();
    }
}

/// The table of the window's small pages is the local APIC's page.
fn tables_in_device(_: &Asked<'_>) -> Outcome {
    begin();
    window::map(Size::Page4K, 0, 0);
    window::use_table(apic::LOCAL);
    // SAFETY: whatever comes of it is what is tried.
    unsafe { asm!("mov al, [{}]", in(reg) window::WINDOW, out("al") _) };
    still_here()
}

fn code_in_device(_: &Asked<'_>) -> Outcome {
    begin();
    // SAFETY: as above.
    unsafe { asm!("jmp {}", in(reg) apic::LOCAL + 0x300, options(noreturn)) };
}

/// An exception is delivered on a stack that is no memory.
fn stack_in_device(_: &Asked<'_>) -> Outcome {
    begin();
    interrupts::on_bare_stack(6);
    // SAFETY: as above.
    unsafe { asm!("mov rsp, {}", "ud2", in(reg) apic::LOCAL + 0x400, options(noreturn)) };
}
