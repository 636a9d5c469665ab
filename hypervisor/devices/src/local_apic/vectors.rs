//! A set of interrupt vectors.

use serde::{Deserialize, Serialize};

/// 256 bits, as the IRR, ISR and TMR have them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(super) struct Vectors([u32; 8]);

impl Vectors {
    pub(super) fn insert(&mut self, vector: u8) {
        if let Some(word) = self.0.get_mut(usize::from(vector / 32)) {
            *word |= 1 << (vector % 32);
        }
    }

    pub(super) fn remove(&mut self, vector: u8) {
        if let Some(word) = self.0.get_mut(usize::from(vector / 32)) {
            *word &= !(1 << (vector % 32));
        }
    }

    pub(super) fn contains(&self, vector: u8) -> bool {
        self.word(vector / 32) & (1 << (vector % 32)) != 0
    }

    /// The vector of highest priority.
    pub(super) fn highest(&self) -> Option<u8> {
        let (word, bits) = self.0.iter().enumerate().rev().find(|(_, bits)| **bits != 0)?;
        Some((word as u8) << 5 | bits.ilog2() as u8)
    }

    /// Vectors 32 × `word` to 32 × `word` + 31, as a register shows them.
    pub(super) fn word(&self, word: u8) -> u32 {
        self.0.get(usize::from(word)).copied().unwrap_or(0)
    }

    /// Whether it holds vectors below 16, which no APIC delivers.
    pub(super) fn has_illegal(&self) -> bool {
        self.word(0) & 0xffff != 0
    }
}
