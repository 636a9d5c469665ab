//! What the error code of an exception means.
#![forbid(unsafe_code)]

use core::fmt;

use super::vectors;

/// An exception's error code. Shown as its meaning in brackets after a blank, or as nothing where none is known
/// (APM vol. 2, 8.4).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ErrorCode {
    /// The exception.
    pub vector: u8,
    /// What the processor pushed.
    pub code: u64,
}

impl ErrorCode {
    const fn bit(self, number: u32) -> bool {
        self.code & (1 << number) != 0
    }

    fn page_fault(self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.bit(0) { " (present" } else { " (not present" })?;
        f.write_str(if self.bit(4) {
            ", fetch"
        } else if self.bit(1) {
            ", write"
        } else {
            ", read"
        })?;
        if self.bit(2) {
            f.write_str(", user")?;
        }
        if self.bit(3) {
            f.write_str(", reserved bit set")?;
        }
        f.write_str(")")
    }

    /// The index of a gate is its vector, but QEMU 7.2 counts 8 bytes a gate, of which 64-bit ones have 16, and gives twice
    /// the vector: it is shown as the index that it is, and never as a vector.
    fn selector(self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let table = match self.code >> 1 & 3 {
            0 => "GDT",
            2 => "LDT",
            _ => "IDT",
        };
        let external = if self.bit(0) { ", external" } else { "" };
        write!(f, " ({table} index {}{external})", self.code >> 3 & 0x1fff)
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.vector {
            vectors::PAGE_FAULT => self.page_fault(f),
            10..=13 if self.code != 0 => self.selector(f),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::ErrorCode;

    #[test]
    fn page_faults_say_what_was_tried() {
        for (code, meaning) in [
            (0, " (not present, read)"),
            (0b0_0011, " (present, write)"),
            (0b1_0001, " (present, fetch)"),
            (0b0_0110, " (not present, write, user)"),
            (0b0_1001, " (present, read, reserved bit set)"),
        ] {
            assert_eq!(ErrorCode { vector: 14, code }.to_string(), meaning, "{code:#b}");
        }
    }

    #[test]
    fn selectors_name_their_table_and_index() {
        for (vector, code, meaning) in [
            (13, 0, ""),
            (13, 0x10, " (GDT index 2)"),
            (10, 0x2c, " (LDT index 5)"),
            // Vector 14 as the manuals have it, and as QEMU 7.2 does.
            (11, 14 * 8 + 2, " (IDT index 14)"),
            (11, 14 * 16 + 2, " (IDT index 28)"),
            (13, 0xe0 * 16 + 3, " (IDT index 448, external)"),
            (8, 0x10, ""),
        ] {
            assert_eq!(ErrorCode { vector, code }.to_string(), meaning, "{vector} {code:#x}");
        }
    }
}
