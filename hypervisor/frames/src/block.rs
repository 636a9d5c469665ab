//! The 2 MiB block: the unit of classes, content marks and pictures.

use crate::frame::{FrameRange, HostFrame};

/// Frames in one 2 MiB block.
pub(crate) const BLOCK_FRAMES: u64 = 512;

/// Whether the content of an allocated frame can be moved to another frame.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub enum Mobility {
    /// Guest memory: nested paging hides the move. Grows from the top of memory.
    Movable,
    /// Tables, rings, control structures: hardware holds their address. Grows from the bottom.
    Unmovable,
}

impl Mobility {
    /// Both classes.
    pub const ALL: [Self; 2] = [Self::Movable, Self::Unmovable];

    /// The class that is not this one.
    pub const fn other(self) -> Self {
        match self {
            Self::Movable => Self::Unmovable,
            Self::Unmovable => Self::Movable,
        }
    }
}

/// What is known about the bytes of a 2 MiB block.
///
/// The allocator keeps marks safe by default: a block that was handed out reads as [`Content::Dirty`] once
/// it comes back, unless its owner set a mark while it held it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Content {
    /// All zero: may be handed to a guest as it is.
    Clean,
    /// Unknown: must be zeroed before a guest sees it.
    Dirty,
    /// Content of a guest that left, kept as a cache until the frames are needed.
    Ghost,
}

/// How full a block is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum BlockState {
    /// Every frame is a hole, firmware, or otherwise never allocated.
    Reserved,
    /// No frame is used.
    Free,
    /// Some frames are used and some are free.
    Partial,
    /// Every frame that is not reserved is used.
    Full,
}

/// One 2 MiB block as a picture of memory shows it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BlockView {
    /// The block's first frame, a multiple of 512; at the edge of a zone it may lie before the zone.
    pub start: HostFrame,
    /// Frames that can be allocated now, 0..=512.
    pub free_frames: u16,
    /// Frames that are not in the zone or were never released, 0..=512.
    pub reserved_frames: u16,
    /// The class that took the block; without meaning where no frame is used.
    pub mobility: Mobility,
    /// What is known about the block's bytes.
    pub content: Content,
}

impl BlockView {
    /// Frames that are allocated, or kept at hand by a CPU, 0..=512.
    pub const fn used_frames(&self) -> u16 {
        BLOCK_FRAMES as u16 - self.free_frames - self.reserved_frames
    }

    /// How full the block is.
    pub const fn state(&self) -> BlockState {
        match (self.free_frames, self.used_frames()) {
            (0, 0) => BlockState::Reserved,
            (0, _) => BlockState::Full,
            (_, 0) => BlockState::Free,
            _ => BlockState::Partial,
        }
    }

    /// All 512 frames of the block, reserved ones counted.
    pub const fn range(&self) -> FrameRange {
        FrameRange::new(self.start, BLOCK_FRAMES)
    }
}
