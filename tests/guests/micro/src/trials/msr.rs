//! Model-specific registers: those that must be there, those that must not, and who may reach them.

use x86_64::registers::model_specific::Msr;

use crate::{
    apic,
    asked::Asked,
    environment,
    faults::{Caught, Shown, catch},
    trial::{Outcome, Trial, check, check_strictly, found},
    user,
};

pub(super) const TRIALS: &[Trial] = &[
    Trial::new("msr-boot-values-are-as-at-reset", boot_values),
    Trial::new("msr-kept-values-read-back", kept),
    Trial::new("msr-unknown-gives-gp", unknown),
    Trial::new("msr-reserved-bits-give-gp", reserved),
    Trial::new("msr-in-user-code-gives-gp", user_code),
    Trial::new("msr-tsc-write-moves-rdtsc", time_stamp),
    Trial::new("every-msr-answers-or-gives-gp", all),
];

const APIC_BASE: u32 = 0x1b;
const TIME_STAMP: u32 = 0x10;
const EFER: u32 = 0xc000_0080;

/// Reads a register that may not exist.
pub(super) fn try_read(register: u32) -> Result<u64, Caught> {
    let (low, high): (u64, u64);
    let caught = catch!("rdmsr"; in("ecx") register, out("rax") low, out("rdx") high);
    match caught {
        Some(caught) => Err(caught),
        None => Ok(high << 32 | low & 0xffff_ffff),
    }
}

/// Writes a register that may not exist, or may refuse the value.
pub(super) fn try_write(register: u32, value: u64) -> Option<Caught> {
    catch!("wrmsr"; in("ecx") register, in("eax") value as u32, in("edx") (value >> 32) as u32)
}

/// Whether it is #GP(0).
pub(super) fn is_gp(caught: Option<Caught>) -> bool {
    matches!(caught, Some(Caught { vector: 13, error_code: 0, .. }))
}

fn boot_values(_: &Asked<'_>) -> Outcome {
    let base = try_read(APIC_BASE);
    check!(
        base.is_ok_and(|base| base & 0xf_ffff_f000 == apic::LOCAL && base & 0x900 == 0x900),
        "the APIC base is {base:x?}: not enabled at its reset place on the boot CPU"
    );
    let efer = try_read(EFER);
    check!(
        efer.is_ok_and(|efer| efer & 0x1d00 == 0xd00),
        "EFER is {efer:x?}, not LME, LMA and NXE without SVME"
    );
    Ok(())
}

/// STAR, LSTAR, CSTAR, SFMASK, FS, GS and KERNEL_GS bases, SYSENTER, PAT.
fn kept(_: &Asked<'_>) -> Outcome {
    for (register, value) in [
        (0xc000_0081, 0x0023_0010_0000_0000),
        (0xc000_0082, 0xffff_8000_1234_5678),
        (0xc000_0083, 0x0000_7fff_ffff_f000),
        (0xc000_0084, 0x0004_7700),
        (0xc000_0100, 0xffff_9000_0000_1000),
        (0xc000_0101, 0x0000_1234_5678_9abc),
        (0xc000_0102, 0xffff_a000_0000_2000),
        (0x174, 0x10),
        (0x175, 0xffff_b000_0000_3000),
        (0x176, 0xffff_c000_0000_4000),
        (0x277, 0x0007_0406_0007_0406),
    ] {
        let before = try_read(register);
        let caught = try_write(register, value);
        check!(caught.is_none(), "writing {value:#x} to MSR {register:#x}: {}", Shown(caught));
        let found = try_read(register);
        check!(found == Ok(value), "MSR {register:#x} reads {found:x?}, {value:#x} was written");
        if let Ok(before) = before {
            try_write(register, before);
        }
    }
    Ok(())
}

fn unknown(_: &Asked<'_>) -> Outcome {
    for register in [0xdead_beef_u32, 0x4000_0000, 0xc001_0fff, 0x3000] {
        let found = try_read(register);
        check_strictly!(is_gp(found.err()), "reading MSR {register:#x}, which is none, gives {found:x?}");
        let caught = try_write(register, 1);
        check_strictly!(is_gp(caught), "writing MSR {register:#x}, which is none: {}", Shown(caught));
    }
    Ok(())
}

/// EFER and PAT are the host's to check. LSTAR and a segment base may be the processor's own, and emulated ones do not look.
fn reserved(_: &Asked<'_>) -> Outcome {
    let efer = try_read(EFER).unwrap_or(0xd00);
    // A reserved bit; SVME, which no guest is offered; LME while paging is on.
    for value in [efer | 1 << 40, efer | 1 << 12, efer ^ 1 << 8] {
        let caught = try_write(EFER, value);
        check_strictly!(is_gp(caught), "writing {value:#x} to EFER, {efer:#x} before: {}", Shown(caught));
        if caught.is_none() {
            try_write(EFER, efer);
        }
    }
    for value in [0x0007_0406_0007_0402_u64, 0x0807_0406_0007_0406, 0x0007_0403_0007_0406] {
        let caught = try_write(0x277, value);
        check_strictly!(is_gp(caught), "writing {value:#x} to PAT: {}", Shown(caught));
    }
    for (register, value) in [(0xc000_0082, 1 << 63), (0xc000_0100, 0x0001_0000_0000_0000)] {
        let caught = try_write(register, value);
        if !is_gp(caught) {
            found!("writing {value:#x} to MSR {register:#x}: {}", Shown(caught));
        }
    }
    // Where a lenient machine took them, put back what is needed.
    try_write(0xc000_0082, 0);
    try_write(0xc000_0100, 0);
    try_write(0x277, 0x0007_0406_0007_0406);
    Ok(())
}

/// RDMSR and WRMSR of a register that exists.
fn user_code(_: &Asked<'_>) -> Outcome {
    let star = user::State { rcx: 0xc000_0081, rflags: user::FLAGS, ..user::State::default() };
    for (name, code) in [("RDMSR", [0x0f, 0x32]), ("WRMSR", [0x0f, 0x30])] {
        let left = user::run(&code, star);
        let right = left.is_some_and(|(_, caught)| is_gp(Some(caught)) && caught.rip == user::BASE);
        check!(right, "{name} at privilege level 3 gave {left:x?}");
    }
    Ok(())
}

fn time_stamp(_: &Asked<'_>) -> Outcome {
    // SAFETY: the time stamp counter's MSR exists on every x86-64 processor.
    let first = unsafe { Msr::new(TIME_STAMP).read() };
    let second = crate::time::tsc();
    check!(first < second, "RDMSR saw the TSC at {first}, RDTSC afterwards at {second}");
    let ahead = 1 << 40;
    // SAFETY: nothing is timed by it meanwhile.
    unsafe { Msr::new(TIME_STAMP).write(second + ahead) };
    let moved = crate::time::tsc();
    check_strictly!(
        (second + ahead..second + ahead + (1 << 36)).contains(&moved),
        "{} was written to the TSC, which was {second} and is {moved}",
        second + ahead
    );
    if moved >= second + ahead {
        // SAFETY: back to where it would be, about.
        unsafe { Msr::new(TIME_STAMP).write(crate::time::tsc() - ahead) };
        let back = crate::time::tsc();
        check!(back >= second && back < moved, "the TSC went from {second} to {moved} and back to {back}");
    }
    Ok(())
}

/// Every register of the three ranges that the MSR permission map knows (APM vol. 2, 15.11), read and written.
fn all(_: &Asked<'_>) -> Outcome {
    let (mut answered, mut took) = (0u32, 0u32);
    for first in [0u32, 0xc000_0000, 0xc001_0000] {
        for register in first..first + 0x2000 {
            let before = try_read(register);
            let written = match before {
                // What it holds, so that the guest goes on as it was.
                Ok(value) => {
                    answered += 1;
                    try_write(register, value)
                }
                Err(caught) => {
                    check!(is_gp(Some(caught)), "reading MSR {register:#x} gave {caught}");
                    // Garbage only where a refusal is what is right.
                    if environment::get().is_strict() {
                        try_write(register, 0xdead_beef_dead_beef)
                    } else {
                        Some(caught)
                    }
                }
            };
            check!(written.is_none() || is_gp(written), "writing MSR {register:#x} gave {}", Shown(written));
            took += u32::from(written.is_none());
        }
    }
    found!("{answered} MSRs can be read, {took} took what was written");
    // An answer to each would be no policy.
    check_strictly!(answered < 1000, "{answered} of 24576 MSRs can be read");
    let efer = try_read(EFER);
    check!(efer.is_ok_and(|efer| efer & 0x500 == 0x500), "EFER is {efer:x?} after all");
    Ok(())
}
