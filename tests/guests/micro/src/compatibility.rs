//! 32-bit code at privilege level 0, with the tables of 64-bit mode: what 64-bit code cannot encode.

use core::arch::global_asm;

use crate::faults::{self, Caught};

/// Registers that the code left.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Left {
    pub(crate) eax: u32,
    pub(crate) ecx: u32,
    pub(crate) edi: u32,
}

/// A piece of code: EDI, ESI, EDX, ECX are given.
#[derive(Clone, Copy)]
pub(crate) struct Code {
    entry: unsafe extern "C" fn(u32, u32, u32, u32),
    resume: *const u8,
}

// SAFETY: the assembly below defines them.
unsafe extern "C" {
    static mut micro_32_left: [u32; 3];
}

/// Declares pieces of code that the assembly below defines.
macro_rules! pieces {
    ($($function:ident = $name:ident, $resume:ident;)+) => {
        // SAFETY: as above.
        unsafe extern "C" {
            $(fn $name(edi: u32, esi: u32, edx: u32, ecx: u32); static $resume: u8;)+
        }
        $(pub(crate) fn $function() -> Code {
            Code { entry: $name, resume: &raw const $resume }
        })+
    };
}

pieces! {
    into = micro_32_into, micro_32_into_resume;
    bound = micro_32_bound, micro_32_bound_resume;
    ins_16 = micro_32_ins_16, micro_32_ins_16_resume;
    ins_segment = micro_32_ins_segment, micro_32_ins_segment_resume;
    load_16 = micro_32_load_16, micro_32_load_16_resume;
    load_based = micro_32_load_based, micro_32_load_based_resume;
}

global_asm!(
    r#"
    .macro code_32 name
    .global \name
    .global \name\()_resume
\name:
    pushq %rbx
    pushq %rbp
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    pushq $0x18
    pushq $20f
    lretq
    .code32
20:
    .endm

    .macro end_32 name
\name\()_resume:
    movl %eax, micro_32_left
    movl %ecx, micro_32_left + 4
    movl %edi, micro_32_left + 8
    cld
    movl $0x10, %eax
    movl %eax, %es
    ljmpl $0x08, $30f
    .code64
30: popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbp
    popq %rbx
    retq
    .endm

    .text
    # INTO with OF as the sum of EDI and ESI leaves it.
    code_32 micro_32_into
    movl %edi, %eax
    addl %esi, %eax
    into
    end_32 micro_32_into

    # EDI within the bounds at ESI.
    code_32 micro_32_bound
    xorl %eax, %eax
    .byte 0x62, 0x3e                # BOUND EDI, [ESI], which this assembler does not know
    incl %eax
    end_32 micro_32_bound

    # ECX bytes from port DX to ES:DI, 16-bit addresses.
    code_32 micro_32_ins_16
    addr16 rep insb
    end_32 micro_32_ins_16

    # ECX bytes from port DX to EDI in the segment that SI names.
    code_32 micro_32_ins_segment
    movw %si, %es
    rep insb
    end_32 micro_32_ins_segment

    # A word at the 16-bit address BX + SI + 8 of FS, whose base the caller has set.
    code_32 micro_32_load_16
    movl %edi, %ebx
    addr16 movl %fs:8(%bx,%si), %eax
    end_32 micro_32_load_16

    # A word at EDI + 4 * ESI - 16, and the carry of adding it to ECX.
    code_32 micro_32_load_based
    movl -16(%edi,%esi,4), %eax
    addl -16(%edi,%esi,4), %ecx
    end_32 micro_32_load_based

    .data
    .balign 16
    .global micro_32_left
micro_32_left: .long 0, 0, 0
    .text
    "#,
    options(att_syntax)
);

/// Runs a piece of code with these registers: what it left, and the exception that ended it.
pub(crate) fn run(code: Code, edi: u32, esi: u32, edx: u32, ecx: u32) -> (Left, Option<Caught>) {
    let slot = faults::resume_slot();
    // SAFETY: the code keeps what compiled code relies on, and an exception in it goes on at its own end.
    let [eax, ecx, edi] = unsafe {
        slot.write_volatile(code.resume.addr() as u64);
        (code.entry)(edi, esi, edx, ecx);
        (&raw const micro_32_left).read_volatile()
    };
    (Left { eax, ecx, edi }, faults::take())
}
