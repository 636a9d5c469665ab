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

    /// What RDTSC leaves; RDTSCP with TSC_AUX as well (APM vol. 3).
    pub const fn set_time_stamp(&mut self, tsc: u64, aux: Option<u32>) {
        self.set_edx_eax(tsc);
        if let Some(aux) = aux {
            self.set_32(General::Rcx, aux);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{General, Registers};

    #[test]
    fn a_time_stamp_fills_whole_registers() {
        let mut registers = Registers { general: [u64::MAX; 16], ..Registers::default() };
        registers.set_time_stamp(0x1_2345_6789, None);
        let values =
            |registers: &Registers| [General::Rdx, General::Rax, General::Rcx].map(|one| registers.get(one));
        assert_eq!(values(&registers), [1, 0x2345_6789, u64::MAX], "RDTSC leaves ECX alone");
        registers.set_time_stamp(2 << 32, Some(0x1003));
        assert_eq!(values(&registers), [2, 0, 0x1003]);
    }
}
