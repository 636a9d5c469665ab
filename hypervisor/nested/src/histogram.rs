//! How much is mapped by leaves of which size.

use core::ops::Range;

use godwit_frames::{FRAME_BYTES, Order};

use crate::Leaf;
use crate::level::{Level, intersection};

/// Leaves of one order.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Tally {
    /// How many.
    pub leaves: u64,
    /// Bytes that they map.
    pub bytes: u64,
}

/// Leaves by order.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct OrderHistogram {
    /// Leaves of 4 KiB.
    pub frame: Tally,
    /// Leaves of 2 MiB.
    pub large: Tally,
    /// Leaves of 1 GiB.
    pub huge: Tally,
}

impl OrderHistogram {
    /// Each leaf order with its leaves, smallest first.
    pub const fn by_order(&self) -> [(Order, Tally); 3] {
        [(Order::FRAME, self.frame), (Order::LARGE, self.large), (Order::HUGE, self.huge)]
    }

    /// Bytes mapped by leaves of any order.
    pub const fn bytes(&self) -> u64 {
        self.frame.bytes + self.large.bytes + self.huge.bytes
    }

    /// Of so many whole leaves per level.
    pub(crate) fn of_counts(leaves: [u64; Level::LEAVES]) -> Self {
        let [frame, large, huge] = leaves;
        let tally = |leaves, order: Order| Tally { leaves, bytes: leaves * order.bytes() };
        Self {
            frame: tally(frame, Order::FRAME),
            large: tally(large, Order::LARGE),
            huge: tally(huge, Order::HUGE),
        }
    }

    /// Counts a leaf, and those of its bytes that lie in `range`.
    pub(crate) fn count(&mut self, leaf: &Leaf, range: &Range<u64>) {
        let inside = intersection(&leaf.guest_frames(), range);
        let tally = match leaf.order {
            Order::FRAME => &mut self.frame,
            Order::LARGE => &mut self.large,
            _ => &mut self.huge,
        };
        tally.leaves += 1;
        tally.bytes += (inside.end - inside.start) * FRAME_BYTES;
    }
}
