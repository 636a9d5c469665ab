//! Exceptions, each with the right vector, error code, address and place.

use core::arch::asm;

use x86_64::registers::control::{Cr0, Cr0Flags};

use crate::{
    asked::Asked,
    compatibility, environment,
    faults::{Caught, Shown, catch},
    interrupts::ABSENT_SELECTOR,
    single::Single,
    trial::{Outcome, Trial, check, found},
    window::{self, NO_EXECUTE, PRESENT, Size, WRITABLE},
};

pub(super) const TRIALS: &[Trial] = &[
    Trial::new("divide-by-zero-gives-de", divide),
    Trial::new("int3-gives-bp-behind-itself", breakpoint),
    Trial::new("into-gives-of", overflow),
    Trial::new("bound-gives-br", bound),
    Trial::new("ud2-gives-ud", undefined),
    Trial::new("instructions-of-svm-give-ud", not_offered),
    Trial::new("counters-and-monitors-that-are-not-offered-fault", not_there),
    Trial::new("hypercall-that-is-none-says-so", hypercall),
    Trial::new("sse-with-ts-gives-nm", no_math),
    Trial::new("absent-segment-gives-np", absent_segment),
    Trial::new("stack-address-gives-ss", stack),
    Trial::new("bad-selector-gives-gp", selector),
    Trial::new("non-canonical-address-gives-gp", not_canonical),
    Trial::new("control-register-reserved-bits-give-gp", control_registers),
    Trial::new("page-fault-names-access-and-address", page_faults),
    Trial::new("x87-error-gives-mf", x87),
    Trial::new("sse-error-gives-xm", sse),
];

/// Checks vector and error code.
pub(super) fn expect(what: &str, caught: Option<Caught>, vector: u8, error_code: u64) -> Outcome {
    let right = caught.is_some_and(|caught| caught.vector == vector && caught.error_code == error_code);
    check!(right, "{what} gave {}, not exception {vector} error {error_code:#x}", Shown(caught));
    Ok(())
}

fn divide(_: &Asked<'_>) -> Outcome {
    let caught = catch!("div edi"; in("edi") 0u32, inout("eax") 1 => _, inout("edx") 0 => _);
    expect("division by zero", caught, 0, 0)?;
    // The quotient does not fit.
    let caught = catch!("idiv edi"; in("edi") -1, inout("eax") i32::MIN => _, inout("edx") -1 => _);
    expect("a quotient that does not fit", caught, 0, 0)
}

fn breakpoint(_: &Asked<'_>) -> Outcome {
    let at: u64;
    let caught = catch!("lea {at}, [rip + 66f]", "int3", "66:", "nop"; at = out(reg) at);
    expect("INT3", caught, 3, 0)?;
    let rip = caught.map_or(0, |caught| caught.rip);
    check!(rip == at, "INT3's RIP is {rip:#x}, {at:#x} is behind it");
    Ok(())
}

/// 64-bit mode has neither INTO nor BOUND.
fn overflow(_: &Asked<'_>) -> Outcome {
    let (left, caught) = compatibility::run(compatibility::into(), 0x7fff_ffff, 0, 0, 0);
    check!(caught.is_none(), "INTO without OF gave {}", Shown(caught));
    check!(left.eax == 0x7fff_ffff, "32-bit code left EAX at {:#x}", left.eax);
    let (_, caught) = compatibility::run(compatibility::into(), 0x7fff_ffff, 1, 0, 0);
    expect("INTO with OF", caught, 4, 0)
}

fn bound(_: &Asked<'_>) -> Outcome {
    static BOUNDS: [i32; 2] = [-5, 9];
    let at = (&raw const BOUNDS).addr() as u32;
    for (index, inside) in [(-5_i32, true), (9, true), (10, false), (-6, false)] {
        let (left, caught) = compatibility::run(compatibility::bound(), index as u32, at, 0, 0);
        if inside {
            check!(caught.is_none() && left.eax == 1, "BOUND of {index} in -5..=9 gave {}", Shown(caught));
        } else {
            expect("BOUND outside its bounds", caught, 5, 0)?;
        }
    }
    Ok(())
}

fn undefined(_: &Asked<'_>) -> Outcome {
    let at: u64;
    let caught = catch!("lea {at}, [rip + 66f]", "66:", "ud2"; at = out(reg) at);
    expect("UD2", caught, 6, 0)?;
    let rip = caught.map_or(0, |caught| caught.rip);
    check!(rip == at, "UD2's RIP is {rip:#x}, it is at {at:#x}");
    Ok(())
}

/// VMRUN, VMLOAD, VMSAVE, STGI, CLGI, SKINIT, INVLPGA: none of them is offered.
fn not_offered(_: &Asked<'_>) -> Outcome {
    if environment::cpuid(0x8000_0001, 0).ecx & 4 != 0 {
        found!("SVM is offered here");
        return Ok(());
    }
    expect("VMRUN", catch!(".byte 0x0f, 0x01, 0xd8"; in("rax") 0u64), 6, 0)?;
    expect("VMLOAD", catch!(".byte 0x0f, 0x01, 0xda"; in("rax") 0u64), 6, 0)?;
    expect("VMSAVE", catch!(".byte 0x0f, 0x01, 0xdb"; in("rax") 0u64), 6, 0)?;
    expect("STGI", catch!(".byte 0x0f, 0x01, 0xdc";), 6, 0)?;
    expect("CLGI", catch!(".byte 0x0f, 0x01, 0xdd";), 6, 0)?;
    expect("SKINIT", catch!(".byte 0x0f, 0x01, 0xde"; in("eax") 0u32), 6, 0)?;
    expect("INVLPGA", catch!(".byte 0x0f, 0x01, 0xdf"; in("rax") 0u64, in("ecx") 0u32), 6, 0)
}

/// RDPMC of a counter that no guest has; MONITOR and MWAIT where leaf 1 does not offer them.
fn not_there(_: &Asked<'_>) -> Outcome {
    let caught = catch!("rdpmc"; in("ecx") 0x7fff_ffff_u32, out("eax") _, out("edx") _);
    // QEMU 7.2 has no RDPMC at all.
    if !environment::get().is_strict() && caught.is_some_and(|caught| caught.vector == 6) {
        found!("RDPMC is no instruction here");
    } else {
        expect("RDPMC of no counter", caught, 13, 0)?;
    }
    if environment::cpuid(1, 0).ecx & (1 << 3) != 0 {
        found!("MONITOR is offered here");
        return Ok(());
    }
    let caught = catch!("monitor"; in("rax") &raw const X87, in("ecx") 0, in("edx") 0);
    expect("MONITOR", caught, 6, 0)?;
    expect("MWAIT", catch!("mwait"; in("eax") 0, in("ecx") 0), 6, 0)
}

/// -KVM_ENOSYS under KVM's signature; elsewhere VMMCALL is no instruction.
fn hypercall(_: &Asked<'_>) -> Outcome {
    let answer: i64;
    let caught = catch!(".byte 0x0f, 0x01, 0xd9"; inout("rax") 0x7777_i64 => answer, in("rcx") 1, in("rdx") 2, in("rsi") 3);
    if !environment::get().is_strict() {
        return expect("VMMCALL", caught, 6, 0);
    }
    check!(caught.is_none(), "VMMCALL gave {}", Shown(caught));
    check!(answer == -1000, "a hypercall that is none answers {answer}, not -1000");
    Ok(())
}

/// #NM, then the state is used as if nothing had been: the handler of every exception clears CR0.TS.
fn no_math(_: &Asked<'_>) -> Outcome {
    // SAFETY: as said.
    unsafe { Cr0::update(|flags| flags.insert(Cr0Flags::TASK_SWITCHED)) };
    let caught = catch!("movaps xmm0, xmm0";);
    expect("SSE with CR0.TS", caught, 7, 0)?;
    // SAFETY: as said.
    unsafe { Cr0::update(|flags| flags.insert(Cr0Flags::TASK_SWITCHED)) };
    expect("x87 with CR0.TS", catch!("fnop";), 7, 0)
}

fn absent_segment(_: &Asked<'_>) -> Outcome {
    let caught = catch!("mov es, di", "nop"; in("di") ABSENT_SELECTOR);
    expect("loading a segment that is not present", caught, 11, ABSENT_SELECTOR.into())
}

/// #SS: RBP is the stack's.
fn stack(_: &Asked<'_>) -> Outcome {
    let caught = catch!("push rbp", "mov rbp, rdi", "mov al, [rbp]", "77:", "pop rbp", "jmp 78f", "nop", "78:", "nop";
        in("rdi") 0x8000_0000_0000_u64, out("al") _);
    // QEMU 7.2 gives #GP for every segment, also in guests of its guests.
    if caught.is_some_and(|caught| caught.vector == 13) {
        found!("a stack address that is not canonical gives #GP");
        return Ok(());
    }
    expect("a stack address that is not canonical", caught, 12, 0)
}

fn selector(_: &Asked<'_>) -> Outcome {
    let caught = catch!("mov es, di", "nop"; in("di") 0x1238_u16);
    expect("loading a selector beyond the table", caught, 13, 0x1238)?;
    // A code segment cannot be written: SS refuses it.
    let caught = catch!("mov ss, di", "nop"; in("di") 8_u16);
    expect("loading SS with a code segment", caught, 13, 8)
}

fn not_canonical(_: &Asked<'_>) -> Outcome {
    let at = 0x8000_0000_0000_u64;
    let caught = catch!("mov al, [rdi]"; in("rdi") at, out("al") _);
    expect("reading an address that is not canonical", caught, 13, 0)?;
    let caught = catch!("mov [rdi], al"; in("rdi") at + 0x1234, in("al") 0u8);
    expect("writing an address that is not canonical", caught, 13, 0)
}

fn control_registers(_: &Asked<'_>) -> Outcome {
    if !environment::get().is_strict() {
        // QEMU 7.2 takes them all, and clears PAE under its own feet.
        found!("reserved bits of CR4 are not tried on plain emulators");
        return Ok(());
    }
    let cr4: u64;
    // SAFETY: it is only read.
    unsafe { asm!("mov {}, cr4", out(reg) cr4) };
    for bit in [15_u32, 25, 31, 40, 63] {
        let caught = catch!("mov cr4, rdi"; in("rdi") cr4 | 1 << bit);
        expect("a reserved bit of CR4", caught, 13, 0)?;
    }
    // VMXE, which is no guest's; PAE, without which there is no long mode.
    let caught = catch!("mov cr4, rdi"; in("rdi") cr4 | 1 << 13);
    expect("setting CR4.VMXE", caught, 13, 0)?;
    let caught = catch!("mov cr4, rdi"; in("rdi") cr4 & !(1 << 5));
    expect("clearing CR4.PAE in long mode", caught, 13, 0)?;
    let after: u64;
    // SAFETY: as above.
    unsafe { asm!("mov {}, cr4", out(reg) after) };
    check!(after == cr4, "CR4 went from {cr4:#x} to {after:#x} by writes that were refused");
    Ok(())
}

fn page_faults(_: &Asked<'_>) -> Outcome {
    let missing = window::WINDOW + 0x123;
    window::map(Size::Page4K, 0, 0);
    let at = |what: &str, caught: Option<Caught>, error_code: u64, address: u64| {
        expect(what, caught, 14, error_code)?;
        let found = caught.map_or(0, |caught| caught.address);
        check!(found == address, "{what}: CR2 is {found:#x}, not {address:#x}");
        Ok(())
    };
    at("reading a missing page", catch!("mov al, [rdi]"; in("rdi") missing, out("al") _), 0, missing)?;
    at("writing a missing page", catch!("mov byte ptr [rdi], 1"; in("rdi") missing), 2, missing)?;
    // An operand over two pages, of which the second is missing: CR2 names its first byte.
    window::map(Size::Page4K, 0x1000, PRESENT | WRITABLE);
    window::map_second(0, 0);
    let over = window::WINDOW + 4094;
    at(
        "reading across into a missing page",
        catch!("mov eax, [rdi]"; in("rdi") over, out("eax") _),
        0,
        over + 2,
    )?;
    window::map(Size::Page4K, 0x1000, PRESENT);
    at("writing a read-only page", catch!("mov byte ptr [rdi], 1"; in("rdi") missing), 3, missing)?;
    window::map(Size::Page4K, 0x1000, PRESENT | WRITABLE | NO_EXECUTE);
    at("executing a page that forbids it", catch!("jmp rdi"; in("rdi") missing), 0x11, missing)?;
    window::map(Size::Page4K, 0x1000, PRESENT | WRITABLE | 1 << 51);
    let caught = catch!("mov al, [rdi]"; in("rdi") missing, out("al") _);
    // The entry is present, but QEMU 7.2 leaves that bit of the error code clear, also for guests of its guests.
    let error_code = if caught.is_some_and(|caught| caught.error_code == 8) { 8 } else { 9 };
    at("reading through a reserved bit", caught, error_code, missing)?;
    window::map(Size::Page4K, 0, 0);
    Ok(())
}

static X87: Single<[u8; 512]> = Single::new([0; 512]);

/// Division by zero, not masked: the next x87 instruction that waits raises it.
fn x87(_: &Asked<'_>) -> Outcome {
    let control = 0x037b_u16;
    let at = (&raw const control).addr();
    let caught = catch!("fninit", "fldcw [rdi]", "fld1", "fldz", "fdivp st(1), st", "fwait"; in("rdi") at);
    // SAFETY: back to what the state is at reset.
    unsafe { asm!("fnclex", "fninit", "fxsave64 [{}]", in(reg) X87.get()) };
    expect("an x87 division by zero", caught, 16, 0)
}

/// Division by zero, not masked. QEMU 7.2 has no #XM: nothing comes there, also in guests of its guests.
fn sse(_: &Asked<'_>) -> Outcome {
    let (open, usual) = (0x1d80_u32, 0x1f80_u32);
    let caught = catch!("ldmxcsr [rdi]", "pcmpeqd xmm0, xmm0", "psrld xmm0, 25", "pslld xmm0, 23",
        "xorps xmm1, xmm1", "divps xmm0, xmm1", "ldmxcsr [rsi]";
        in("rdi") &raw const open, in("rsi") &raw const usual, out("xmm0") _, out("xmm1") _);
    // SAFETY: as at reset.
    unsafe { asm!("ldmxcsr [{}]", in(reg) &raw const usual) };
    match caught {
        Some(_) => expect("an SSE division by zero", caught, 19, 0),
        None => {
            found!("an SSE division by zero with its exception open gives none");
            Ok(())
        }
    }
}
