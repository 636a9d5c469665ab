//! Model-specific registers: those that must be there, and those that must not.

use x86_64::registers::model_specific::Msr;

use crate::{
    apic,
    asked::Asked,
    faults::{Caught, Shown, catch},
    trial::{Outcome, check, check_strictly, found},
};

const APIC_BASE: u32 = 0x1b;
const EFER: u32 = 0xc000_0080;

/// Reads a register that may not exist.
fn try_read(register: u32) -> Result<u64, Caught> {
    let (low, high): (u64, u64);
    let caught = catch!("rdmsr"; in("ecx") register, out("rax") low, out("rdx") high);
    match caught {
        Some(caught) => Err(caught),
        None => Ok(high << 32 | low & 0xffff_ffff),
    }
}

/// Writes a register that may not exist, or may refuse the value.
fn try_write(register: u32, value: u64) -> Option<Caught> {
    catch!("wrmsr"; in("ecx") register, in("eax") value as u32, in("edx") (value >> 32) as u32)
}

pub(super) fn run(_: &Asked<'_>) -> Outcome {
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

    // STAR, LSTAR, CSTAR, SFMASK, FS, GS and KERNEL_GS bases, SYSENTER, PAT: what is written is read again.
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

    // The TSC goes forward, by RDMSR as by RDTSC.
    // SAFETY: the time stamp counter's MSR exists on every x86-64 processor.
    let first = unsafe { Msr::new(0x10).read() };
    let second = crate::time::tsc();
    check!(first < second, "RDMSR saw the TSC at {first}, RDTSC afterwards at {second}");

    for register in [0xdead_beef_u32, 0x4000_0000, 0xc001_0fff, 0x3000] {
        let found = try_read(register);
        let expected = matches!(found, Err(Caught { vector: 13, error_code: 0, .. }));
        check_strictly!(expected, "reading MSR {register:#x}, which is none, gives {found:x?}");
        let caught = try_write(register, 1);
        let expected = matches!(caught, Some(Caught { vector: 13, error_code: 0, .. }));
        check_strictly!(expected, "writing MSR {register:#x}, which is none: {}", Shown(caught));
    }
    let caught = try_write(EFER, 1 << 40);
    let refused = matches!(caught, Some(Caught { vector: 13, .. }));
    check_strictly!(refused, "writing a reserved bit of EFER: {}", Shown(caught));
    if !refused {
        try_write(EFER, efer.unwrap_or(0xd00));
    }
    // An address that is not canonical, a memory type that is none: these registers may be the processor's own, and emulated
    // ones do not look.
    for (register, value) in [
        (0xc000_0082, 0x8000_0000_0000_0000),
        (0xc000_0100, 0x0001_0000_0000_0000),
        (0x277, 0x0007_0406_0007_0402),
    ] {
        let caught = try_write(register, value);
        if !matches!(caught, Some(Caught { vector: 13, .. })) {
            found!("writing {value:#x} to MSR {register:#x}: {}", Shown(caught));
        }
    }
    // Where a lenient machine took them, put back what is needed.
    try_write(0xc000_0082, 0);
    try_write(0xc000_0100, 0);
    try_write(0x277, 0x0007_0406_0007_0406);
    Ok(())
}
