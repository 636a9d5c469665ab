//! Where the next instruction begins.

use super::{
    EmulateError,
    fetch::{NoInstruction, Window, instruction},
    segment::CodeSize,
};
use crate::{
    GuestMemory,
    vcpu::{Exit, Reason, VirtualCpu},
};

/// The address behind the instruction that the guest stopped at, for [`VirtualCpu::advance_to`].
///
/// Where the processor does not say it, the instruction is fetched; the plain forms of what stops guests most
/// often need no decoder.
///
/// # Errors
/// [`EmulateError::Unfetchable`] and [`EmulateError::Undecodable`].
pub fn instruction_length(
    vcpu: &mut dyn VirtualCpu,
    memory: &dyn GuestMemory,
    exit: &Exit,
) -> Result<u64, EmulateError> {
    if let Some(next) = exit.next_rip {
        return Ok(next);
    }
    let registers = *vcpu.registers();
    let system = vcpu.system();
    let behind = |length: usize| CodeSize::of(&system).behind(registers.rip, length as u64);
    let plain = if let Some(bytes) = &exit.instruction {
        plain_length(exit.reason, bytes)
    } else {
        let mut window = Window::new(registers, &system, memory);
        window.extend().map_err(|fault| NoInstruction::Fault(fault).at(registers.rip))?;
        plain_length(exit.reason, &window.bytes)
    };
    if let Some(length) = plain {
        return Ok(behind(length));
    }
    let (instruction, _) =
        instruction(&registers, &system, memory, exit).map_err(|none| none.at(registers.rip))?;
    Ok(behind(instruction.len()))
}

/// The length of the instruction that `reason` names, if it stands there without prefixes.
fn plain_length(reason: Reason, bytes: &[u8]) -> Option<usize> {
    let forms: &[&[u8]] = match reason {
        Reason::Cpuid => &[&[0x0f, 0xa2]],
        Reason::ReadMsr => &[&[0x0f, 0x32]],
        Reason::WriteMsr => &[&[0x0f, 0x30]],
        Reason::Halt => &[&[0xf4]],
        Reason::Hypercall => &[&[0x0f, 0x01, 0xd9], &[0x0f, 0x01, 0xc1]],
        Reason::SetExtendedControl => &[&[0x0f, 0x01, 0xd1]],
        Reason::CacheFlush => &[&[0x0f, 0x09], &[0x0f, 0x08]],
        _ => &[],
    };
    forms.iter().find(|form| bytes.starts_with(form)).map(|form| form.len())
}
