//! General registers.

use serde::{Deserialize, Serialize};

/// A general register by its number in instruction encodings (APM vol. 3, 1.2.7).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(usize)]
#[expect(missing_docs, reason = "the names are the architecture's")]
pub enum General {
    Rax = 0,
    Rcx,
    Rdx,
    Rbx,
    Rsp,
    Rbp,
    Rsi,
    Rdi,
    R8,
    R9,
    R10,
    R11,
    R12,
    R13,
    R14,
    R15,
}

/// The registers that most exits look at.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Registers {
    /// RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8 to R15: by encoding number.
    pub general: [u64; 16],
    /// Instruction pointer.
    pub rip: u64,
    /// Flags.
    pub rflags: u64,
}

impl Registers {
    /// The value of one register.
    pub const fn get(&self, register: General) -> u64 {
        self.general[register as usize]
    }

    /// Sets all 64 bits of one register.
    pub const fn set(&mut self, register: General, value: u64) {
        self.general[register as usize] = value;
    }

    /// Sets the low 32 bits and clears the rest, as 32-bit results do in 64-bit mode.
    pub const fn set_32(&mut self, register: General, value: u32) {
        self.set(register, value as u64);
    }

    /// EDX:EAX as one number.
    pub const fn edx_eax(&self) -> u64 {
        (self.get(General::Rdx) << 32) | (self.get(General::Rax) & 0xffff_ffff)
    }

    /// Spreads a number over EDX:EAX.
    pub const fn set_edx_eax(&mut self, value: u64) {
        self.set_32(General::Rax, value as u32);
        self.set_32(General::Rdx, (value >> 32) as u32);
    }
}
