//! The calling processor, asked by CPUID and RDMSR.

use core::arch::{global_asm, x86_64::__cpuid_count};

use raw_cpuid::CpuIdResult;

use crate::{features::Processor, interrupts::stubs::InterruptFrame};

// SAFETY: the assembly at the end of this file defines all three: two code addresses and a function of this signature in
// the C convention (argument in EDI, result in RAX and RDX).
unsafe extern "C" {
    static __try_rdmsr_at: u8;
    static __try_rdmsr_failed: u8;
    fn __try_rdmsr(msr: u32) -> Tried;
}

/// What a try to read a register gave, in RAX and RDX.
#[repr(C)]
struct Tried {
    value: u64,
    done: u64,
}

/// The processor that runs this.
pub struct ThisProcessor;

impl Processor for ThisProcessor {
    fn cpuid(&self, leaf: u32, subleaf: u32) -> CpuIdResult {
        let result = __cpuid_count(leaf, subleaf);
        CpuIdResult { eax: result.eax, ebx: result.ebx, ecx: result.ecx, edx: result.edx }
    }

    fn read_msr(&self, msr: u32) -> Option<u64> {
        // SAFETY: reading a register that is announced has no side effect; one that does not exist raises #GP, which
        // `recover` turns into the failed return.
        let tried = unsafe { __try_rdmsr(msr) };
        (tried.done == 1).then_some(tried.value)
    }
}

/// Where to go on after the exception in `frame`, if it is one that code here expects: a general protection fault of the
/// one RDMSR below.
pub(crate) fn recover(frame: &InterruptFrame) -> Option<u64> {
    const GENERAL_PROTECTION: u64 = 13;
    let expected = (&raw const __try_rdmsr_at).addr() as u64;
    (frame.vector == GENERAL_PROTECTION && frame.rip == expected)
        .then(|| (&raw const __try_rdmsr_failed).addr() as u64)
}

global_asm!(
    r#"
    .section .text.try_rdmsr, "ax", @progbits
    .global __try_rdmsr
    .global __try_rdmsr_at
    .global __try_rdmsr_failed
__try_rdmsr:
    movl %edi, %ecx
__try_rdmsr_at:
    rdmsr
    shlq $32, %rdx
    orq %rdx, %rax
    movl $1, %edx
    retq
__try_rdmsr_failed:
    xorl %eax, %eax
    xorl %edx, %edx
    retq
    "#,
    options(att_syntax)
);
