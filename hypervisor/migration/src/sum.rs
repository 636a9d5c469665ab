//! Sums of frames: what was sent against what arrived.
//!
//! A frame's sum depends on the move's key, the frame's number and its content; the root is the wrapping sum of all
//! frames' sums, so that the order of arrival does not matter and a changed frame can be taken out and put in again.
//! Each frame is counted once, so frames that were swapped, left out or changed change the root. It finds mistakes and
//! broken networks, not an attacker on the path: plain moves have no answer to one.

use godwit_guest::GuestFrame;
use godwit_wire::record::FRAME_BYTES;
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Bytes of a frame, as an array's length.
pub(crate) const FRAME: usize = FRAME_BYTES as usize;

/// 2^64 / golden ratio, odd: spreads frame numbers over all bits of a seed.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

/// Whether every byte is 0.
pub fn is_zero(frame: &[u8; FRAME]) -> bool {
    // In parts: most frames that are not zero show it in the first.
    let (parts, _) = frame.as_chunks::<64>();
    parts.iter().all(|part| *part == [0; 64])
}

/// The key of a move's sums, chosen by the destination.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SumKey {
    key: u64,
    /// What zero frames' sums are multiples of; odd.
    zero: u64,
}

impl SumKey {
    /// The sums under `key`.
    pub fn new(key: u64) -> Self {
        Self { key, zero: xxh3_64_with_seed(b"zero", key) | 1 }
    }

    /// The sum of one frame.
    pub fn frame(&self, frame: GuestFrame, content: &[u8; FRAME]) -> u64 {
        if is_zero(content) { self.zeros(frame, 1) } else { self.written(frame, content) }
    }

    /// The sum of one frame that is known not to be zero.
    pub(crate) fn written(&self, frame: GuestFrame, content: &[u8; FRAME]) -> u64 {
        xxh3_64_with_seed(content, self.key ^ frame.0.wrapping_mul(SPREAD))
    }

    /// The sums of `frames` zero frames from `first` on, added up.
    ///
    /// A zero frame's sum is `zero * (2 * number + 1)`, so that a range of any length is one subtraction of squares.
    pub fn zeros(&self, first: GuestFrame, frames: u64) -> u64 {
        let end = first.0.wrapping_add(frames);
        let squares = end.wrapping_mul(end).wrapping_sub(first.0.wrapping_mul(first.0));
        self.zero.wrapping_mul(squares)
    }

    /// The sum of machine state.
    pub fn state(&self, bytes: &[u8]) -> u64 {
        xxh3_64_with_seed(bytes, self.key)
    }
}

#[cfg(test)]
mod tests;
