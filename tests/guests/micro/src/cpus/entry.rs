//! Where a CPU begins that a start-up message woke: from real mode to a stack of its own in 64-bit mode.

use core::arch::global_asm;

use super::{MOST, STACK_BYTES, arrived};

/// Bytes of the code that has to lie below 1 MiB.
const MOST_BYTES: usize = 256;

// SAFETY: the assembly below defines the labels; only their addresses are used.
unsafe extern "C" {
    static cpu_begin: u8;
    static cpu_begin_end: u8;
}

/// Puts the code of the first steps at the start of page `vector`, which a start-up message can name.
pub(crate) fn place(vector: u8) {
    let code = &raw const cpu_begin;
    let bytes = (&raw const cpu_begin_end).addr() - code.addr();
    assert!(bytes <= MOST_BYTES, "the first steps fit into their page");
    let page = core::ptr::with_exposed_provenance_mut::<u8>(usize::from(vector) << 12);
    // SAFETY: RAM below the legacy hole that neither the guest nor its tables lie in; no CPU is on its way through it.
    unsafe { core::ptr::copy_nonoverlapping(code, page, bytes) };
}

/// Fills page `vector` with halts and jumps back to them.
pub(crate) fn forget(vector: u8) {
    let page = core::ptr::with_exposed_provenance_mut::<u16>(usize::from(vector) << 12);
    for at in 0..MOST_BYTES / 2 {
        // SAFETY: as in `place`. HLT; CLI, over and over.
        unsafe { page.add(at).write_volatile(0xfaf4) };
    }
}

global_asm!(
    r#"
    .section .bss.cpu_stacks, "aw", @nobits
    .balign 4096
    .global cpu_stacks
cpu_stacks:     .skip {MOST} * {STACK_BYTES}

    .section .text.cpu_begin, "ax", @progbits
    # Runs at the start of any page below 1 MiB, with CS as the start-up message made it.
    .code16
    .global cpu_begin
    .global cpu_begin_end
cpu_begin:
    cli
    cld
    xorl %ebp, %ebp
    movw %cs, %bp
    movw %bp, %ds
    lgdtl cpu_begin_tables - cpu_begin
    movl $0x620, %eax               # PAE, OSFXSR, OSXMMEXCPT
    movl %eax, %cr4
    movl $boot_pml4, %eax
    movl %eax, %cr3
    movl $0xc0000080, %ecx
    rdmsr
    orl $0x900, %eax                # LME, NXE
    wrmsr
    movl $0x80010033, %eax          # PE, MP, ET, NE, WP, PG
    movl %eax, %cr0
    ljmpl $0x08, $cpu_begin_64
    .balign 8
cpu_begin_tables:
    .word 3 * 8 - 1
    .long cpu_begin_gdt
cpu_begin_end:

    .code64
    .balign 8
cpu_begin_gdt:
    .quad 0
    .quad 0x00af9b000000ffff        # 64-bit code
    .quad 0x00cf93000000ffff        # flat data
cpu_begin_64:
    movl $0x10, %eax
    movl %eax, %ss
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %fs
    movl %eax, %gs
    # Who takes the place that CPU 0 has laid out has its stack; a second one was not meant.
    movl $-1, %edi
    xchgl %edi, {NEXT}
    cmpl ${MOST}, %edi
    jae 10f
    movl %edi, %eax
    incl %eax
    imull ${STACK_BYTES}, %eax
    leaq cpu_stacks(%rax), %rsp
    movl %ebp, %esi
    xorl %ebp, %ebp
    callq {arrived}
    ud2
10: lock incl {STRAYS}
20: hlt
    jmp 20b
    "#,
    MOST = const MOST,
    STACK_BYTES = const STACK_BYTES,
    NEXT = sym super::NEXT,
    STRAYS = sym super::STRAYS,
    arrived = sym arrived,
    options(att_syntax)
);
