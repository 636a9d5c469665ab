//! CPUID: what the baseline promises, and what an exit costs.

use crate::{
    asked::Asked,
    environment::{self, cpuid},
    time,
    trial::{Outcome, check, check_strictly, figure, found},
};

pub(super) fn run(asked: &Asked<'_>) -> Outcome {
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
    check_strictly!(extended.ecx & 4 == 0, "SVM is offered to the guest");
    check_strictly!(one.ecx & (1 << 5) == 0, "VMX is offered to the guest");
    if one.ecx & (1 << 26) != 0 {
        let state = cpuid(0xd, 0);
        found!("XCR0 bits {:#x}:{:#x}, area {} bytes", state.edx, state.eax, state.ebx);
        check!(state.eax & 3 == 3, "x87 and SSE state cannot be saved by XSAVE");
        check!(state.ecx >= 576, "the XSAVE area has {} bytes", state.ecx);
    }
    // Leaves beyond the last one, and what no processor has, must not disturb anything.
    for leaf in [0x20, 0x7fff_ffff, 0x8fff_ffff, 0xffff_ffff] {
        cpuid(leaf, u32::MAX);
    }
    check!(cpuid(0, 0) == vendor, "leaf 0 changed");

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
    if environment::get().is_strict() && signature.eax >= 0x4000_0010 {
        let told = u64::from(cpuid(0x4000_0010, 0).eax) * 1000;
        check!(hz.abs_diff(told) < told / 20, "the TSC runs at {hz} Hz, leaf 0x40000010 says {told}");
    }
    Ok(())
}
