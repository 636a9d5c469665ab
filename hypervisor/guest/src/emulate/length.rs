//! Where the next instruction begins.

use super::{
    EmulateError,
    fetch::{NoInstruction, Window, instruction},
    segment::{CodeSize, privilege_level},
};
use crate::{
    GuestAddress, GuestMemory,
    cpu::{Attributes, Registers},
    vcpu::{Exit, Reason, SystemState, VirtualCpu},
};

/// Bytes of the longest form in [`plain_length`].
const PLAIN_BYTES: usize = 3;

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
    KnownCode::default().next_rip(vcpu, memory, exit)
}

/// Remembers where the code lies that a virtual CPU stopped in last, for processors that do not say where the next
/// instruction begins: the next stop on the same page needs no walk through the guest's tables.
///
/// It holds translations as the processor's own buffer does, and forgets them with every change of CR3, of paging mode or of
/// privilege. INVLPG it does not see; so what it remembers is believed only where those bytes are the plain form of the very instruction
/// that the processor stopped at. A guest that moved other code there meanwhile has its instruction fetched anew.
#[derive(Clone, Debug, Default)]
pub struct KnownCode {
    last: Option<(Place, GuestAddress)>,
}

/// Everything that a page of code was found by.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Place {
    /// CR0, CR3, CR4, EFER.
    control: [u64; 4],
    code_base: u64,
    code_attributes: Attributes,
    /// The page, counted in the code segment.
    page: u64,
    user: bool,
}

impl KnownCode {
    /// As [`instruction_length`].
    ///
    /// # Errors
    /// As there.
    pub fn next_rip(
        &mut self,
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
        let plain = match &exit.instruction {
            Some(bytes) => plain_length(exit.reason, bytes),
            None => self.known_length(&registers, &system, memory, exit.reason)?,
        };
        if let Some(length) = plain {
            return Ok(behind(length));
        }
        let (instruction, _) =
            instruction(&registers, &system, memory, exit).map_err(|none| none.at(registers.rip))?;
        Ok(behind(instruction.len()))
    }

    /// The length of a plain form, by what is remembered or else by a walk, which is remembered then.
    fn known_length(
        &mut self,
        registers: &Registers,
        system: &SystemState,
        memory: &dyn GuestMemory,
        reason: Reason,
    ) -> Result<Option<usize>, EmulateError> {
        let place = Place::of(registers, system);
        let offset = registers.rip % 4096;
        if let Some((known, page)) = self.last
            && known == place
            && offset <= 4096 - PLAIN_BYTES as u64
        {
            let mut bytes = [0; PLAIN_BYTES];
            let read = memory.read(GuestAddress(page.0.wrapping_add(offset)), &mut bytes);
            if let Some(length) = read.ok().and_then(|()| plain_length(reason, &bytes)) {
                return Ok(Some(length));
            }
        }
        let mut window = Window::new(*registers, system, memory);
        window.extend().map_err(|fault| NoInstruction::Fault(fault).at(registers.rip))?;
        // Pages of code and of memory agree where the segment begins with a page.
        self.last = window
            .start
            .filter(|start| start.offset() == offset)
            .map(|start| (place, start.frame().address()));
        Ok(plain_length(reason, &window.bytes))
    }
}

impl Place {
    fn of(registers: &Registers, system: &SystemState) -> Self {
        let (control, code) = (&system.control, &system.segments.cs);
        Self {
            control: [control.cr0, control.cr3, control.cr4, control.efer],
            code_base: code.base,
            code_attributes: code.attributes,
            page: registers.rip / 4096,
            user: privilege_level(system, registers.rflags) == 3,
        }
    }
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
