//! INS and OUTS.

use super::{Bus, EmulateError, Emulated, mmio::carry_out, operand::Stop, string::StringInstruction};
use crate::{
    GuestMemory,
    vcpu::{Exit, Reason, VirtualCpu},
};

/// Carries out a part of the INS or OUTS that made the processor stop: at most
/// [`MAX_REPETITIONS`](super::MAX_REPETITIONS) elements, between the guest's memory and the port that `exit` names.
///
/// The processor has checked the guest's right to the port already.
///
/// # Errors
/// [`EmulateError`], also where the instruction at RIP is neither INS nor OUTS.
pub fn string_port(
    vcpu: &mut dyn VirtualCpu,
    memory: &dyn GuestMemory,
    exit: &Exit,
    bus: &mut dyn Bus,
) -> Result<Emulated, EmulateError> {
    carry_out(vcpu, memory, exit, bus, |cpu, instruction| {
        let Reason::Port { port, .. } = exit.reason else { return Err(Stop::Unsupported) };
        let string = StringInstruction::on_port(instruction, port).ok_or(Stop::Unsupported)?;
        string.run(cpu, instruction)
    })
}
