//! What arrived.
//!
//! | offset | bytes | what |
//! |---|---|---|
//! | 0 | 16 | prefix, kind 2; the sequence counts acknowledgements |
//! | 16 | 4 | base: every number below it arrived, or the sender has given it up |
//! | 20 | 1 | how many words follow, 0 to 8 |
//! | 21 | 3 | 0 |
//! | 24 | 8 each | bit i of word w: number base + 64 w + i arrived. The last word is not 0 |

use super::{Header, KIND_ACK, Reader, Writer};
use crate::{Token, WireError};

/// Words of the bitmap at most.
pub const WINDOW_WORDS: usize = 8;
/// Datagrams that a sender may have on the way: as many as the bitmap has bits.
pub const WINDOW_PACKETS: usize = WINDOW_WORDS * 64;

/// An acknowledgement.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ack {
    /// Its own number.
    pub sequence: u32,
    /// The move.
    pub token: Token,
    /// Every number below arrived, or was given up.
    pub base: u32,
    /// Bit `i` of word `w`: number `base + 64 w + i` arrived.
    pub arrived: [u64; WINDOW_WORDS],
}

impl Ack {
    /// The record's bytes, all of them. Words behind the last arrival are left out.
    pub fn encode(&self) -> Header {
        let words = self.arrived.iter().rposition(|&word| word != 0).map_or(0, |last| last + 1);
        let mut writer = Writer::new(KIND_ACK, self.sequence, self.token);
        writer.put(&self.base.to_le_bytes());
        writer.put(&[words as u8, 0, 0, 0]); // at most WINDOW_WORDS
        for word in self.arrived.iter().take(words) {
            writer.put(&word.to_le_bytes());
        }
        writer.0
    }

    pub(super) fn decode(sequence: u32, token: Token, mut reader: Reader<'_>) -> Result<Self, WireError> {
        let base = u32::from_le_bytes(reader.take()?);
        let [words, zeros @ ..] = reader.take::<4>()?;
        if zeros != [0; 3] {
            return Err(WireError::Record("reserved bytes are not 0"));
        }
        let mut arrived = [0; WINDOW_WORDS];
        let slots = arrived.get_mut(..words.into()).ok_or(WireError::Record("more than 8 words"))?;
        for word in slots.iter_mut() {
            *word = u64::from_le_bytes(reader.take()?);
        }
        if slots.last() == Some(&0) || !reader.0.is_empty() {
            return Err(WireError::Record("the bitmap ends in a word of 0, or bytes follow it"));
        }
        Ok(Self { sequence, token, base, arrived })
    }

    /// Whether `sequence` arrived, or needs not arrive any more.
    pub fn covers(&self, sequence: u32) -> bool {
        let Some(bit) = sequence.checked_sub(self.base) else { return true };
        self.arrived.get(bit as usize / 64).is_some_and(|word| word >> (bit % 64) & 1 == 1)
    }

    /// The newest number that arrived, or `None` where none did.
    pub fn newest(&self) -> Option<u32> {
        let last = self.arrived.iter().rposition(|&word| word != 0);
        let Some((last, word)) = last.and_then(|last| Some((last, self.arrived.get(last)?))) else {
            return self.base.checked_sub(1);
        };
        self.base.checked_add(last as u32 * 64 + word.ilog2())
    }
}
