//! Garbage to every device, of every size: whatever they make of it, the machine goes on.

use x86_64::instructions::port::Port;

use crate::{
    acpi, apic,
    asked::Asked,
    console::{self, println},
    environment,
    interrupts::{Controller, expect_from},
    pic, pit,
    trial::{Outcome, Trial, check, figure},
};

pub(super) const TRIALS: &[Trial] = &[Trial::new("garbage", run)];

/// `writes=N` (default 20000) `seed=N`.
fn run(asked: &Asked<'_>) -> Outcome {
    let writes = asked.number("writes", 20_000);
    let mut state = asked.number("seed", 1);
    expect_from(Controller::None);
    for _ in 0..writes {
        let random = next(&mut state);
        let value = next(&mut state);
        match random % 8 {
            0 => local_apic(random >> 8, value),
            1 => io_apic(random >> 8, value),
            // Half of the ports are drawn where devices are.
            place @ 2..=4 => to_port((random >> 16) as u16 & 0x3ff, place, value),
            place => to_port((random >> 16) as u16, place, value),
        }
    }
    // All of it back to where other trials begin.
    apic::start(false);
    for pin in 0..24 {
        apic::route(pin, None);
    }
    pic::start(0);
    pit::stop();
    console::start();
    // What the serial port took ends here.
    println!();
    check!(apic::read(apic::SPURIOUS) & 0x1ff == 0x1ff, "the local APIC does not come back");
    figure("garbage_writes", writes);
    Ok(())
}

/// SplitMix64 (Steele, Lea and Flood, 2014).
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (*state ^ *state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ mixed >> 31
}

fn to_port(port: u16, kind: u64, value: u64) {
    if !is_harmless(port) {
        return;
    }
    // SAFETY: whatever a device makes of it is what is tried; those that reach memory or end the machine are left out.
    unsafe {
        match kind % 6 {
            0 => Port::<u8>::new(port).write(value as u8),
            1 => Port::<u16>::new(port).write(value as u16),
            2 => Port::<u32>::new(port).write(value as u32),
            3 => drop(Port::<u8>::new(port).read()),
            4 => drop(Port::<u16>::new(port).read()),
            _ => drop(Port::<u32>::new(port).read()),
        }
    }
}

/// Ports that are left out on plain emulators: DMA, disks, power management and its configuration, the emulator's own, and
/// serial ports, where QEMU 7.2 stops with an assertion at accesses of more than a byte.
const EMULATORS: [(u16, u16); 17] = [
    (0x0, 0xf),
    (0x80, 0x8f),
    (0xb2, 0xb3),
    (0xc0, 0xdf),
    (0x170, 0x177),
    (0x1f0, 0x1f7),
    (0x2e8, 0x2ef),
    (0x2f8, 0x2ff),
    (0x376, 0x376),
    (0x3e8, 0x3ff),
    (0x500, 0x6ff),
    (0xcf8, 0xcff),
    (0x5658, 0x5659),
    (0xae00, 0xafff),
    (0xb000, 0xb0ff),
    (0xc000, 0xcfff),
    (0xd000, 0xdfff),
];

/// Ports that neither switch the machine off or reset it, which is right of them, nor reach memory by themselves (only
/// plain emulators have such).
pub(super) fn is_harmless(port: u16) -> bool {
    let control = acpi::control_port();
    // An access of 4 bytes reaches 3 ports on.
    let reaches = |first: u16, last: u16| (first.saturating_sub(3)..=last).contains(&port);
    let ends = reaches(control.saturating_sub(4), control.saturating_add(4))
        || reaches(0x64, 0x64)
        || reaches(0x92, 0x92)
        || reaches(0xcf9, 0xcf9);
    let outside =
        !environment::get().is_strict() && EMULATORS.iter().any(|(first, last)| reaches(*first, *last));
    !ends && !outside
}

/// Registers of the local APIC. A command may be anything but INIT, start-up and SMI, which end this CPU rightly.
fn local_apic(place: u64, value: u64) {
    let register = (place & 0xff) << 4;
    let value = value as u32;
    match register {
        apic::COMMAND_LOW => apic::write(register, (value & !0x700) | apic::SELF),
        // NMI and the like on a local pin stay masked; timers may come, interrupts are off.
        apic::LVT_TIMER.. => apic::write(register, value | apic::MASKED),
        _ if place & 0x100 == 0 => apic::write(register, value),
        _ => drop(apic::read(register)),
    }
}

fn io_apic(place: u64, value: u64) {
    if place & 1 == 0 {
        // Delivery modes but fixed can end this CPU as commands do.
        apic::io_write((place >> 1) as u32 & 0x3f, (value as u32 & !0x700) | apic::MASKED);
    } else {
        apic::io_read((place >> 1) as u32);
    }
}
