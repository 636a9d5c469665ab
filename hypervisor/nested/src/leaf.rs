//! What a leaf says, and what a change to leaves means for processors.

use core::ops::Range;

use bitflags::bitflags;
use godwit_frames::{HostFrame, Order};

bitflags! {
    /// What a guest may do with a frame beside reading it, which it always may: a frame that it may not read is not mapped.
    #[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
    pub struct Rights: u8 {
        /// Write it.
        const WRITE = 1;
        /// Fetch instructions from it.
        const EXECUTE = 1 << 1;
    }
}

/// A mark that processors make in leaves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mark {
    /// Made when the leaf is used.
    Accessed,
    /// Made when something is written through the leaf.
    Dirty,
}

/// A leaf: guest frames that follow each other, mapped to as many host frames that do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Leaf {
    /// The first guest frame.
    pub guest_frame: u64,
    /// The host frame that it is mapped to.
    pub host: HostFrame,
    /// How many there are: order 0, 9 or 18.
    pub order: Order,
    /// What the guest may do.
    pub rights: Rights,
    /// Whether a processor has used the leaf since the mark was last cleared.
    pub accessed: bool,
    /// Whether a processor has written through the leaf since the mark was last cleared.
    pub dirty: bool,
}

impl Leaf {
    /// The guest frames.
    pub const fn guest_frames(&self) -> Range<u64> {
        self.guest_frame..self.guest_frame.saturating_add(self.order.frames())
    }

    /// The host frame of a guest frame, or `None` where the leaf does not map it.
    pub const fn translate(&self, guest_frame: u64) -> Option<HostFrame> {
        match guest_frame.checked_sub(self.guest_frame) {
            Some(offset) if offset < self.order.frames() => Some(HostFrame::new(self.host.number() + offset)),
            _ => None,
        }
    }
}

/// What an operation changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[must_use = "where it says so, every CPU that runs the guest has to flush"]
pub struct Change {
    /// Guest frames whose mapping, rights, leaf size or marks are others now.
    pub frames: u64,
    /// Whether a processor may remember what no longer holds: every CPU that runs the guest flushes what it remembers of
    /// these tables, and acknowledges it, before the caller relies on the change.
    pub flush: bool,
}
