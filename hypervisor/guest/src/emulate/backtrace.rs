//! Who called the code that a guest stopped in, as far as its stack tells.
//!
//! Code that keeps frame pointers leaves a chain on its stack: RBP points to the caller's RBP, and the return address stands
//! above it (System V ABI for AMD64, 3.2.2). The chain is followed through the guest's own page tables. Nothing in it is
//! trusted: it is cut at the first thing that is odd, and after [`MAX_FRAMES`] in any case.

use core::fmt;

use arrayvec::ArrayVec;

use super::{
    bits::{ACCESS, CR0_PROTECTED, VIRTUAL_8086},
    segment::{CodeSize, is_canonical},
    walk::{self, walk},
};
use crate::{
    GuestAddress, GuestMemory, NotRam,
    cpu::{General, Registers},
    vcpu::SystemState,
};

/// Frames that are followed at most.
pub const MAX_FRAMES: usize = 8;

/// The return addresses on a stack.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Backtrace {
    /// Return addresses, the innermost first. Where the code itself stands is not among them.
    pub returns: ArrayVec<u64, MAX_FRAMES>,
    /// Why there are no more.
    pub end: TraceEnd,
}

/// Why a backtrace goes no further.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TraceEnd {
    /// The chain goes on; so many frames are enough.
    Long,
    /// A frame pointer of 0: nobody called this.
    Outermost,
    /// Real mode, virtual-8086 mode or a 16-bit segment: such code keeps no chain that could be told from other data.
    Bits16,
    /// This frame pointer is no address, or is not above the one before it.
    Odd(u64),
    /// The guest has no memory at this linear address.
    NoMemory(u64),
    /// This return address is none.
    NoCode(u64),
}

impl fmt::Display for TraceEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Long => write!(f, "more follow"),
            Self::Outermost => write!(f, "the frame pointer is 0"),
            Self::Bits16 => write!(f, "16-bit code keeps no frame pointers"),
            Self::Odd(at) => write!(f, "the frame pointer is {at:#x}, which cannot be"),
            Self::NoMemory(at) => write!(f, "there is no memory at {at:#x}"),
            Self::NoCode(at) => write!(f, "the return address is {at:#x}, which cannot be"),
        }
    }
}

/// The linear address of the code that a guest stopped in: RIP, and the base of CS outside 64-bit mode.
pub fn code_address(registers: &Registers, system: &SystemState) -> u64 {
    match CodeSize::of(system) {
        CodeSize::Bits64 => registers.rip,
        _ => system.segments.cs.base.wrapping_add(registers.rip) & 0xffff_ffff,
    }
}

/// How many bits the code that a guest stopped in has: 16, 32 or 64.
pub fn code_bits(system: &SystemState) -> u32 {
    CodeSize::of(system).bits()
}

/// Follows the frame pointers of a guest that stands still. Nothing of it changes, no accessed bit either.
pub fn backtrace(registers: &Registers, system: &SystemState, memory: &dyn GuestMemory) -> Backtrace {
    let mut returns = ArrayVec::new();
    let end = follow(registers, system, &ReadOnly(memory), &mut returns);
    Backtrace { returns, end }
}

fn follow(
    registers: &Registers,
    system: &SystemState,
    memory: &ReadOnly<'_>,
    returns: &mut ArrayVec<u64, MAX_FRAMES>,
) -> TraceEnd {
    let Some(stack) = Stack::of(registers, system, memory) else { return TraceEnd::Bits16 };
    let mut pointer = stack.cut(registers.get(General::Rbp));
    loop {
        if pointer == 0 {
            return TraceEnd::Outermost;
        }
        if returns.is_full() {
            return TraceEnd::Long;
        }
        let words = stack.word(pointer, 0).and_then(|next| Ok((next, stack.word(pointer, 1)?)));
        let (next, back) = match words {
            Ok(words) => words,
            Err(end) => return end,
        };
        if back == 0 || !stack.is_address(back) {
            return TraceEnd::NoCode(back);
        }
        // The capacity was checked above.
        let _ = returns.try_push(back);
        // A stack grows down: the caller's frame lies above. That also ends every circle.
        if next != 0 && next <= pointer {
            return TraceEnd::Odd(next);
        }
        pointer = next;
    }
}

/// A guest's stack.
struct Stack<'a> {
    system: &'a SystemState,
    memory: &'a ReadOnly<'a>,
    rflags: u64,
    base: u64,
    /// Bytes of an address: 4 or 8.
    word_bytes: usize,
}

impl<'a> Stack<'a> {
    fn of(registers: &Registers, system: &'a SystemState, memory: &'a ReadOnly<'a>) -> Option<Self> {
        let (base, word_bytes) = match CodeSize::of(system) {
            CodeSize::Bits64 => (0, 8),
            CodeSize::Bits32
                if system.control.cr0 & CR0_PROTECTED != 0 && registers.rflags & VIRTUAL_8086 == 0 =>
            {
                (system.segments.ss.base, 4)
            }
            CodeSize::Bits32 | CodeSize::Bits16 => return None,
        };
        // As if SMAP were suspended: this is the host's own look, not the guest's.
        Some(Self { system, memory, rflags: registers.rflags | ACCESS, base, word_bytes })
    }

    /// As much of a register as is an address.
    fn cut(&self, value: u64) -> u64 {
        if self.word_bytes == 8 { value } else { value & 0xffff_ffff }
    }

    fn is_address(&self, value: u64) -> bool {
        self.word_bytes == 4 || is_canonical(value)
    }

    /// The `index`th word above `pointer`.
    fn word(&self, pointer: u64, index: u64) -> Result<u64, TraceEnd> {
        let first = pointer.checked_add(index * self.word_bytes as u64).ok_or(TraceEnd::Odd(pointer))?;
        let last = first.checked_add(self.word_bytes as u64 - 1).ok_or(TraceEnd::Odd(pointer))?;
        if !self.is_address(first) || !self.is_address(last) {
            return Err(TraceEnd::Odd(pointer));
        }
        let mut bytes = [0; 8];
        // It may lie on two pages.
        for (offset, byte) in bytes.iter_mut().take(self.word_bytes).enumerate() {
            let at = self.cut(self.base.wrapping_add(first).wrapping_add(offset as u64));
            let read = walk(self.system, self.rflags, self.memory, at, walk::Access::default())
                .is_ok_and(|found| self.memory.read(found.address, core::slice::from_mut(byte)).is_ok());
            if !read {
                return Err(TraceEnd::NoMemory(at));
            }
        }
        Ok(u64::from_le_bytes(bytes))
    }
}

/// Memory that a look does not change: marks in page tables are not made, as if the tables lay outside RAM.
struct ReadOnly<'a>(&'a dyn GuestMemory);

impl GuestMemory for ReadOnly<'_> {
    fn read(&self, at: GuestAddress, out: &mut [u8]) -> Result<(), NotRam> {
        self.0.read(at, out)
    }

    fn write(&self, at: GuestAddress, _: &[u8]) -> Result<(), NotRam> {
        Err(NotRam { at })
    }
}
