//! CPUID: what the baseline promises, and what an exit costs.

use core::arch::asm;

use x86_64::registers::control::{Cr4, Cr4Flags};

use crate::{
    asked::Asked,
    environment::{self, cpuid},
    time::{self, Measured, steadily},
    trial::{Outcome, Trial, check, check_strictly, figure, found},
};

pub(super) const TRIALS: &[Trial] = &[
    Trial::new("cpuid-offers-what-64-bit-systems-need", offers),
    Trial::new("cpuid-hides-virtualization", hides),
    Trial::new("cpuid-leaf-range-answers-zero", range),
    Trial::new("cpuid-clears-upper-halves", upper_halves),
    Trial::new("cpuid-osxsave-follows-cr4", osxsave),
    Trial::new("cpuid-round-trip-is-measured", round_trip),
];

fn offers(_: &Asked<'_>) -> Outcome {
    let vendor = cpuid(0, 0);
    check!(vendor.eax >= 0xd, "leaf 0 ends at {:#x}, XSAVE's leaf 0xd is not there", vendor.eax);
    let one = cpuid(1, 0);
    found!("family, model, stepping {:#x}, leaf 1 ecx {:#x} edx {:#x}", one.eax, one.ecx, one.edx);
    // FPU, TSC, MSR, PAE, CX8, APIC, PGE, CMOV, PAT, FXSR, SSE, SSE2: what every 64-bit system takes for granted.
    let wanted = 0x0701_a371;
    check!(one.edx & wanted == wanted, "leaf 1 edx {:#x} lacks {:#x}", one.edx, wanted & !one.edx);
    check!(one.ecx & (1 << 31) != 0, "the hypervisor bit is clear");
    check!(cpuid(0x8000_0000, 0).eax >= 0x8000_0008, "there is no leaf 0x80000008");
    let extended = cpuid(0x8000_0001, 0);
    // SYSCALL, NX, long mode.
    check!(extended.edx & 0x2010_0800 == 0x2010_0800, "leaf 0x80000001 edx is {:#x}", extended.edx);
    let widths = cpuid(0x8000_0008, 0).eax;
    found!("{} physical and {} virtual address bits", widths & 0xff, widths >> 8 & 0xff);
    check!((36..=52).contains(&(widths & 0xff)), "{} physical address bits", widths & 0xff);
    let signature = cpuid(0x4000_0000, 0);
    found!("hypervisor leaves end at {:#x}, features {:#x}", signature.eax, cpuid(0x4000_0001, 0).eax);
    if one.ecx & (1 << 26) != 0 {
        let state = cpuid(0xd, 0);
        found!("XCR0 bits {:#x}:{:#x}, area {} bytes", state.edx, state.eax, state.ebx);
        check!(state.eax & 3 == 3, "x87 and SSE state cannot be saved by XSAVE");
        check!(state.ecx >= 576, "the XSAVE area has {} bytes", state.ecx);
    }
    Ok(())
}

fn hides(_: &Asked<'_>) -> Outcome {
    let (one, extended) = (cpuid(1, 0), cpuid(0x8000_0001, 0));
    check_strictly!(extended.ecx & 4 == 0, "SVM is offered to the guest");
    check_strictly!(one.ecx & (1 << 5) == 0, "VMX is offered to the guest");
    let svm = cpuid(0x8000_000a, 0);
    let nothing = svm.eax | svm.ebx | svm.ecx | svm.edx == 0;
    check_strictly!(nothing, "SVM's leaf is {svm:x?}");
    Ok(())
}

/// Leaves behind the last one of each range (APM vol. 3, CPUID: AMD's processors answer zeroes).
fn range(_: &Asked<'_>) -> Outcome {
    let vendor = cpuid(0, 0);
    let last = [vendor.eax, cpuid(0x8000_0000, 0).eax, cpuid(0x4000_0000, 0).eax];
    for leaf in [last[0] + 1, last[1] + 1, last[2] + 1, 0x7fff_ffff, 0x8fff_ffff, 0xc000_0000, u32::MAX] {
        for subleaf in [0, 1, u32::MAX] {
            let answer = cpuid(leaf, subleaf);
            let zero = answer.eax | answer.ebx | answer.ecx | answer.edx == 0;
            // Plain QEMU answers as Intel's processors do, with the last basic leaf.
            check_strictly!(zero, "leaf {leaf:#x} subleaf {subleaf:#x}, which is none, is {answer:x?}");
            if !zero {
                break;
            }
        }
    }
    check!(cpuid(0, 0) == vendor, "leaf 0 changed");
    Ok(())
}

fn upper_halves(_: &Asked<'_>) -> Outcome {
    let (rax, rbx, rcx, rdx): (u64, u64, u64, u64);
    // SAFETY: CPUID changes the registers named; RBX is kept in R8.
    unsafe {
        asm!("mov r8, rbx", "mov rbx, rdx", "cpuid", "mov r9, rbx", "mov rbx, r8",
            inout("rax") 0xffff_ffff_0000_0000_u64 => rax, inout("rcx") u64::MAX << 32 => rcx,
            inout("rdx") u64::MAX << 32 => rdx, out("r8") _, out("r9") rbx);
    }
    check!(
        (rax | rbx | rcx | rdx) >> 32 == 0,
        "CPUID left {rax:#x}, {rbx:#x}, {rcx:#x}, {rdx:#x}: upper halves are to be clear"
    );
    Ok(())
}

fn osxsave(_: &Asked<'_>) -> Outcome {
    if cpuid(1, 0).ecx & (1 << 26) == 0 {
        found!("XSAVE is not offered");
        return Ok(());
    }
    let before = Cr4::read();
    for on in [true, false, true] {
        // SAFETY: leaf 1 offers XSAVE, and nothing here uses it.
        unsafe { Cr4::update(|flags| flags.set(Cr4Flags::OSXSAVE, on)) };
        let told = cpuid(1, 0).ecx & (1 << 27) != 0;
        check!(told == on, "CR4.OSXSAVE is {on}, leaf 1 says {told}");
    }
    // SAFETY: as it was.
    unsafe { Cr4::write(before) };
    Ok(())
}

fn round_trip(asked: &Asked<'_>) -> Outcome {
    let exits = asked.number("exits", 2000).max(1);
    let start = time::tsc();
    for _ in 0..exits {
        cpuid(0, 0);
    }
    let ticks = (time::tsc() - start) / exits;
    let hz = time::tsc_hz(10);
    figure("ticks_per_exit", ticks);
    figure("ns_per_exit", (u128::from(ticks) * 1_000_000_000 / u128::from(hz.max(1))) as u64);
    figure("tsc_hz", hz);
    if environment::get().is_strict() && cpuid(0x4000_0000, 0).eax >= 0x4000_0010 {
        let told = u64::from(cpuid(0x4000_0010, 0).eax) * 1000;
        let measured = steadily(|| Measured { found: time::tsc_hz(10), expected: told, apart: told / 20 });
        check!(measured.agrees(), "the TSC runs at {} Hz, leaf 0x40000010 says {told}", measured.found);
    }
    Ok(())
}
