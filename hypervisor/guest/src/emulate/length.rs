//! Where the next instruction begins.

use super::{
    EmulateError,
    bits::VIRTUAL_8086,
    fetch::{NoInstruction, Window, instruction},
    segment::CodeSize,
    walk::Entries,
};
use crate::{
    GuestAddress, GuestMemory,
    cpu::Attributes,
    vcpu::{Exit, Reason, VirtualCpu},
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
/// It holds a translation as the processor's own buffer does, and forgets it with every change of CR3, of paging mode or of
/// privilege. INVLPG it does not see; so what it remembers is believed only while the entries that led there are what they were, and
/// where the bytes are the plain form of the very instruction that the processor stopped at. Where the entries have changed and
/// lead nowhere any more, the processor used its buffer, and so does this.
#[derive(Clone, Debug, Default)]
pub struct KnownCode {
    last: Option<Known>,
}

/// A page of code.
#[derive(Clone, Debug)]
struct Known {
    place: Place,
    page: GuestAddress,
    entries: Entries,
}

/// Everything that a page of code was found by.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Place {
    /// CR0, CR3, CR4, EFER.
    control: [u64; 4],
    code_base: u64,
    code_attributes: Attributes,
    size: CodeSize,
    /// The page, counted in the code segment.
    page: u64,
    /// The privilege level, and whether real mode's segments hold at level 3.
    level: u8,
    virtual_8086: bool,
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
        let place = Place::of(vcpu);
        let rip = vcpu.registers().rip;
        let plain = match &exit.instruction {
            Some(bytes) => plain_length(exit.reason, bytes),
            None => match self.known_length(&place, rip, memory, exit.reason) {
                Some((length, true)) => Some(length),
                Some((length, false)) => {
                    self.walked_length(place, vcpu, memory, exit.reason).unwrap_or(Some(length))
                }
                None => self.walked_length(place, vcpu, memory, exit.reason)?,
            },
        };
        if let Some(length) = plain {
            return Ok(place.size.behind(rip, length as u64));
        }
        let (registers, system) = (*vcpu.registers(), vcpu.system());
        let (instruction, _) = instruction(&registers, &system, memory, exit).map_err(|none| none.at(rip))?;
        Ok(place.size.behind(rip, instruction.len() as u64))
    }

    /// The length of a plain form, by what is remembered, and whether the guest's tables still lead there.
    fn known_length(
        &self,
        place: &Place,
        rip: u64,
        memory: &dyn GuestMemory,
        reason: Reason,
    ) -> Option<(usize, bool)> {
        let offset = rip % 4096;
        let known = self.last.as_ref()?;
        if known.place != *place || offset > 4096 - PLAIN_BYTES as u64 {
            return None;
        }
        let mut bytes = [0; PLAIN_BYTES];
        memory.read(GuestAddress(known.page.0.wrapping_add(offset)), &mut bytes).ok()?;
        let length = plain_length(reason, &bytes)?;
        Some((length, known.entries.still_hold(memory)))
    }

    /// The length of a plain form, by a walk, which is remembered.
    fn walked_length(
        &mut self,
        place: Place,
        vcpu: &mut dyn VirtualCpu,
        memory: &dyn GuestMemory,
        reason: Reason,
    ) -> Result<Option<usize>, EmulateError> {
        let (registers, system) = (*vcpu.registers(), vcpu.system());
        let mut window = Window::new(registers, &system, memory);
        window.extend().map_err(|fault| NoInstruction::Fault(fault).at(registers.rip))?;
        // Pages of code and of memory agree where the segment begins with a page.
        self.last = window.start.filter(|start| start.offset() == registers.rip % 4096).map(|start| Known {
            place,
            page: start.frame().address(),
            entries: window.entries.clone(),
        });
        Ok(plain_length(reason, &window.bytes))
    }
}

impl Place {
    fn of(vcpu: &mut dyn VirtualCpu) -> Self {
        let control = vcpu.control();
        let (code, level) = vcpu.code_segment();
        let registers = vcpu.registers();
        Self {
            control: [control.cr0, control.cr3, control.cr4, control.efer],
            code_base: code.base,
            code_attributes: code.attributes,
            size: CodeSize::of_segment(&control, &code),
            page: registers.rip / 4096,
            level,
            virtual_8086: registers.rflags & VIRTUAL_8086 != 0,
        }
    }
}

/// The length of the instruction that `reason` names, if it stands there without prefixes.
fn plain_length(reason: Reason, bytes: &[u8]) -> Option<usize> {
    Some(match (reason, bytes) {
        (Reason::DebugTrap, [0xf1, ..]) => 1,
        (Reason::Halt, [0xf4, ..]) => 1,
        (Reason::Pause, [0xf3, 0x90, ..])
        | (Reason::ReadTsc, [0x0f, 0x31, ..])
        | (Reason::Cpuid, [0x0f, 0xa2, ..])
        | (Reason::ReadMsr, [0x0f, 0x32, ..])
        | (Reason::WriteMsr, [0x0f, 0x30, ..])
        | (Reason::CacheFlush, [0x0f, 0x08 | 0x09, ..]) => 2,
        (Reason::ReadTscp, [0x0f, 0x01, 0xf9, ..])
        | (Reason::Hypercall, [0x0f, 0x01, 0xd9 | 0xc1, ..])
        | (Reason::SetExtendedControl, [0x0f, 0x01, 0xd1, ..]) => 3,
        _ => return None,
    })
}
