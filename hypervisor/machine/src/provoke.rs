//! Faults on purpose: each raised the way it happens by mistake, so that its report can be tested.

use core::{arch::asm, hint::black_box};

use godwit_host::machine::Fault;
use x86_64::{
    PhysAddr, VirtAddr,
    instructions::{interrupts, tables::sidt},
};

use crate::{
    apic::local as local_apic,
    cpu::local,
    memory::{direct_map, image},
};

/// Raises `fault` on the calling processor.
pub fn provoke(fault: Fault) {
    match fault {
        Fault::Panic => panic!("raised on purpose by selftest panic"),
        Fault::DivideError => divide_error(),
        Fault::InvalidOpcode => invalid_opcode(),
        Fault::GeneralProtection => general_protection(),
        Fault::PageFault => page_fault(),
        Fault::WriteToCode => write_to_code(),
        Fault::WriteToCodeAlias => write_to_code_alias(),
        Fault::ExecuteData => execute_data(),
        Fault::DoubleFault => double_fault(),
        Fault::StackOverflow => {
            black_box(stack_overflow(black_box(1)));
        }
        Fault::Nmi => non_maskable(),
    }
}

#[inline(never)]
fn divide_error() {
    // SAFETY: divides by zero, which ends in the fault report; the registers are declared.
    unsafe {
        asm!("xor ecx, ecx", "xor edx, edx", "mov eax, 1", "div ecx", out("eax") _, out("ecx") _, out("edx") _);
    }
}

#[inline(never)]
fn invalid_opcode() {
    // SAFETY: UD2 always raises #UD, which ends in the fault report.
    unsafe { asm!("ud2") };
}

#[inline(never)]
fn general_protection() {
    // A non-canonical address raises #GP, not #PF.
    read_from(0x8000_0000_0000_0000);
}

#[inline(never)]
fn page_fault() {
    // The lower half is empty.
    read_from(0x0000_1234_5678_9000);
}

#[inline(never)]
fn read_from(address: u64) {
    // SAFETY: the address is mapped nowhere, so the read faults and ends in the fault report.
    unsafe { asm!("mov {0}, [{0}]", inout(reg) address => _, options(nostack)) };
}

#[inline(never)]
fn write_to_code() {
    write_to(image::text().start);
}

/// The direct map covers the image's frames too: writable there, the code could be changed after all.
#[inline(never)]
fn write_to_code_alias() {
    let code = PhysAddr::new(image::text().physical_start());
    write_to(direct_map::virtual_address(code).as_u64());
}

/// A write that leaves what is there as it is, should it succeed: the self-test then fails, and the code is whole.
#[inline(always)]
fn write_to(address: u64) {
    // SAFETY: either the byte is mapped read-only, CR0.WP is set, and the write faults, or the same byte is written back.
    unsafe { asm!("or byte ptr [{}], 0", in(reg) address, options(nostack)) };
}

#[inline(never)]
fn execute_data() {
    let data = image::data().start;
    // SAFETY: the image's data is mapped no-execute, so the call faults on its first fetch.
    unsafe { asm!("call {}", in(reg) data) };
}

/// A divide error whose gate is not present: delivering it raises #NP, a second contributory exception (APM vol. 2, table 8-3).
#[inline(never)]
fn double_fault() {
    const TYPE_AND_PRESENT: u64 = 5;
    let divide_gate: VirtAddr = sidt().base;
    interrupts::disable();
    // SAFETY: clears the present bit of this processor's own divide-error gate; its IDT is writable memory of its own, and
    // nothing after this line returns.
    unsafe { (divide_gate + TYPE_AND_PRESENT).as_mut_ptr::<u8>().write_volatile(0) };
    divide_error();
}

#[inline(never)]
fn stack_overflow(depth: u64) -> u64 {
    if depth == u64::MAX {
        return 0;
    }
    let page = black_box([depth; 64]);
    // The sum after the call keeps it from becoming a loop.
    stack_overflow(black_box(depth + 1)) + page.iter().sum::<u64>()
}

#[inline(never)]
fn non_maskable() {
    local_apic::send_nmi(local::this().apic_id());
    // It arrives within a few instructions.
    loop {
        core::hint::spin_loop();
    }
}
