//! Frame numbers and plain spans of frames.

use core::fmt;

/// Bytes in one frame.
pub const FRAME_BYTES: u64 = 4096;

/// A 4 KiB frame of host memory, by number (physical address / 4096).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostFrame(u64);

impl HostFrame {
    /// The frame with this number.
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// The frame that holds the byte at physical address `address`.
    pub const fn containing(address: u64) -> Self {
        Self(address / FRAME_BYTES)
    }

    /// The frame's number.
    pub const fn number(self) -> u64 {
        self.0
    }

    /// The physical address of the frame's first byte.
    pub const fn address(self) -> u64 {
        self.0 * FRAME_BYTES
    }
}

impl fmt::Debug for HostFrame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "frame {:#x}", self.0)
    }
}

/// A description of a span of frames: it names them and owns nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct FrameRange {
    /// The first frame.
    pub start: HostFrame,
    /// How many frames follow each other, the first one counted.
    pub frames: u64,
}

impl FrameRange {
    /// `frames` frames from `start` on.
    pub const fn new(start: HostFrame, frames: u64) -> Self {
        Self { start, frames }
    }

    /// The number of the first frame after the range, or `None` where it does not fit 64 bits.
    pub const fn end(self) -> Option<u64> {
        self.start.0.checked_add(self.frames)
    }

    /// The range's length in bytes, saturating.
    pub const fn bytes(self) -> u64 {
        self.frames.saturating_mul(FRAME_BYTES)
    }
}
