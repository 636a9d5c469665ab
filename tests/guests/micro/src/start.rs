//! The PVH entry, the Rust function behind it, and the end.
//!
//! Xen `docs/misc/pvh.pandoc`: 32-bit protected mode without paging, EBX = physical address of `hvm_start_info`.

use core::{arch::global_asm, panic::PanicInfo};

use crate::{acpi, asked::Asked, console::println, environment, interrupts, start_info::StartInfo, trials};

global_asm!(
    r#"
    .section .note.Xen, "a", @note
    .balign 4
    .long 4                         # length of the name
    .long 8                         # length of the address
    .long 18                        # XEN_ELFNOTE_PHYS32_ENTRY
    .asciz "Xen"
    .quad pvh_start

    .section .bss.boot_tables, "aw", @nobits
    .balign 4096
    .global boot_pml4
    .global boot_pdpt
boot_pml4:      .skip 4096
boot_pdpt:      .skip 4096
boot_pd:        .skip 4 * 4096
boot_stack:     .skip 64 * 1024
boot_stack_end:

    .section .boot.text, "awx", @progbits
    .code32
    .global pvh_start
pvh_start:
    cli
    cld
    movl $boot_stack_end, %esp
    movl %ebx, %edi

    # 4 GiB of 2 MiB pages at their own addresses: present, writable, large.
    xorl %ecx, %ecx
10: movl %ecx, %eax
    shll $21, %eax
    orl $0x83, %eax
    movl %eax, boot_pd(,%ecx,8)
    incl %ecx
    cmpl $2048, %ecx
    jb 10b
    movl $(boot_pd + 0x0003), boot_pdpt
    movl $(boot_pd + 0x1003), boot_pdpt + 8
    movl $(boot_pd + 0x2003), boot_pdpt + 16
    movl $(boot_pd + 0x3003), boot_pdpt + 24
    movl $(boot_pdpt + 3), boot_pml4

    # CR4: PAE, OSFXSR, OSXMMEXCPT (compiled code uses SSE). EFER: LME, NXE. CR0: PE, MP, ET, NE, WP, PG.
    movl $0x620, %eax
    movl %eax, %cr4
    movl $boot_pml4, %eax
    movl %eax, %cr3
    movl $0xc0000080, %ecx
    rdmsr
    orl $0x900, %eax
    wrmsr
    movl $0x80010033, %eax
    movl %eax, %cr0
    lgdtl boot_gdt_pointer
    ljmpl $0x08, $boot_64

    .code64
boot_64:
    movl $0x10, %eax
    movl %eax, %ss
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %fs
    movl %eax, %gs
    movl $boot_stack_end, %esp
    movl %edi, %edi                 # the upper half is undefined after the mode switch
    xorl %ebp, %ebp
    callq micro_start
    ud2

    .balign 8
boot_gdt:
    .quad 0
    .quad 0x00af9b000000ffff        # 64-bit code
    .quad 0x00cf93000000ffff        # flat data
boot_gdt_end:
boot_gdt_pointer:
    .word boot_gdt_end - boot_gdt - 1
    .long boot_gdt
    "#,
    options(att_syntax)
);

/// The name that the entry above calls, once, with the physical address of the start information.
#[unsafe(no_mangle)]
extern "C" fn micro_start(start_info: u64) -> ! {
    crate::console::start();
    // SAFETY: called once by the entry, with what the loader left; nothing has overwritten memory yet.
    let info = unsafe { StartInfo::read(start_info) };
    interrupts::start();
    acpi::find(info.rsdp);
    environment::start(info);
    trials::run(&Asked::new(environment::get().command_line()));
    acpi::power_off()
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    println!("micro panic: {info}");
    acpi::power_off()
}

/// Named by prebuilt `core`; the guest never unwinds.
#[unsafe(no_mangle)]
extern "C" fn rust_eh_personality() -> ! {
    panic!("unwinding was asked for")
}

/// Named by prebuilt `core`; the guest never unwinds.
#[unsafe(no_mangle)]
extern "C" fn _Unwind_Resume() -> ! {
    panic!("unwinding was asked for")
}
