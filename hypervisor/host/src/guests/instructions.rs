//! Instructions that the host carries out for a guest: CPUID, IN, OUT, RDMSR, WRMSR, XSETBV, RDTSC, RDTSCP.

use godwit_guest::{VcpuIndex, baseline::CpuidContext, cpu::General, vcpu::Event};

use super::{Guest, exits::Outcome, table::Scene, vcpu::Core};

/// IN or OUT of one value.
#[derive(Clone, Copy)]
pub(super) struct Access {
    pub(super) port: u16,
    /// 1, 2 or 4.
    pub(super) bytes: u8,
    /// IN rather than OUT.
    pub(super) input: bool,
}

pub(super) fn cpuid(guest: &Guest, index: VcpuIndex, core: &mut Core) {
    let control = core.cpu.control();
    let context = CpuidContext {
        apic_id: index.apic_id(),
        cpus: guest.vcpus.len() as u32,
        cr4: control.cr4,
        xcr0: control.xcr0,
    };
    let registers = core.cpu.registers();
    let (leaf, subleaf) = (registers.get(General::Rax) as u32, registers.get(General::Rcx) as u32);
    let answer = guest.baseline.answer(leaf, subleaf, &context);
    registers.set_32(General::Rax, answer.eax);
    registers.set_32(General::Rbx, answer.ebx);
    registers.set_32(General::Rcx, answer.ecx);
    registers.set_32(General::Rdx, answer.edx);
}

pub(super) fn port(scene: Scene<'_>, guest: &Guest, index: VcpuIndex, core: &mut Core, access: Access) {
    let Access { port, bytes, input } = access;
    let mask = u32::MAX >> (32 - 8 * u32::from(bytes.clamp(1, 4)));
    let rax = core.cpu.registers().get(General::Rax);
    guest.with_board(scene, Some(index), |board| {
        let now = guest.clock.now(scene.machine);
        if !input {
            board.write_port(now, port, bytes, rax as u32 & mask);
            return;
        }
        let value = board.read_port(now, port, bytes) & mask;
        // A 32-bit result clears the upper half of RAX, smaller ones keep what they do not cover.
        let kept = if bytes == 4 { 0 } else { rax & !u64::from(mask) };
        core.cpu.registers().set(General::Rax, kept | u64::from(value));
    });
}

pub(super) fn read_msr(scene: Scene<'_>, guest: &Guest, index: VcpuIndex, core: &mut Core) -> Outcome {
    let msr = core.cpu.registers().get(General::Rcx) as u32;
    let value = if let Some(value) = core.cpu.read_msr(msr) {
        Some(value)
    } else if let Some(answer) = guest
        .with_board(scene, Some(index), |board| board.read_msr(guest.clock.now(scene.machine), index, msr))
    {
        answer.ok()
    } else {
        let answer = guest.msr_policy().read(msr);
        if let Err(refused) = &answer {
            say_unknown(guest, msr, "read", refused.first);
        }
        answer.ok()
    };
    match value {
        Some(value) => {
            core.cpu.registers().set_edx_eax(value);
            Outcome::Done
        }
        None => Outcome::Fault(Event::GENERAL_PROTECTION),
    }
}

pub(super) fn write_msr(scene: Scene<'_>, guest: &Guest, index: VcpuIndex, core: &mut Core) -> Outcome {
    let registers = core.cpu.registers();
    let (msr, value) = (registers.get(General::Rcx) as u32, registers.edx_eax());
    let door = guest.ram.door(scene.machine.memory());
    let offset = core.cpu.tsc_offset();
    let taken = if let Some(taken) = core.cpu.write_msr(msr, value) {
        if core.cpu.tsc_offset() != offset {
            follow_tsc(scene, guest, core.cpu.tsc_offset());
        }
        taken
    } else if let Some(answer) = guest.with_board(scene, Some(index), |board| {
        board.write_msr(guest.clock.now(scene.machine), index, msr, value, &door)
    }) {
        answer.is_ok()
    } else {
        let answer = guest.msr_policy().write(msr, value);
        if let Err(refused) = &answer {
            say_unknown(guest, msr, "write", refused.first);
        }
        answer.is_ok()
    };
    if taken { Outcome::Done } else { Outcome::Fault(Event::GENERAL_PROTECTION) }
}

/// Takes the guest's clocks along where it wrote its time stamp counter. A guest has one counter, unlike a machine: what one of its CPUs
/// writes, the others have from their next entry on; until then their clocks show what the page says of the new counter.
fn follow_tsc(scene: Scene<'_>, guest: &Guest, offset: u64) {
    let door = guest.ram.door(scene.machine.memory());
    guest.with_board(scene, None, |board| {
        let before = guest.clock.now(scene.machine);
        guest.clock.set_tsc_offset(offset);
        board.after_tsc_write(before, guest.clock.now(scene.machine), &door);
    });
    guest.wake_all(scene);
}

/// XSETBV (APM vol. 4): #GP for any register but XCR0, for a value outside the baseline, and outside privilege level 0, which
/// the processor may not have checked before it stopped.
pub(super) fn set_extended_control(guest: &Guest, core: &mut Core) -> Outcome {
    let registers = core.cpu.registers();
    let (register, value) = (registers.get(General::Rcx) as u32, registers.edx_eax());
    let (_, privilege_level) = core.cpu.code_segment();
    if privilege_level != 0 || register != 0 || !guest.baseline.check_xcr0(value) {
        return Outcome::Fault(Event::GENERAL_PROTECTION);
    }
    core.cpu.set_xcr0(value);
    Outcome::Done
}

/// RDTSC, and RDTSCP, which gives TSC_AUX in ECX as well (APM vol. 3).
pub(super) fn read_tsc(core: &mut Core, with_aux: bool) -> Outcome {
    const TSC: u32 = 0x10;
    const TSC_AUX: u32 = 0xc000_0103;
    let Some(value) = core.cpu.read_msr(TSC) else { return Outcome::Fault(Event::INVALID_OPCODE) };
    let aux = with_aux.then(|| core.cpu.read_msr(TSC_AUX).unwrap_or(0) as u32);
    core.cpu.registers().set_time_stamp(value, aux);
    Outcome::Done
}

fn say_unknown(guest: &Guest, msr: u32, what: &str, first: bool) {
    if first {
        log::info!("guest {}: {what} of MSR {msr:#x} gives #GP; it is not offered", guest.description.name);
    }
}
