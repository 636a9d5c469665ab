//! The PVH entry: from 32-bit protected mode without paging to 64-bit Rust at -2 GiB.
//!
//! Xen `docs/misc/pvh.pandoc`: the loader enters at the address in ELF note "Xen" type 18 with EBX = physical address of
//! `hvm_start_info`, flat 32-bit segments, paging off. The loader zeroes what a segment has in memory beyond its file part.
//!
//! The tables built here map the first 4 GiB three times, writable and executable: at 0 for the jump (and for
//! application processors on their way up), at the direct map's place, and at -2 GiB. `memory::paging` replaces them by tables with rights
//! as soon as the memory map has been read.

use core::arch::global_asm;

global_asm!(
    r#"
    .section .note.Xen, "a", @note
    .balign 4
    .long 4                         # length of the name
    .long 8                         # length of the address
    .long 18                        # XEN_ELFNOTE_PHYS32_ENTRY
    .asciz "Xen"
    .quad pvh_start

    .section .boot.bss, "aw", @nobits
    .balign 4096
boot_pml4:      .skip 4096
boot_pdpt_low:  .skip 4096
boot_pdpt_high: .skip 4096
boot_pd:        .skip 4 * 4096

    .section .bss.boot_stack, "aw", @nobits
    .balign 4096
    .global __boot_stack_start
    .global __boot_stack_end
__boot_stack_start:
    .skip 256 * 1024
__boot_stack_end:

    .section .boot.text, "awx", @progbits
    .code32
    .global pvh_start
pvh_start:
    cli
    cld
    movl %ebx, %edi                 # CPUID below overwrites EBX

    # Long mode, or say so and stop (APM vol. 3, CPUID Fn8000_0001 EDX bit 29).
    movl $0x80000000, %eax
    cpuid
    cmpl $0x80000001, %eax
    jb 90f
    movl $0x80000001, %eax
    cpuid
    btl $29, %edx
    jnc 90f

    # 4 GiB of 2 MiB pages: present, writable, large.
    xorl %ecx, %ecx
10: movl %ecx, %eax
    shll $21, %eax
    orl $0x83, %eax
    movl %eax, boot_pd(,%ecx,8)
    incl %ecx
    cmpl $2048, %ecx
    jb 10b

    movl $(boot_pd + 0x0003), boot_pdpt_low
    movl $(boot_pd + 0x1003), boot_pdpt_low + 8
    movl $(boot_pd + 0x2003), boot_pdpt_low + 16
    movl $(boot_pd + 0x3003), boot_pdpt_low + 24
    movl $(boot_pd + 0x0003), boot_pdpt_high + 510 * 8
    movl $(boot_pdpt_low + 3), boot_pml4
    movl $(boot_pdpt_low + 3), boot_pml4 + 256 * 8
    movl $(boot_pdpt_high + 3), boot_pml4 + 511 * 8

    # CR4: PAE, OSFXSR, OSXMMEXCPT (prebuilt Rust code uses SSE). EFER.LME. CR0: PE, MP, ET, NE, WP, PG.
    movl $0x620, %eax
    movl %eax, %cr4
    movl $boot_pml4, %eax
    movl %eax, %cr3
    movl $0xc0000080, %ecx
    rdmsr
    orl $0x100, %eax
    wrmsr
    movl $0x80010033, %eax
    movl %eax, %cr0
    lgdtl boot_gdt_pointer
    ljmpl $0x08, $boot_64

    # No long mode: write the reason to COM1 and stop.
90: movl $boot_no_long_mode, %esi
91: movw $0x3fd, %dx
92: inb %dx, %al
    testb $0x20, %al
    jz 92b
    movb (%esi), %al
    testb %al, %al
    jz 93f
    movw $0x3f8, %dx
    outb %al, %dx
    incl %esi
    jmp 91b
93: hlt
    jmp 93b

boot_no_long_mode:
    .asciz "godwit: this processor has no 64-bit mode; boot on an x86-64 processor\r\n"

    .code64
boot_64:
    xorl %eax, %eax
    movw %ax, %ss
    movw %ax, %ds
    movw %ax, %es
    movw %ax, %fs
    movw %ax, %gs
    movabsq $boot_high, %rax
    jmpq *%rax

    .balign 8
boot_gdt:
    .quad 0
    .quad 0x00af9b000000ffff        # 64-bit code, ring 0
boot_gdt_end:
boot_gdt_pointer:
    .word boot_gdt_end - boot_gdt - 1
    .long boot_gdt

    .section .text.boot_high, "ax", @progbits
boot_high:
    movq $__boot_stack_end, %rsp
    xorl %ebp, %ebp
    movl %edi, %edi                 # the upper half is undefined after the mode switch
    callq godwit_start_pvh
    ud2
    "#,
    options(att_syntax)
);
