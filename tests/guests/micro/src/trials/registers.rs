//! Every register keeps its value across exits and interrupts.

use core::arch::global_asm;

use x86_64::{
    VirtAddr,
    instructions::interrupts as flag,
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
    interrupts::{Controller, expect_from, hits},
    pic, pit,
    single::Single,
    time::Stopwatch,
    trial::{Outcome, check, found},
};

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

pub(super) fn run(asked: &Asked<'_>) -> Outcome {
    let exits = asked.number("exits", 2000).max(1);
    let wide = enable_avx();
    fill(wide);
    bases(exits)?;
    // SAFETY: both images are this trial's; AVX is on where `wide` says so.
    unsafe { micro_registers(exits, BEFORE.get(), AFTER.get(), u64::from(wide)) };
    compare(wide, "exits")?;

    // And with interrupts in between, whose handler uses SSE itself.
    apic::start(true);
    pic::start(1);
    expect_from(Controller::Pic);
    pit::start(pit::Mode::Periodic, (pit::HZ / 1000) as u16);
    flag::enable();
    let mut watch = Stopwatch::start();
    while hits(pic::FIRST_VECTOR) < 10 && watch.microseconds() < 5_000_000 {
        // SAFETY: as above. The upper halves of YMM are not the handler's to keep: it saves by FXSAVE, which leaves them.
        unsafe { micro_registers(exits, BEFORE.get(), AFTER.get(), u64::from(wide)) };
        compare(wide, "exits and interrupts")?;
    }
    flag::disable();
    pit::stop();
    pic::start(0);
    check!(hits(pic::FIRST_VECTOR) >= 10, "{} interrupts came", hits(pic::FIRST_VECTOR));
    Ok(())
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

fn compare(wide: bool, across: &str) -> Outcome {
    // SAFETY: this trial's statics; nothing writes them now.
    let (before, after) = unsafe { (&*BEFORE.get(), &*AFTER.get()) };
    check!(before.general == after.general, "general registers across {across}: {:x?}", after.general);
    // Control, status and tag words; the last instruction's address need not be kept (APM vol. 2, 11.4.4.3).
    for (what, range) in
        [("x87 control", 0..5), ("MXCSR", 24..28), ("x87 registers", 32..160), ("XMM", 160..416)]
    {
        let (expected, found) = (&before.legacy[range.clone()], &after.legacy[range]);
        check!(expected == found, "{what} across {across}: {found:x?}, not {expected:x?}");
    }
    if wide {
        for (place, (expected, found)) in before.wide.iter().zip(&after.wide).enumerate() {
            check!(expected == found, "YMM{place} across {across}: {found:x?}, not {expected:x?}");
        }
    }
    Ok(())
}

/// Segment bases, debug registers and CR2, which no exit may touch.
fn bases(exits: u64) -> Outcome {
    let (fs, gs, kernel_gs) = (0x1122_3344_5000_u64, 0xffff_8877_6655_4000_u64, 0x7fff_1234_5678_u64);
    FsBase::write(VirtAddr::new(fs));
    GsBase::write(VirtAddr::new(gs));
    KernelGsBase::write(VirtAddr::new(kernel_gs));
    let addresses = [0x1000_u64, 0x2001, 0x3002, 0xffff_8000_0000_4003];
    let cr2 = 0xffff_9999_8888_7777_u64;
    let found: [u64; 5];
    // SAFETY: no breakpoint is enabled, and CR2 is only looked at after page faults.
    unsafe {
        use core::arch::asm;
        asm!("mov dr0, {}", "mov dr1, {}", "mov dr2, {}", "mov dr3, {}", "mov cr2, {}",
            in(reg) addresses[0], in(reg) addresses[1], in(reg) addresses[2], in(reg) addresses[3], in(reg) cr2);
        for _ in 0..exits {
            cpuid(0, 0);
        }
        let (a, b, c, d, e): (u64, u64, u64, u64, u64);
        asm!("mov {}, dr0", "mov {}, dr1", "mov {}, dr2", "mov {}, dr3", "mov {}, cr2",
            out(reg) a, out(reg) b, out(reg) c, out(reg) d, out(reg) e);
        found = [a, b, c, d, e];
        asm!("mov dr0, {0}", "mov dr1, {0}", "mov dr2, {0}", "mov dr3, {0}", in(reg) 0u64);
    }
    let seen = [FsBase::read(), GsBase::read(), KernelGsBase::read()].map(VirtAddr::as_u64);
    FsBase::write(VirtAddr::new(0));
    GsBase::write(VirtAddr::new(0));
    check!(seen == [fs, gs, kernel_gs], "FS, GS and kernel GS bases across exits: {seen:x?}");
    check!(found[..4] == addresses, "debug registers across exits: {:x?}", &found[..4]);
    check!(found[4] == cr2, "CR2 across exits: {:#x}", found[4]);
    Ok(())
}
