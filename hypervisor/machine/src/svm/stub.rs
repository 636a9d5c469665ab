//! The world switch itself (APM vol. 2, 15.5 and 15.6).
//!
//! From CLGI to STGI nothing interrupts: neither interrupts nor NMIs nor machine checks are taken while the processor holds the
//! guest's FPU state, GS base and task register. Host interrupts and NMIs end the guest's run all the same; what ended it
//! is still pending at STGI, where an NMI is taken at once. Interrupts wait for the host's next window.

use core::{
    arch::{asm, global_asm},
    mem::offset_of,
};

use super::{switch::Crossing, vcpu::Setup, vmcb::Vmcb};
use crate::{
    cpu::descriptors::DATA_SELECTOR, interrupts::vectors, memory::address_space::DIRECT_MAP,
    virtual_cpu::extended_state::Area,
};

/// What the assembly is handed; it reads these fields by the offsets asserted below.
#[repr(C)]
struct Passage {
    crossing: *mut Crossing,
    /// Physical address of the control block.
    vmcb: u64,
    /// Physical address of the host's state as VMSAVE stored it.
    host_state: u64,
    /// The FPU's area.
    area: *mut u8,
    /// Components that are saved and restored; 0 where the processor has only FXSAVE.
    components: u64,
    /// The guest's XCR0: as it is to be, and afterwards as the guest left it. An emulator that does not know the intercept
    /// of XSETBV lets the guest set it by itself (QEMU 7.2 does).
    xcr0: u64,
    /// [`CLEAR_BUFFERS`] and [`FILL_RETURN_STACK`].
    guards: u64,
}

/// VERW comes before the entry. The assembly tests the bit.
const CLEAR_BUFFERS: u64 = 1;
/// The return stack is filled after the exit. The assembly tests the bit.
const FILL_RETURN_STACK: u64 = 2;

const _: () = {
    assert!(offset_of!(Passage, crossing) == 0x00);
    assert!(offset_of!(Passage, vmcb) == 0x08);
    assert!(offset_of!(Passage, host_state) == 0x10);
    assert!(offset_of!(Passage, area) == 0x18);
    assert!(offset_of!(Passage, components) == 0x20);
    assert!(offset_of!(Passage, xcr0) == 0x28);
    assert!(offset_of!(Passage, guards) == 0x30);
    assert!(offset_of!(Crossing, general) == 0);
};

// SAFETY: the assembly at the end of this file defines it, in the C convention.
unsafe extern "C" {
    fn __svm_enter(passage: *mut Passage);
}

/// Enters the guest in `vmcb` and returns when it stops.
///
/// # Safety
/// SVM is enabled on the calling processor, `host_state` is the physical address of what VMSAVE stored there, and interrupts are off.
/// `vmcb` lies in the direct map, and every physical address in it names what the manual wants there, the nested tables being ones
/// that show the guest nothing but its own. `extended_state` is one that restoring takes without a fault, `crossing.xcr0` one
/// that `setup.format` takes.
pub(super) unsafe fn enter(
    vmcb: &mut Vmcb,
    extended_state: &mut Area,
    crossing: &mut Crossing,
    host_state: u64,
    setup: &Setup,
) {
    let Setup { format, mitigations, .. } = setup;
    let mut passage = Passage {
        vmcb: (&raw mut *vmcb).addr() as u64 - DIRECT_MAP,
        host_state,
        area: extended_state.as_mut_ptr(),
        components: if format.has_xsave() { format.components() } else { 0 },
        xcr0: crossing.xcr0,
        guards: if mitigations.clear_buffers { CLEAR_BUFFERS } else { 0 }
            | if mitigations.fill_return_stack { FILL_RETURN_STACK } else { 0 },
        crossing: &raw mut *crossing,
    };
    load_debug_addresses(&crossing.debug_addresses);
    // SAFETY: the caller's promises; the passage and what it points to live until the call returns. The exclusive borrows make
    // the processor's and the assembly's writes the only ones.
    unsafe { __svm_enter(&raw mut passage) };
    crossing.xcr0 = passage.xcr0;
    crossing.debug_addresses = debug_addresses();
}

/// Stores the calling processor's FS, GS, TR, LDTR and system-call registers at physical address `at`.
///
/// # Safety
/// SVM is enabled; `at` begins a frame that nobody else uses.
pub(super) unsafe fn save_host_state(at: u64) {
    // SAFETY: the caller's promises.
    unsafe { asm!("vmsave rax", in("rax") at, options(nostack, preserves_flags)) };
}

/// Has the host's handler serve a machine check that arose in a guest: once it ended the run, it is not pending any more.
pub(super) fn raise_machine_check() {
    // SAFETY: the vector's gate leads to the host's own handler, on a stack of its own; it reports the banks and stops the host.
    unsafe { asm!("int {vector}", vector = const vectors::MACHINE_CHECK, options(nostack)) };
}

/// DR0 to DR3, as the guest left them. No breakpoint is on in the host: each exit leaves DR7 at its reset value.
fn debug_addresses() -> [u64; 4] {
    let [a, b, c, d]: [u64; 4];
    // SAFETY: reading them has no effect.
    unsafe {
        asm!(
            "mov {a}, dr0", "mov {b}, dr1", "mov {c}, dr2", "mov {d}, dr3",
            a = out(reg) a, b = out(reg) b, c = out(reg) c, d = out(reg) d,
            options(nomem, nostack, preserves_flags)
        );
    }
    [a, b, c, d]
}

/// Loads DR0 to DR3 where they differ from what the last guest left.
fn load_debug_addresses(wanted: &[u64; 4]) {
    if debug_addresses() == *wanted {
        return;
    }
    let [a, b, c, d] = *wanted;
    // SAFETY: DR7 enables none of them in the host; any value is allowed.
    unsafe {
        asm!(
            "mov dr0, {a}", "mov dr1, {b}", "mov dr2, {c}", "mov dr3, {d}",
            a = in(reg) a, b = in(reg) b, c = in(reg) c, d = in(reg) d,
            options(nomem, nostack, preserves_flags)
        );
    }
}

// Interrupts are enabled before VMRUN because with V_INTR_MASKING it is the host's IF at entry that decides whether
// interrupts end the run (15.21.1). VMRUN keeps RSP, RAX, RFLAGS and the host's control registers in the host save
// area by itself; VMLOAD and VMSAVE carry what it does not.
global_asm!(
    r#"
    .section .text.svm_enter, "ax", @progbits
    .balign 64
    .global __svm_enter
__svm_enter:
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    pushq %rdi
    clgi
    movq 0x18(%rdi), %rsi
    movq 0x20(%rdi), %rax
    testq %rax, %rax
    jz 1f
    movq %rax, %rdx
    shrq $32, %rdx
    xrstor64 (%rsi)
    movq 0x28(%rdi), %rax
    cmpq 0x20(%rdi), %rax
    je 2f
    movq %rax, %rdx
    shrq $32, %rdx
    xorl %ecx, %ecx
    xsetbv                          # after restoring: what the guest has switched off is kept too
    jmp 2f
1:
    fxrstor64 (%rsi)
2:
    testb $1, 0x30(%rdi)            # CLEAR_BUFFERS: from here on nothing is loaded but the guest's own
    jz 6f
    verw __svm_data_selector(%rip)
6:
    movq 0x08(%rdi), %rax
    movq (%rdi), %rdi
    movq 0x08(%rdi), %rcx
    movq 0x10(%rdi), %rdx
    movq 0x18(%rdi), %rbx
    movq 0x28(%rdi), %rbp
    movq 0x30(%rdi), %rsi
    movq 0x40(%rdi), %r8
    movq 0x48(%rdi), %r9
    movq 0x50(%rdi), %r10
    movq 0x58(%rdi), %r11
    movq 0x60(%rdi), %r12
    movq 0x68(%rdi), %r13
    movq 0x70(%rdi), %r14
    movq 0x78(%rdi), %r15
    movq 0x38(%rdi), %rdi
    sti
    vmload %rax
    vmrun %rax
    vmsave %rax
    cli
    pushq %rdi
    movq 0x08(%rsp), %rdi
    movq (%rdi), %rdi
    movq %rcx, 0x08(%rdi)
    movq %rdx, 0x10(%rdi)
    movq %rbx, 0x18(%rdi)
    movq %rbp, 0x28(%rdi)
    movq %rsi, 0x30(%rdi)
    movq %r8, 0x40(%rdi)
    movq %r9, 0x48(%rdi)
    movq %r10, 0x50(%rdi)
    movq %r11, 0x58(%rdi)
    movq %r12, 0x60(%rdi)
    movq %r13, 0x68(%rdi)
    movq %r14, 0x70(%rdi)
    movq %r15, 0x78(%rdi)
    popq 0x38(%rdi)
    popq %rdi
    testb $2, 0x30(%rdi)            # FILL_RETURN_STACK
    jz 8f
    movl $16, %eax
7:
    call 71f
    int3
71:
    call 72f
    int3
72:
    addq $16, %rsp
    decl %eax
    jnz 7b
8:
    lfence                          # no return is predicted by what the guest left, the branch above mispredicted or not
    movq 0x10(%rdi), %rax
    vmload %rax
    movq 0x18(%rdi), %rsi
    movq 0x20(%rdi), %r8
    testq %r8, %r8
    jz 3f
    xorl %ecx, %ecx
    xgetbv
    movl %eax, 0x28(%rdi)
    movl %edx, 0x2c(%rdi)
    movq %r8, %rax
    movq %r8, %rdx
    shrq $32, %rdx
    cmpq 0x28(%rdi), %rax
    je 4f
    xsetbv
4:
    xsave64 (%rsi)
    jmp 5f
3:
    fxsave64 (%rsi)
5:
    fninit                          # a guest's unmasked and pending x87 exception would be the host's
    ldmxcsr __svm_host_mxcsr(%rip)
    movq 0x28(%rsp), %rbp           # whoever reports an NMI follows it
    stgi
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    retq

    .section .rodata.svm_enter, "a", @progbits
    .balign 4
__svm_host_mxcsr:
    .long 0x1f80
__svm_data_selector:
    .word {data_selector}
    "#,
    data_selector = const DATA_SELECTOR,
    options(att_syntax)
);
