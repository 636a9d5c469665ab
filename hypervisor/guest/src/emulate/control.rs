//! MOV from and to CR4, which a guest has not all of: its baseline says which bits, and the host keeps one for itself.

use iced_x86::{Mnemonic, Register};

use super::{
    EmulateError, Emulated, Fault,
    fetch::{NoInstruction, instruction},
    registers,
    segment::CodeSize,
};
use crate::{
    GuestMemory,
    vcpu::{Exit, VirtualCpu},
};

/// Carries out the MOV from or to CR4 that made the processor stop. It has checked the privilege level before.
///
/// # Errors
/// [`EmulateError`]: the guest has to be stopped.
pub fn control_register(
    vcpu: &mut dyn VirtualCpu,
    memory: &dyn GuestMemory,
    exit: &Exit,
) -> Result<Emulated, EmulateError> {
    let (before, system) = (*vcpu.registers(), vcpu.system());
    let rip = before.rip;
    let (instruction, bytes) = match instruction(&before, &system, memory, exit) {
        Ok(found) => found,
        Err(NoInstruction::Fault(fault)) => {
            fault.deliver(vcpu);
            return Ok(Emulated::Faulted(fault));
        }
        Err(none) => return Err(none.at(rip)),
    };
    let taken = match (instruction.mnemonic(), instruction.op0_register(), instruction.op1_register()) {
        (Mnemonic::Mov, Register::CR4, source) => {
            registers::read(&before, &system.segments, source).map(|value| vcpu.write_cr4(value))
        }
        (Mnemonic::Mov, destination, Register::CR4) => {
            registers::write(vcpu.registers(), destination, system.control.cr4).map(|()| true)
        }
        _ => None,
    };
    match taken {
        Some(true) => {
            vcpu.advance_to(CodeSize::of(&system).behind(rip, instruction.len() as u64));
            Ok(Emulated::Done)
        }
        Some(false) => {
            Fault::GENERAL_PROTECTION.deliver(vcpu);
            Ok(Emulated::Faulted(Fault::GENERAL_PROTECTION))
        }
        None => Err(EmulateError::Unsupported { rip, bytes, code: instruction.code() }),
    }
}
