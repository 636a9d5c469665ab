//! An instruction's bytes, and what they mean.

use arrayvec::ArrayVec;
use iced_x86::{Decoder, DecoderError, DecoderOptions, Instruction, Register};

use super::{
    Bytes, EmulateError, Fault,
    segment::{CodeSize, Use, linear, privilege_level},
    walk::{Access, Entries, walk_by},
};
use crate::{
    GuestAddress, GuestMemory,
    cpu::Registers,
    vcpu::{Exit, MAX_INSTRUCTION_BYTES, SystemState, VirtualCpu},
};

/// Why an instruction cannot be had.
pub(super) enum NoInstruction {
    /// Fetching it raises this.
    Fault(Fault),
    /// The decoder does not know it.
    Undecodable(Bytes),
}

impl NoInstruction {
    /// As an error about the instruction at `rip`.
    pub(super) fn at(self, rip: u64) -> EmulateError {
        match self {
            Self::Fault(fault) => EmulateError::Unfetchable { rip, fault },
            Self::Undecodable(bytes) => EmulateError::Undecodable { rip, bytes },
        }
    }
}

/// The bytes at the guest's instruction pointer, for a report: 15, or as many as can be fetched.
pub fn fetch(vcpu: &mut dyn VirtualCpu, memory: &dyn GuestMemory) -> Bytes {
    let system = vcpu.system();
    let mut window = Window::new(*vcpu.registers(), &system, memory);
    while window.extend().is_ok_and(|more| more) {}
    Bytes(window.bytes)
}

/// The instruction that the guest stopped at.
pub(super) fn instruction(
    registers: &Registers,
    system: &SystemState,
    memory: &dyn GuestMemory,
    exit: &Exit,
) -> Result<(Instruction, Bytes), NoInstruction> {
    instruction_as(registers, system, memory, exit, DecoderOptions::NONE)
}

/// As [`instruction`], with the decoder's `options`.
pub(super) fn instruction_as(
    registers: &Registers,
    system: &SystemState,
    memory: &dyn GuestMemory,
    exit: &Exit,
    options: u32,
) -> Result<(Instruction, Bytes), NoInstruction> {
    let size = CodeSize::of(system);
    if let Some(bytes) = &exit.instruction
        && let Ok(instruction) = decode(bytes, size, registers.rip, options)
    {
        return Ok(named(instruction, bytes));
    }
    let mut window = Window::new(*registers, system, memory);
    loop {
        let more = window.extend().map_err(NoInstruction::Fault)?;
        match decode(&window.bytes, size, registers.rip, options) {
            Ok(instruction) => return Ok(named(instruction, &window.bytes)),
            // The instruction may go on in the next page.
            Err(DecoderError::NoMoreBytes) if more => {}
            Err(_) => return Err(NoInstruction::Undecodable(Bytes(window.bytes))),
        }
    }
}

fn named(instruction: Instruction, bytes: &[u8]) -> (Instruction, Bytes) {
    (instruction, Bytes(bytes.iter().copied().take(instruction.len()).collect()))
}

fn decode(bytes: &[u8], size: CodeSize, rip: u64, options: u32) -> Result<Instruction, DecoderError> {
    let mut decoder = Decoder::with_ip(size.bits(), bytes, rip, options);
    let instruction = decoder.decode();
    match decoder.last_error() {
        DecoderError::None => Ok(instruction),
        error => Err(error),
    }
}

/// Code from the instruction pointer on, a page at a time: the second page is touched only where the instruction goes on in it,
/// as a fault there would otherwise be one that the processor does not raise.
pub(super) struct Window<'a> {
    registers: Registers,
    system: &'a SystemState,
    memory: &'a dyn GuestMemory,
    /// What has been fetched.
    pub(super) bytes: ArrayVec<u8, MAX_INSTRUCTION_BYTES>,
    /// Where in memory the first of them lies.
    pub(super) start: Option<GuestAddress>,
    /// The entries that lead there.
    pub(super) entries: Entries,
}

impl<'a> Window<'a> {
    pub(super) fn new(registers: Registers, system: &'a SystemState, memory: &'a dyn GuestMemory) -> Self {
        Self { registers, system, memory, bytes: ArrayVec::new(), start: None, entries: Entries::default() }
    }

    /// Fetches up to the end of the page; says whether more can follow.
    pub(super) fn extend(&mut self) -> Result<bool, Fault> {
        let size = CodeSize::of(self.system);
        let offset = size.behind(self.registers.rip, self.bytes.len() as u64);
        let rflags = self.registers.rflags;
        let at = linear(self.system, rflags, Register::CS, offset, 1, Use::Fetch)?;
        let user = privilege_level(self.system, rflags) == 3;
        let access = Access { fetch: true, user, ..Access::default() };
        let (found, entries) = walk_by(self.system, rflags, self.memory, at, access)?;
        let found = found.address;
        if self.start.is_none() {
            self.start = Some(found);
            self.entries = entries;
        }
        let in_segment = match size {
            CodeSize::Bits64 => u64::MAX,
            _ => u64::from(self.system.segments.cs.limit).saturating_sub(offset).saturating_add(1),
        };
        let wanted = (self.bytes.remaining_capacity() as u64).min(4096 - found.offset()).min(in_segment);
        let mut page = [0; MAX_INSTRUCTION_BYTES];
        let page = &mut page[..wanted as usize];
        // Nothing answers there: the bus floats high.
        if self.memory.read(found, page).is_err() {
            page.fill(0xff);
        }
        self.bytes.extend(page.iter().copied());
        Ok(self.bytes.remaining_capacity() > 0)
    }
}
