//! Instructions that touch device registers in memory.

use iced_x86::Instruction;

use super::{
    Bus, Bytes, EmulateError, Emulated,
    bits::{RESUME, SINGLE_STEP},
    cpu::Cpu,
    execute::execute,
    fetch::{NoInstruction, instruction},
    operand::Stop,
    segment::CodeSize,
    string::StringInstruction,
};
use crate::{
    GuestMemory,
    vcpu::{Exit, NestedFault, VirtualCpu},
};

/// Carries out the instruction whose access to guest-physical memory made the processor stop with `fault`.
///
/// Call it for an access to what is no RAM: a device, or nothing at all.
///
/// # Errors
/// [`EmulateError`]: the guest has to be stopped.
pub fn mmio(
    vcpu: &mut dyn VirtualCpu,
    memory: &dyn GuestMemory,
    exit: &Exit,
    fault: &NestedFault,
    bus: &mut dyn Bus,
) -> Result<Emulated, EmulateError> {
    let address = fault.address;
    if vcpu.has_pending() {
        return Err(EmulateError::DuringDelivery { address });
    }
    if fault.in_walk {
        return Err(EmulateError::TablesOutsideRam { address });
    }
    if fault.fetch {
        return Err(EmulateError::CodeOutsideRam { address });
    }
    carry_out(vcpu, memory, exit, bus, |cpu, instruction| {
        if let Some(string) = StringInstruction::on_memory(instruction) {
            string.run(cpu, instruction)
        } else {
            let before = cpu.registers;
            execute(cpu, instruction).inspect_err(|_| cpu.registers = before).map(|()| true)
        }
    })
}

/// Fetches and decodes the instruction at RIP, lets `work` carry it out on a copy of the registers, and gives the guest what
/// came of it. `work` says whether the instruction is complete; when it fails, the registers show what was done of it.
pub(super) fn carry_out(
    vcpu: &mut dyn VirtualCpu,
    memory: &dyn GuestMemory,
    exit: &Exit,
    bus: &mut dyn Bus,
    work: impl FnOnce(&mut Cpu<'_>, &Instruction) -> Result<bool, Stop>,
) -> Result<Emulated, EmulateError> {
    let mut cpu = Cpu::new(vcpu, memory, bus);
    let rip = cpu.registers.rip;
    let (instruction, bytes): (Instruction, Bytes) =
        match instruction(&cpu.registers, &cpu.system, memory, exit) {
            Ok(found) => found,
            Err(NoInstruction::Fault(fault)) => {
                fault.deliver(vcpu);
                return Ok(Emulated::Faulted(fault));
            }
            Err(none) => return Err(none.at(rip)),
        };
    let done = work(&mut cpu, &instruction);
    let mut registers = cpu.registers;
    let next_rip = CodeSize::of(&cpu.system).behind(rip, instruction.len() as u64);
    if matches!(done, Ok(true)) {
        registers.rflags &= !RESUME;
    }
    *vcpu.registers() = registers;
    match done {
        Ok(true) => {
            vcpu.advance_to(next_rip);
            Ok(Emulated::Done)
        }
        Ok(false) => {
            if registers.rflags & SINGLE_STEP != 0 {
                // The trap behind a repetition finds RIP at the instruction (APM vol. 3, REP).
                vcpu.advance_to(rip);
            }
            Ok(Emulated::Again)
        }
        Err(Stop::Fault(fault)) => {
            fault.deliver(vcpu);
            Ok(Emulated::Faulted(fault))
        }
        Err(Stop::Unsupported) => Err(EmulateError::Unsupported { rip, bytes, code: instruction.code() }),
    }
}
