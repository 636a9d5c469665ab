//! The local APIC's mode: off, by memory, by model-specific registers.

use x86_64::instructions::interrupts as flag;

use super::msr::{is_gp, try_read, try_write};
use crate::{
    apic,
    asked::Asked,
    environment::{self, cpuid},
    faults::Shown,
    interrupts::{Controller, expect_from, hits},
    pic,
    time::wait,
    trial::{Outcome, Trial, check, found},
};

pub(super) const TRIALS: &[Trial] = &[
    Trial::new("apic-base-refuses-modes-there-are-not", impossible),
    Trial::new("x2apic-works-by-msr-alone", by_msr),
];

const BASE: u32 = 0x1b;
const ENABLED: u64 = 1 << 11;
const EXTENDED: u64 = 1 << 10;
const VECTOR: u8 = 0x71;

// Registers of x2APIC mode (SDM vol. 3, table 11-6).
const ID: u32 = 0x802;
const VERSION: u32 = 0x803;
const END: u32 = 0x80b;
const SPURIOUS: u32 = 0x80f;
const SELF: u32 = 0x83f;

/// Whether it is offered: leaf 1, ECX bit 21.
fn is_offered() -> bool {
    cpuid(1, 0).ecx & (1 << 21) != 0
}

/// Reserved bits, x2APIC without the APIC, and x2APIC where it is not offered (SDM vol. 3, 11.12.1).
fn impossible(_: &Asked<'_>) -> Outcome {
    if !environment::get().is_strict() {
        // QEMU 7.2 takes anything, and does not switch its own APIC on again.
        found!("modes that there are not are not tried on plain emulators");
        return Ok(());
    }
    let before = try_read(BASE).unwrap_or(0);
    let mut refused = [before | 1 << 9, before | 1 << 60, (before & !ENABLED) | EXTENDED, 0];
    refused[3] = if is_offered() { refused[2] } else { before | EXTENDED };
    for value in refused {
        let caught = try_write(BASE, value);
        check!(is_gp(caught), "writing {value:#x} to the APIC base: {}", Shown(caught));
        try_write(BASE, before);
    }
    let after = try_read(BASE);
    check!(after == Ok(before), "the APIC base is {after:x?}, {before:#x} before");
    // By memory it has no registers by number.
    for register in [ID, VERSION, SPURIOUS, 0x83f, 0x8ff] {
        let read = try_read(register);
        check!(is_gp(read.err()), "MSR {register:#x} of the APIC by memory gives {read:x?}");
    }
    Ok(())
}

fn by_msr(_: &Asked<'_>) -> Outcome {
    if !is_offered() {
        found!("x2APIC mode is not offered");
        return Ok(());
    }
    pic::start(0);
    apic::start(false);
    let (id, version) = (apic::read(apic::ID) >> 24, apic::read(apic::VERSION));
    let base = try_read(BASE).unwrap_or(0);
    let entered = try_write(BASE, base | EXTENDED);
    let told = (try_read(ID), try_read(VERSION));
    let by_memory = apic::read(apic::VERSION);
    expect_from(Controller::None);
    try_write(SPURIOUS, 0x1ff);
    flag::enable();
    let sent = try_write(SELF, VECTOR.into());
    let came = wait(2000, || hits(VECTOR) == 1);
    let ended = try_write(END, 0);
    let odd = try_write(END, 1);
    flag::disable();
    // Straight back is no way: only by off.
    let straight = try_write(BASE, base);
    let off = try_write(BASE, base & !(ENABLED | EXTENDED));
    let back = try_write(BASE, base);
    let after = apic::read(apic::VERSION);
    apic::start(false);
    check!(entered.is_none(), "entering x2APIC mode gave {}", Shown(entered));
    check!(
        told == (Ok(id.into()), Ok(version.into())),
        "by number: {told:x?}, by memory {id:#x}, {version:#x}"
    );
    check!(by_memory != version, "the page in memory answers in x2APIC mode");
    check!(sent.is_none() && came, "SELF IPI: {}, came {came}", Shown(sent));
    check!(ended.is_none() && is_gp(odd), "EOI of 0: {}, of 1: {}", Shown(ended), Shown(odd));
    check!(is_gp(straight), "leaving x2APIC mode straight: {}", Shown(straight));
    check!(off.is_none() && back.is_none(), "off: {}, on again: {}", Shown(off), Shown(back));
    check!(after == version, "by memory again: version {after:#x}, {version:#x} before");
    Ok(())
}
