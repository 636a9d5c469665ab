//! One small entry for each vector, and the common path that saves what Rust may change.

use core::arch::global_asm;

use x86_64::VirtAddr;

/// Bytes between two entries.
const ENTRY_BYTES: u64 = 16;

// SAFETY: the assembly below defines the label; only its address is used.
unsafe extern "C" {
    static __interrupt_stubs: u8;
}

/// Registers at the moment of an interrupt, as the entries push them.
#[repr(C)]
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the architecture's register names")]
pub struct InterruptFrame {
    pub r15: u64,
    pub r14: u64,
    pub r13: u64,
    pub r12: u64,
    pub r11: u64,
    pub r10: u64,
    pub r9: u64,
    pub r8: u64,
    pub rdi: u64,
    pub rsi: u64,
    pub rbp: u64,
    pub rbx: u64,
    pub rdx: u64,
    pub rcx: u64,
    pub rax: u64,
    /// Which entry was taken.
    pub vector: u64,
    /// What the processor pushed, or 0 where it pushes none.
    pub error_code: u64,
    pub rip: u64,
    pub cs: u64,
    pub rflags: u64,
    pub rsp: u64,
    pub ss: u64,
}

/// The entry for `vector`.
pub fn address(vector: u8) -> VirtAddr {
    VirtAddr::from_ptr(&raw const __interrupt_stubs) + u64::from(vector) * ENTRY_BYTES
}

// Prebuilt code below the red zone is safe: every gate switches to an interrupt stack. Rust code may use XMM registers, so
// the common path saves them (FXSAVE image, 512 bytes, 16-byte aligned: APM vol. 2, 11.4.4).
global_asm!(
    r#"
    .section .text.interrupt_stubs, "ax", @progbits
    .balign 16
    .global __interrupt_stubs
__interrupt_stubs:
    .set godwit_vector, 0
    .rept 256
    .balign 16
    .if (godwit_vector == 8) || ((godwit_vector >= 10) && (godwit_vector <= 14)) || (godwit_vector == 17) || (godwit_vector == 21) || (godwit_vector == 29) || (godwit_vector == 30)
    .else
    pushq $0
    .endif
    pushq $godwit_vector
    jmp interrupt_common
    .set godwit_vector, godwit_vector + 1
    .endr

    .balign 16
interrupt_common:
    pushq %rax
    pushq %rcx
    pushq %rdx
    pushq %rbx
    pushq %rbp
    pushq %rsi
    pushq %rdi
    pushq %r8
    pushq %r9
    pushq %r10
    pushq %r11
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    cld
    movq %rsp, %rdi
    movq %rsp, %rbx
    subq $512, %rsp
    andq $-16, %rsp
    fxsave64 (%rsp)
    callq godwit_interrupt
    fxrstor64 (%rsp)
    movq %rbx, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %r11
    popq %r10
    popq %r9
    popq %r8
    popq %rdi
    popq %rsi
    popq %rbp
    popq %rbx
    popq %rdx
    popq %rcx
    popq %rax
    addq $16, %rsp
    iretq
    "#,
    options(att_syntax)
);

/// Called by the common path on the vector's interrupt stack, with interrupts off.
#[unsafe(no_mangle)]
extern "C" fn godwit_interrupt(frame: &mut InterruptFrame) {
    super::dispatch::dispatch(frame);
}
