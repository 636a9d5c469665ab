//! Instructions that the host carries out for a guest: CPUID, IN, OUT, RDMSR, WRMSR, XSETBV, RDTSC, RDTSCP.

use godwit_devices::Now;
use godwit_guest::{baseline::CpuidContext, cpu::General, vcpu::Event};

use super::{exits::Outcome, guest::Guest};
use crate::machine::Machine;

pub(super) fn cpuid(guest: &mut Guest) {
    let control = guest.vcpu.control();
    let context = CpuidContext { apic_id: 0, cpus: 1, cr4: control.cr4, xcr0: control.xcr0 };
    let registers = guest.vcpu.registers();
    let (leaf, subleaf) = (registers.get(General::Rax) as u32, registers.get(General::Rcx) as u32);
    let answer = guest.baseline.answer(leaf, subleaf, &context);
    registers.set_32(General::Rax, answer.eax);
    registers.set_32(General::Rbx, answer.ebx);
    registers.set_32(General::Rcx, answer.ecx);
    registers.set_32(General::Rdx, answer.edx);
}

pub(super) fn port(guest: &mut Guest, now: Now, port: u16, bytes: u8, input: bool) {
    let mask = u32::MAX >> (32 - 8 * u32::from(bytes.clamp(1, 4)));
    let rax = guest.vcpu.registers().get(General::Rax);
    if !input {
        guest.board.write_port(now, port, bytes, rax as u32 & mask);
        return;
    }
    let value = guest.board.read_port(now, port, bytes) & mask;
    // A 32-bit result clears the upper half of RAX, smaller ones keep what they do not cover.
    let kept = if bytes == 4 { 0 } else { rax & !u64::from(mask) };
    guest.vcpu.registers().set(General::Rax, kept | u64::from(value));
}

pub(super) fn read_msr(guest: &mut Guest, now: Now) -> Outcome {
    let msr = guest.vcpu.registers().get(General::Rcx) as u32;
    let value = if let Some(value) = guest.vcpu.read_msr(msr) {
        Some(value)
    } else if let Some(answer) = guest.board.read_msr(now, msr) {
        answer.ok()
    } else {
        match guest.msr_policy.read(msr) {
            Ok(value) => Some(value),
            Err(refused) => {
                say_unknown(guest, msr, "read", refused.first);
                None
            }
        }
    };
    match value {
        Some(value) => {
            guest.vcpu.registers().set_edx_eax(value);
            Outcome::Done
        }
        None => Outcome::Fault(Event::GENERAL_PROTECTION),
    }
}

pub(super) fn write_msr(machine: &dyn Machine, guest: &mut Guest, now: Now) -> Outcome {
    let registers = guest.vcpu.registers();
    let (msr, value) = (registers.get(General::Rcx) as u32, registers.edx_eax());
    let taken = if let Some(taken) = guest.vcpu.write_msr(msr, value) {
        taken
    } else if let Some(answer) = guest.board.write_msr(now, msr, value, &guest.ram.door(machine.memory())) {
        answer.is_ok()
    } else {
        match guest.msr_policy.write(msr, value) {
            Ok(()) => true,
            Err(refused) => {
                say_unknown(guest, msr, "write", refused.first);
                false
            }
        }
    };
    if taken { Outcome::Done } else { Outcome::Fault(Event::GENERAL_PROTECTION) }
}

/// XSETBV (APM vol. 4): #GP for any register but XCR0, for a value outside the baseline, and outside privilege level 0, which
/// the processor may not have checked before it stopped.
pub(super) fn set_extended_control(guest: &mut Guest) -> Outcome {
    let registers = guest.vcpu.registers();
    let (register, value) = (registers.get(General::Rcx) as u32, registers.edx_eax());
    let (_, privilege_level) = guest.vcpu.code_segment();
    if privilege_level != 0 || register != 0 || !guest.baseline.check_xcr0(value) {
        return Outcome::Fault(Event::GENERAL_PROTECTION);
    }
    guest.vcpu.set_xcr0(value);
    Outcome::Done
}

/// RDTSC, and RDTSCP, which gives TSC_AUX in ECX as well (APM vol. 3).
pub(super) fn read_tsc(guest: &mut Guest, with_aux: bool) -> Outcome {
    const TSC: u32 = 0x10;
    const TSC_AUX: u32 = 0xc000_0103;
    let Some(value) = guest.vcpu.read_msr(TSC) else { return Outcome::Fault(Event::INVALID_OPCODE) };
    let aux = with_aux.then(|| guest.vcpu.read_msr(TSC_AUX).unwrap_or(0) as u32);
    guest.vcpu.registers().set_time_stamp(value, aux);
    Outcome::Done
}

fn say_unknown(guest: &Guest, msr: u32, what: &str, first: bool) {
    if first {
        log::info!("guest {}: {what} of MSR {msr:#x} gives #GP; it is not offered", guest.description.name);
    }
}
