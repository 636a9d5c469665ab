//! MOV to CR8, where the processor stops at it.

use iced_x86::{DecoderOptions, Register};

use super::{EmulateError, fetch::instruction_as, registers};
use crate::{
    GuestMemory,
    vcpu::{Exit, VirtualCpu},
};

/// CR8 has four bits; the others must be zero (APM vol. 2, 3.1.5).
const HIGHEST: u64 = 0xf;

/// The task priority that the instruction which the guest stopped at writes; `None` where that raises #GP(0). Nothing of the guest
/// changes.
///
/// # Errors
/// The instruction cannot be fetched, or is not a write of CR8: another processor may have changed it meanwhile.
pub fn written_task_priority(
    vcpu: &mut dyn VirtualCpu,
    memory: &dyn GuestMemory,
    exit: &Exit,
) -> Result<Option<u8>, EmulateError> {
    let state = *vcpu.registers();
    let system = vcpu.system();
    // AMD's processors take LOCK MOV CR0 for it as well, which needs no 64-bit mode.
    let (instruction, bytes) = instruction_as(&state, &system, memory, exit, DecoderOptions::AMD)
        .map_err(|none| none.at(state.rip))?;
    let value = (instruction.op0_register() == Register::CR8)
        .then(|| registers::read(&state, &system.segments, instruction.op1_register()))
        .flatten()
        .ok_or(EmulateError::Undecodable { rip: state.rip, bytes })?;
    Ok((value <= HIGHEST).then_some(value as u8))
}
