//! Another CPU of the machine, started by INIT and a start-up message.

use core::arch::global_asm;

use crate::{apic, single::Single, time};

/// Where the CPU starts, in real mode. Nothing else is kept there.
const START: u64 = 0x6000;
const STACK_BYTES: usize = 16 << 10;

/// Commands: INIT, asserted, and a start-up message (APM vol. 2, 16.5).
const INIT: u32 = 5 << 8 | 1 << 14;
const START_UP: u32 = 6 << 8 | 1 << 14;

static STACK: Single<[u8; STACK_BYTES]> = Single::new([0; STACK_BYTES]);

// SAFETY: the assembly below defines them; only their addresses are used.
unsafe extern "C" {
    static other_begin: u8;
    static other_stack: u8;
    static other_entry: u8;
    static other_end: u8;
}

/// Has the CPU with this APIC ID run `entry`, with interrupts off. Once.
pub(crate) fn start(apic_id: u32, entry: extern "C" fn() -> !) {
    let begin = (&raw const other_begin).addr();
    let offset = |label: *const u8| (label.addr() - begin) as u64;
    let bytes = offset(&raw const other_end) as usize;
    // SAFETY: the code is copied whole to RAM below 64 KiB that nothing else uses, and its two words lie in it.
    unsafe {
        let low = core::ptr::with_exposed_provenance_mut::<u8>(START as usize);
        core::ptr::copy_nonoverlapping(&raw const other_begin, low, bytes);
        let word = |at: u64| core::ptr::with_exposed_provenance_mut::<u64>((START + at) as usize);
        word(offset(&raw const other_stack)).write_volatile(STACK.address() + STACK_BYTES as u64);
        word(offset(&raw const other_entry)).write_volatile(entry as usize as u64);
    }
    apic::start(false);
    apic::send_to(apic_id, INIT);
    time::wait(10, || false);
    apic::send_to(apic_id, START_UP | (START >> 12) as u32);
}

// From real mode to 64-bit mode at once, on the page tables of the CPU that booted.
global_asm!(
    r#"
    .section .rodata.other, "a", @progbits
    .set OTHER, 0x6000
    .balign 16
    .code16
other_begin:
    cli
    xorl %eax, %eax
    movw %ax, %ds
    movl $0x620, %eax
    movl %eax, %cr4
    movl $boot_pml4, %eax
    movl %eax, %cr3
    movl $0xc0000080, %ecx
    rdmsr
    orl $0x900, %eax
    wrmsr
    lgdtl OTHER + (other_gdt_pointer - other_begin)
    movl $0x80010033, %eax
    movl %eax, %cr0
    ljmpl $0x08, $(OTHER + (other_64 - other_begin))

    .code64
other_64:
    movl $0x10, %eax
    movl %eax, %ss
    movl %eax, %ds
    movl %eax, %es
    movq OTHER + (other_stack - other_begin), %rsp
    xorl %ebp, %ebp
    callq *(OTHER + (other_entry - other_begin))
    ud2

    .balign 8
other_gdt:
    .quad 0
    .quad 0x00af9b000000ffff        # 64-bit code
    .quad 0x00cf93000000ffff        # flat data
other_gdt_pointer:
    .word 23
    .long OTHER + (other_gdt - other_begin)
    .balign 8
other_stack: .quad 0
other_entry: .quad 0
other_end:
    .code64
    "#,
    options(att_syntax)
);
