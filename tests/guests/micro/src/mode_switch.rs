//! From 64-bit mode down to real mode and back, with the same few steps in every mode on the way.
//!
//! The code runs at 32 KiB, where real mode reaches it. The tables for 32-bit and PAE paging are built here; in each of
//! them one address leads to a word by a small page and one by a large page.

use core::arch::global_asm;

use crate::{apic, single::Single};

/// What the steps found in one mode.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(C)]
pub(crate) struct Steps {
    /// EBX of CPUID leaf 0.
    pub(crate) vendor: u32,
    /// EAX of the APIC base register.
    pub(crate) apic_base: u32,
    /// The scratch register of COM1, after the mode's number was written to it.
    pub(crate) scratch: u32,
    /// The local APIC's version register.
    pub(crate) apic_version: u32,
}

/// Modes, by the place of their steps.
pub(crate) const MODES: [&str; 6] =
    ["compatibility", "protected without paging", "32-bit paging", "PAE paging", "16-bit protected", "real"];

/// What the whole round trip left.
#[derive(Clone, Copy, Default)]
#[repr(C)]
pub(crate) struct Report {
    pub(crate) steps: [Steps; 6],
    /// The word through 32-bit paging: by 4 KiB and by 4 MiB.
    pub(crate) legacy: [u32; 2],
    /// The word through PAE paging: by 4 KiB and by 2 MiB.
    pub(crate) pae: [u32; 2],
    /// How often the real-mode interrupt handler ran.
    pub(crate) real_interrupts: u32,
}

static REPORT: Single<Report> = Single::new(Report {
    steps: [Steps { vendor: 0, apic_base: 0, scratch: 0, apic_version: 0 }; 6],
    legacy: [0; 2],
    pae: [0; 2],
    real_interrupts: 0,
});
static LEGACY_DIRECTORY: Single<[u32; 1024]> = Single::new([0; 1024]);
static LEGACY_PAGES: Single<[u32; 1024]> = Single::new([0; 1024]);
static PAE_POINTERS: Single<[u64; 512]> = Single::new([0; 512]);
static PAE_DIRECTORIES: Single<[[u64; 512]; 4]> = Single::new([[0; 512]; 4]);
static PAE_PAGES: Single<[u64; 512]> = Single::new([0; 512]);
/// The word: its value comes back through every alias.
static WORD: Single<[u32; 2048]> = Single::new([0; 2048]);

// SAFETY: the linker script and the assembly below define them.
unsafe extern "C" {
    static __low_load: u8;
    static __low_start: u8;
    static __low_end: u8;
    /// Tables and addresses in, report filled: `legacy` and `pae` are roots, `small` and `large` the aliases of the word.
    fn low_round_trip(report: *mut Report, legacy: u32, pae: u32, small: u32, large: u32);
}

/// Where the small alias lies in both paging modes.
const SMALL: u32 = 0x4000_0000;

/// Goes through all modes and back. Interrupts must be off.
pub(crate) fn round_trip(word: u32) -> Report {
    let word_at = WORD.address();
    // Large pages alias the first 8 MiB at 1 GiB + 8 MiB, where 2 MiB and 4 MiB pages agree.
    assert!(word_at < 8 << 20, "the guest is small");
    let large = SMALL + (8 << 20) + word_at as u32;
    let set32 = |table: &Single<[u32; 1024]>, index: usize, entry: u64| {
        // SAFETY: inside the table, which is in no use yet.
        unsafe { table.get().cast::<u32>().add(index).write_volatile(entry as u32) };
    };
    let set64 = |table: *mut u64, index: usize, entry: u64| {
        // SAFETY: as above.
        unsafe { table.add(index).write_volatile(entry) };
    };
    // 0x83: present, writable, large. The first 8 MiB, the APIC, and the aliases.
    for (index, entry) in [
        (0, 0x83),
        (1, 0x40_0083),
        (apic::LOCAL >> 22, (apic::LOCAL & !0x3f_ffff) | 0x93),
        (u64::from(SMALL >> 22), LEGACY_PAGES.address() | 3),
        (u64::from(SMALL >> 22) + 2, 0x83),
        (u64::from(SMALL >> 22) + 3, 0x40_0083),
    ] {
        set32(&LEGACY_DIRECTORY, index as usize, entry);
    }
    set32(&LEGACY_PAGES, 0, word_at | 3);
    for gib in 0..4 {
        let directory = PAE_DIRECTORIES.address() + gib * 4096;
        set64(PAE_POINTERS.get().cast(), gib as usize, directory | 1);
    }
    let directories = PAE_DIRECTORIES.get().cast::<u64>();
    for piece in 0..4 {
        set64(directories, piece, (piece as u64) << 21 | 0x83);
        set64(directories, 512 + 4 + piece, (piece as u64) << 21 | 0x83);
    }
    set64(directories, 512, PAE_PAGES.address() | 3);
    set64(directories, (apic::LOCAL >> 21) as usize, (apic::LOCAL & !0x1f_ffff) | 0x93);
    set64(PAE_PAGES.get().cast(), 0, word_at | 3);
    // SAFETY: the word is this function's; the low code is copied whole to the RAM below 64 KiB that it was linked
    // for and that nothing else uses; it saves and restores all that compiled code relies on.
    unsafe {
        WORD.get().cast::<u32>().write_volatile(word);
        let bytes = (&raw const __low_end).addr() - (&raw const __low_start).addr();
        let low = core::ptr::with_exposed_provenance_mut::<u8>((&raw const __low_start).addr());
        core::ptr::copy_nonoverlapping(&raw const __low_load, low, bytes);
        REPORT.get().write_volatile(Report::default());
        low_round_trip(
            REPORT.get(),
            LEGACY_DIRECTORY.address() as u32,
            PAE_POINTERS.address() as u32,
            SMALL,
            large,
        );
        REPORT.get().read_volatile()
    }
}

global_asm!(
    r#"
    # The steps of one mode: 32-bit operands, EDI = the mode's place in the report. Clobbers EAX to EDX.
    .macro steps mode
    xorl %eax, %eax
    cpuid
    movl %ebx, (\mode * 16)(%edi)
    movl $0x1b, %ecx
    rdmsr
    movl %eax, (\mode * 16 + 4)(%edi)
    movl $(0xc0 + \mode), %eax
    movw $0x3ff, %dx
    outb %al, %dx
    xorl %eax, %eax
    inb %dx, %al
    movl %eax, (\mode * 16 + 8)(%edi)
    .endm

    # Adds 1 through the small alias and 1 through the large one, and reports what each shows.
    .macro aliases at
    movl low_small, %ebx
    movl (%ebx), %eax
    movl %eax, \at(%edi)
    incl (%ebx)
    movl low_large, %ebx
    movl (%ebx), %eax
    movl %eax, (\at + 4)(%edi)
    incl (%ebx)
    .endm

    .section .low, "awx", @progbits
    .code64
    .global low_round_trip
low_round_trip:
    pushq %rbx
    pushq %rbp
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, low_rsp
    movq %cr3, %rax
    movq %rax, low_cr3
    movq %cr4, %rax
    movq %rax, low_cr4
    sidt low_idt
    sgdt low_gdt
    movl %esi, low_legacy
    movl %edx, low_pae
    movl %ecx, low_small
    movl %r8d, low_large
    # RDI, the report, stays in EDI throughout.
    pushq $0x18
    pushq $10f
    lretq

    .code32
10: movl $0x10, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    movl %eax, %fs
    steps 0
    movl 0xfee00030, %eax
    movl %eax, 12(%edi)

    # Paging off, long mode off.
    movl %cr0, %eax
    andl $0x7fffffff, %eax
    movl %eax, %cr0
    movl $0xc0000080, %ecx
    rdmsr
    andl $~0x100, %eax
    wrmsr
    steps 1
    movl 0xfee00030, %eax
    movl %eax, 28(%edi)

    # 32-bit paging with 4 MiB pages.
    movl $0x610, %eax
    movl %eax, %cr4
    movl low_legacy, %eax
    movl %eax, %cr3
    movl %cr0, %eax
    orl $0x80000000, %eax
    movl %eax, %cr0
    jmp 20f
20: steps 2
    movl 0xfee00030, %eax
    movl %eax, 44(%edi)
    aliases 96
    movl %cr0, %eax
    andl $0x7fffffff, %eax
    movl %eax, %cr0

    # PAE paging.
    movl $0x620, %eax
    movl %eax, %cr4
    movl low_pae, %eax
    movl %eax, %cr3
    movl %cr0, %eax
    orl $0x80000000, %eax
    movl %eax, %cr0
    jmp 30f
30: steps 3
    movl 0xfee00030, %eax
    movl %eax, 60(%edi)
    aliases 104
    movl %cr0, %eax
    andl $0x7fffffff, %eax
    movl %eax, %cr0

    # 16-bit protected mode; FS and DS keep 4 GiB, as "unreal" mode does.
    ljmpl $0x20, $40f
    .code16
40: movl $0x28, %eax
    movl %eax, %ss
    steps 4
    movl $0xfee00030, %ebx
    movl %fs:(%ebx), %eax
    movl %eax, %fs:76(%edi)

    # Real mode.
    movl %cr0, %eax
    andl $0xfffffffe, %eax
    movl %eax, %cr0
    ljmpl $0, $50f
50: lidtl %cs:low_real_idt
    xorl %eax, %eax
    movl %eax, %ss
    movl $0x7ff0, %esp
    # Vector 0x40 leads to the handler below.
    movl $low_real_handler, %eax
    movl %eax, %fs:0x100
    movl %edi, %fs:low_report
    int $0x40
    int $0x40
    steps 5
    movl $0xfee00030, %ebx
    movl %fs:(%ebx), %eax
    movl %eax, %fs:92(%edi)
    # A string instruction with a 16-bit index and a repeat count: three bytes to COM1's scratch register.
    movw $low_bytes, %si
    movw $3, %cx
    movw $0x3ff, %dx
    rep outsb
    xorl %eax, %eax
    inb %dx, %al
    movl %eax, %fs:(5 * 16 + 8)(%edi)

    # And back up.
    movl %cr0, %eax
    orl $1, %eax
    movl %eax, %cr0
    ljmpl $0x18, $60f
    .code32
60: movl $0x10, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    movl low_cr4, %eax
    movl %eax, %cr4
    movl low_cr3, %eax
    movl %eax, %cr3
    movl $0xc0000080, %ecx
    rdmsr
    orl $0x100, %eax
    wrmsr
    movl %cr0, %eax
    orl $0x80000000, %eax
    movl %eax, %cr0
    ljmpl $0x08, $70f
    .code64
70: movl $0x10, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    movl %eax, %fs
    movq low_rsp, %rsp
    lidt low_idt
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbp
    popq %rbx
    retq

    .code16
low_real_handler:
    pushl %edi
    movl %fs:low_report, %edi
    incl %fs:112(%edi)
    popl %edi
    iretw

    .balign 8
low_rsp:    .quad 0
low_cr3:    .quad 0
low_cr4:    .quad 0
low_idt:    .skip 10
low_gdt:    .skip 10
low_real_idt:
    .word 0x3ff
    .long 0
low_legacy: .long 0
low_pae:    .long 0
low_small:  .long 0
low_large:  .long 0
low_report: .long 0
low_bytes:  .byte 0x11, 0x22, 0xc5
    .code64
    "#,
    options(att_syntax)
);
