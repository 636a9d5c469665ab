//! Buddy orders: naturally aligned powers of two, from one frame to 1 GiB.

use crate::frame::FRAME_BYTES;

/// A run length of `2^order` frames, 0 (4 KiB) to 18 (1 GiB).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub struct Order(u8);

impl Order {
    /// How many orders there are.
    pub const COUNT: usize = 19;
    /// One frame, 4 KiB.
    pub const FRAME: Self = Self(0);
    /// 512 frames, 2 MiB: a large leaf of nested paging.
    pub const LARGE: Self = Self(9);
    /// 262,144 frames, 1 GiB: the largest leaf.
    pub const HUGE: Self = Self(18);

    /// The order `order`, or `None` above 18.
    pub const fn new(order: u8) -> Option<Self> {
        if order <= Self::HUGE.0 { Some(Self(order)) } else { None }
    }

    /// The order as a number, 0 to 18.
    pub const fn get(self) -> u8 {
        self.0
    }

    /// The order as an index into a table of [`Order::COUNT`] entries.
    pub const fn index(self) -> usize {
        self.0 as usize
    }

    /// Frames in a run of this order.
    pub const fn frames(self) -> u64 {
        1 << self.0
    }

    /// Bytes in a run of this order.
    pub const fn bytes(self) -> u64 {
        FRAME_BYTES << self.0
    }

    /// All orders, smallest first.
    pub fn all() -> impl DoubleEndedIterator<Item = Self> {
        (0..=Self::HUGE.0).map(Self)
    }
}
