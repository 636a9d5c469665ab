//! Every register keeps its value across exits and interrupts.

use core::arch::{asm, global_asm};

use x86_64::{
    VirtAddr,
    instructions::{interrupts as flag, segmentation::GS},
    registers::{
        control::{Cr4, Cr4Flags},
        model_specific::{FsBase, GsBase, KernelGsBase},
        xcontrol::{XCr0, XCr0Flags},
    },
};

use crate::{
    apic,
    asked::Asked,
    environment::cpuid,
    faults::catch,
    interrupts::{Controller, expect_from, hits},
    pic, pit,
    single::Single,
    time::Stopwatch,
    trial::{Outcome, Trial, check, found},
};

pub(super) const TRIALS: &[Trial] = &[
    Trial::new("general-registers-stay-across-exits", |asked| across_exits(asked, Part::General)),
    Trial::new("x87-state-stays-across-exits", |asked| across_exits(asked, Part::X87)),
    Trial::new("sse-state-stays-across-exits", |asked| across_exits(asked, Part::Sse)),
    Trial::new("avx-state-stays-across-exits", |asked| across_exits(asked, Part::Avx)),
    Trial::new("registers-stay-across-interrupts", across_interrupts),
    Trial::new("segment-bases-stay-across-exits", bases),
    Trial::new("debug-registers-stay-across-exits", debug_registers),
    Trial::new("cr2-stays-across-exits", cr2),
    Trial::new("mxcsr-stays-across-exits", mxcsr),
    Trial::new("avx-state-outlives-xcr0-without-it", xcr0_changes),
    Trial::new("xsetbv-refuses-what-is-not-allowed", xcr0_refuses),
    Trial::new("xsave-area-follows-xcr0", xsave_area),
];

/// Registers as the assembly loads and stores them.
#[repr(C, align(64))]
struct Image {
    /// FXSAVE (APM vol. 2, 11.4.4): x87, MXCSR, XMM.
    legacy: [u8; 512],
    /// Whole YMM registers.
    wide: [[u64; 4]; 16],
    /// RSI, RDI, RBP, R8 to R14.
    general: [u64; 10],
}

const EMPTY: Image = Image { legacy: [0; 512], wide: [[0; 4]; 16], general: [0; 10] };

static BEFORE: Single<Image> = Single::new(EMPTY);
static AFTER: Single<Image> = Single::new(EMPTY);

// SAFETY: the assembly below defines it.
unsafe extern "C" {
    /// Loads `before`, makes `exits` rounds of CPUID and IN, and stores all into `after`; whole YMM registers where `wide`.
    fn micro_registers(exits: u64, before: *const Image, after: *mut Image, wide: u64);
}

global_asm!(
    r#"
    .text
    .global micro_registers
micro_registers:
    pushq %rbx
    pushq %rbp
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    subq $512 + 8, %rsp
    fxsave64 (%rsp)
    pushq %rdx
    pushq %rcx
    pushq %rdi
    fxrstor64 (%rsi)
    testq %rcx, %rcx
    jz 10f
    .irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
    vmovups (512 + 32 * \n)(%rsi), %ymm\n
    .endr
10: movq %rsi, %r15
    movq 1024(%r15), %rsi
    movq 1032(%r15), %rdi
    movq 1040(%r15), %rbp
    movq 1048(%r15), %r8
    movq 1056(%r15), %r9
    movq 1064(%r15), %r10
    movq 1072(%r15), %r11
    movq 1080(%r15), %r12
    movq 1088(%r15), %r13
    movq 1096(%r15), %r14
20: xorl %eax, %eax
    cpuid
    movl $0x3ff, %edx
    inb %dx, %al
    decq (%rsp)
    jnz 20b
    movq 16(%rsp), %r15
    movq %rsi, 1024(%r15)
    movq %rdi, 1032(%r15)
    movq %rbp, 1040(%r15)
    movq %r8, 1048(%r15)
    movq %r9, 1056(%r15)
    movq %r10, 1064(%r15)
    movq %r11, 1072(%r15)
    movq %r12, 1080(%r15)
    movq %r13, 1088(%r15)
    movq %r14, 1096(%r15)
    fxsave64 (%r15)
    cmpq $0, 8(%rsp)
    je 30f
    .irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
    vmovups %ymm\n, (512 + 32 * \n)(%r15)
    .endr
    vzeroupper
30: addq $24, %rsp
    fxrstor64 (%rsp)
    addq $512 + 8, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbp
    popq %rbx
    retq
    "#,
    options(att_syntax)
);

/// Fills, makes the rounds, and compares.
fn across_exits(asked: &Asked<'_>, part: Part) -> Outcome {
    let wide = enable_avx();
    fill(wide);
    let exits = asked.number("exits", 500).max(1);
    // SAFETY: both images are this trial's; AVX is on where `wide` says so.
    unsafe { micro_registers(exits, BEFORE.get(), AFTER.get(), u64::from(wide)) };
    compare(part, wide, "exits")
}

/// With interrupts in between, whose handler uses SSE itself.
fn across_interrupts(asked: &Asked<'_>) -> Outcome {
    let wide = enable_avx();
    fill(wide);
    let exits = asked.number("exits", 500).max(1);
    apic::start(true);
    pic::start(1);
    expect_from(Controller::Pic);
    pit::start(pit::Mode::Periodic, (pit::HZ / 1000) as u16);
    flag::enable();
    let mut watch = Stopwatch::start();
    while hits(pic::FIRST_VECTOR) < 10 && watch.microseconds() < 5_000_000 {
        // SAFETY: as above. The upper halves of YMM are not the handler's to keep: it saves by FXSAVE, which leaves them.
        unsafe { micro_registers(exits, BEFORE.get(), AFTER.get(), u64::from(wide)) };
        for part in [Part::General, Part::X87, Part::Sse, Part::Avx] {
            compare(part, wide, "exits and interrupts")?;
        }
    }
    flag::disable();
    pit::stop();
    pic::start(0);
    check!(hits(pic::FIRST_VECTOR) >= 10, "{} interrupts came", hits(pic::FIRST_VECTOR));
    Ok(())
}

/// What is compared.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    General,
    X87,
    Sse,
    Avx,
}

/// Switches AVX on where it is offered.
fn enable_avx() -> bool {
    let ecx = cpuid(1, 0).ecx;
    if ecx & (1 << 26) == 0 || ecx & (1 << 28) == 0 {
        found!("AVX is not offered");
        return false;
    }
    // SAFETY: leaf 1 offers XSAVE and AVX; compiled code uses neither.
    unsafe {
        Cr4::update(|flags| flags.insert(Cr4Flags::OSXSAVE));
        XCr0::write(XCr0Flags::X87 | XCr0Flags::SSE | XCr0Flags::AVX);
    }
    true
}

fn fill(wide: bool) {
    // SAFETY: this trial's static; nothing else refers to it now.
    let image = unsafe { &mut *BEFORE.get() };
    for (place, byte) in image.legacy[32..416].iter_mut().enumerate() {
        *byte = (place as u8).wrapping_mul(37) ^ 0x5a;
    }
    // x87: control word 0x27f (double precision), all eight registers in use, each a normal number.
    image.legacy[0..2].copy_from_slice(&0x027f_u16.to_le_bytes());
    image.legacy[4] = 0xff;
    for (place, register) in image.legacy[32..160].chunks_exact_mut(16).enumerate() {
        register[7] |= 0x80;
        register[8..10].copy_from_slice(&(0x3fff_u16 + place as u16).to_le_bytes());
        register[10..].fill(0);
    }
    // MXCSR: round down, flush to zero, all masked.
    image.legacy[24..28].copy_from_slice(&0x0000_bf80_u32.to_le_bytes());
    for (place, register) in image.wide.iter_mut().enumerate() {
        for (half, word) in register.iter_mut().enumerate() {
            *word = 0x1111_1111_1111_1111_u64.wrapping_mul(place as u64) ^ (half as u64) << 60 ^ 0x5_a5a5;
        }
        if wide {
            // The low halves are the XMM registers.
            let [low, high, ..] = *register;
            let at = 160 + place * 16;
            image.legacy[at..at + 8].copy_from_slice(&low.to_le_bytes());
            image.legacy[at + 8..at + 16].copy_from_slice(&high.to_le_bytes());
        }
    }
    for (place, word) in image.general.iter_mut().enumerate() {
        *word = 0x0123_4567_89ab_cdef_u64.rotate_left(place as u32 * 7);
    }
}

fn compare(part: Part, wide: bool, across: &str) -> Outcome {
    // SAFETY: this trial's statics; nothing writes them now.
    let (before, after) = unsafe { (&*BEFORE.get(), &*AFTER.get()) };
    // Control, status and tag words; the last instruction's address need not be kept (APM vol. 2, 11.4.4.3).
    let pieces: &[(&str, core::ops::Range<usize>)] = match part {
        Part::General => {
            check!(
                before.general == after.general,
                "general registers across {across}: {:x?}",
                after.general
            );
            &[]
        }
        Part::X87 => &[("x87 control", 0..5), ("x87 registers", 32..160)],
        Part::Sse => &[("MXCSR", 24..28), ("XMM", 160..416)],
        Part::Avx => &[],
    };
    for (what, range) in pieces {
        let (expected, found) = (&before.legacy[range.clone()], &after.legacy[range.clone()]);
        check!(expected == found, "{what} across {across}: {found:x?}, not {expected:x?}");
    }
    if part == Part::Avx && wide {
        for (place, (expected, found)) in before.wide.iter().zip(&after.wide).enumerate() {
            check!(expected == found, "YMM{place} across {across}: {found:x?}, not {expected:x?}");
        }
    }
    Ok(())
}

/// Makes exits.
fn exits() {
    for _ in 0..100 {
        cpuid(0, 0);
    }
}

fn bases(_: &Asked<'_>) -> Outcome {
    let (fs, gs, kernel_gs) = (0x1122_3344_5000_u64, 0xffff_8877_6655_4000_u64, 0x7fff_1234_5678_u64);
    FsBase::write(VirtAddr::new(fs));
    GsBase::write(VirtAddr::new(gs));
    KernelGsBase::write(VirtAddr::new(kernel_gs));
    exits();
    let seen = [FsBase::read(), GsBase::read(), KernelGsBase::read()].map(VirtAddr::as_u64);
    // SAFETY: GS is used by nothing here; twice is as it was.
    let swapped = unsafe {
        GS::swap();
        exits();
        let swapped = [GsBase::read(), KernelGsBase::read()].map(VirtAddr::as_u64);
        GS::swap();
        swapped
    };
    FsBase::write(VirtAddr::new(0));
    GsBase::write(VirtAddr::new(0));
    check!(seen == [fs, gs, kernel_gs], "FS, GS and kernel GS bases across exits: {seen:x?}");
    check!(swapped == [kernel_gs, gs], "GS bases after SWAPGS across exits: {swapped:x?}");
    Ok(())
}

fn debug_registers(_: &Asked<'_>) -> Outcome {
    let addresses = [0x1000_u64, 0x2001, 0x3002, 0xffff_8000_0000_4003];
    let found: [u64; 4];
    // SAFETY: no breakpoint is enabled.
    unsafe {
        asm!("mov dr0, {}", "mov dr1, {}", "mov dr2, {}", "mov dr3, {}",
            in(reg) addresses[0], in(reg) addresses[1], in(reg) addresses[2], in(reg) addresses[3]);
        exits();
        let (a, b, c, d): (u64, u64, u64, u64);
        asm!("mov {}, dr0", "mov {}, dr1", "mov {}, dr2", "mov {}, dr3",
            out(reg) a, out(reg) b, out(reg) c, out(reg) d);
        found = [a, b, c, d];
        asm!("mov dr0, {0}", "mov dr1, {0}", "mov dr2, {0}", "mov dr3, {0}", in(reg) 0u64);
    }
    check!(found == addresses, "debug registers across exits: {found:x?}");
    Ok(())
}

fn cr2(_: &Asked<'_>) -> Outcome {
    let value = 0xffff_9999_8888_7777_u64;
    let found: u64;
    // SAFETY: CR2 is only looked at after page faults.
    unsafe {
        asm!("mov cr2, {}", in(reg) value);
        exits();
        asm!("mov {}, cr2", out(reg) found);
    }
    check!(found == value, "CR2 across exits: {found:#x}");
    Ok(())
}

/// MXCSR's bits above 15 are reserved (APM vol. 3, LDMXCSR). QEMU 7.2 takes them, also from guests of its guests.
fn mxcsr(_: &Asked<'_>) -> Outcome {
    let (kept, reserved, usual) = (0xffc0_u32 & !0x1f00 | 0x1f00, 0x1_1f80_u32, 0x1f80_u32);
    let found = 0_u32;
    // SAFETY: all exceptions stay masked.
    unsafe {
        asm!("ldmxcsr [{}]", in(reg) &raw const kept);
        exits();
        asm!("stmxcsr [{}]", in(reg) &raw const found);
    }
    // SAFETY: it was written by the instruction above.
    let found = unsafe { (&raw const found).read_volatile() };
    let caught = catch!("ldmxcsr [rdi]"; in("rdi") &raw const reserved);
    // SAFETY: as at reset.
    unsafe { asm!("ldmxcsr [{}]", in(reg) &raw const usual) };
    check!(found == kept, "MXCSR across exits: {found:#x}, not {kept:#x}");
    match caught {
        Some(_) => super::exceptions::expect("a reserved bit of MXCSR", caught, 13, 0),
        None => {
            found!("a reserved bit of MXCSR is taken");
            Ok(())
        }
    }
}

/// XCR0 without AVX and back: the upper halves stay what they were (APM vol. 2, 11.5.3), whatever the host does meanwhile.
fn xcr0_changes(asked: &Asked<'_>) -> Outcome {
    if !enable_avx() {
        return Ok(());
    }
    let before =
        [0x1111_2222_3333_4444_u64, 0x5555_6666_7777_8888, 0x9999_aaaa_bbbb_cccc, 0xdddd_eeee_ffff_0000];
    let mut after = [0_u64; 4];
    for _ in 0..asked.number("rounds", 20).max(1) {
        // SAFETY: leaf 1 offers AVX; YMM5 is named.
        unsafe {
            asm!("vmovups ymm5, [{before}]", "xor ecx, ecx", "xor edx, edx", "mov eax, 3", "xsetbv",
                "xor eax, eax", "mov r8, rbx", "cpuid", "mov rbx, r8",
                "xor ecx, ecx", "xor edx, edx", "mov eax, 7", "xsetbv", "vmovups [{after}], ymm5", "vzeroupper",
                before = in(reg) &raw const before, after = in(reg) &raw mut after,
                out("eax") _, out("ecx") _, out("edx") _, out("r8") _, out("xmm5") _);
        }
        check!(after == before, "YMM5 across XCR0 without AVX: {after:x?}, not {before:x?}");
    }
    Ok(())
}

/// XCR0 needs x87, AVX needs SSE, and there is no other register (APM vol. 4, XSETBV).
fn xcr0_refuses(_: &Asked<'_>) -> Outcome {
    if !enable_avx() {
        return Ok(());
    }
    let before = XCr0::read_raw();
    for (register, value) in
        [(0_u32, 0_u64), (0, 2), (0, 5), (0, 7 | 1 << 62), (0, 7 | 1 << 3), (1, 7), (5, 7)]
    {
        let caught =
            catch!("xsetbv"; in("ecx") register, in("eax") value as u32, in("edx") (value >> 32) as u32);
        super::exceptions::expect("XSETBV of what is not allowed", caught, 13, 0)?;
    }
    check!(XCr0::read_raw() == before, "XCR0 is {:#x}, {before:#x} before", XCr0::read_raw());
    // SAFETY: without CR4.OSXSAVE the instruction is undefined.
    unsafe { Cr4::update(|flags| flags.remove(Cr4Flags::OSXSAVE)) };
    let caught = catch!("xsetbv"; in("ecx") 0, in("eax") 7, in("edx") 0);
    // SAFETY: leaf 1 offers XSAVE.
    unsafe { Cr4::update(|flags| flags.insert(Cr4Flags::OSXSAVE)) };
    super::exceptions::expect("XSETBV without CR4.OSXSAVE", caught, 6, 0)
}

/// CPUID leaf 0xd follows XCR0.
fn xsave_area(_: &Asked<'_>) -> Outcome {
    if !enable_avx() {
        return Ok(());
    }
    // SAFETY: leaf 1 offers XSAVE and AVX; compiled code uses neither.
    let sizes = [3_u64, 7, 3].map(|value| unsafe {
        XCr0::write_raw(value);
        cpuid(0xd, 0).ebx
    });
    // SAFETY: as above.
    unsafe { XCr0::write_raw(7) };
    check!(sizes == [576, 832, 576], "leaf 0xd gives areas of {sizes:?} bytes, not 576, 832, 576");
    Ok(())
}
