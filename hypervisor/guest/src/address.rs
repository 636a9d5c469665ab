//! Guest-physical addresses.

use core::fmt;

use serde::{Deserialize, Serialize};

/// Bytes of a frame.
const FRAME_BYTES: u64 = 4096;

/// A guest-physical address in bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Hash, Serialize, Deserialize)]
pub struct GuestAddress(pub u64);

/// A guest frame by number: guest-physical address / 4096.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Hash, Serialize, Deserialize)]
pub struct GuestFrame(pub u64);

impl GuestAddress {
    /// The frame that holds this byte.
    pub const fn frame(self) -> GuestFrame {
        GuestFrame(self.0 / FRAME_BYTES)
    }

    /// Where in its frame the byte lies, 0 to 4095.
    pub const fn offset(self) -> u64 {
        self.0 % FRAME_BYTES
    }
}

impl GuestFrame {
    /// The address of the frame's first byte; wraps where no such address exists.
    pub const fn address(self) -> GuestAddress {
        GuestAddress(self.0.wrapping_mul(FRAME_BYTES))
    }
}

impl fmt::Display for GuestAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}
