//! Levels of a table tree, and what an entry on each of them spans.

use core::ops::Range;

use godwit_frames::Order;

/// Guest frames that four levels reach: 48 bits of guest-physical address.
pub const GUEST_FRAMES: u64 = 1 << 36;

/// Host frames that an entry can name: 52 bits of physical address (APM vol. 2, 5.1; SDM vol. 3, 30.3.2).
pub const HOST_FRAMES: u64 = 1 << 40;

/// Bits of a guest frame's number that each level takes.
const INDEX_BITS: u8 = 9;
/// Entries of a table.
pub(crate) const ENTRIES: u64 = 1 << INDEX_BITS;

/// How far a table is above the one whose entries are 4 KiB leaves: 0 there, 3 at the root.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Level(u8);

impl Level {
    /// Tables of 4 KiB leaves.
    pub(crate) const LOWEST: Self = Self(0);
    /// The root; its entries are never leaves.
    pub(crate) const ROOT: Self = Self(3);
    /// How many levels there are.
    pub(crate) const COUNT: usize = 4;
    /// How many of them can hold leaves.
    pub(crate) const LEAVES: usize = 3;

    /// The level whose leaves are the largest that are no larger than `order`.
    pub(crate) const fn within(order: Order) -> Self {
        Self(order.get() / INDEX_BITS)
    }

    /// The order of a leaf on this level; the root has none, and 1 GiB, the largest there is, stands for it.
    pub(crate) fn order(self) -> Order {
        Order::new(self.0 * INDEX_BITS).unwrap_or(Order::HUGE)
    }

    /// The level as an index: 0 to 3.
    pub(crate) const fn get(self) -> usize {
        self.0 as usize
    }

    /// The level of the tables that this level's entries name.
    pub(crate) const fn below(self) -> Self {
        Self(self.0.saturating_sub(1))
    }

    /// The level of the tables that name this level's.
    pub(crate) const fn above(self) -> Self {
        Self(self.0 + 1)
    }

    /// The levels from here down whose leaves can be split: all but the lowest.
    pub(crate) fn splittable(self) -> impl Iterator<Item = Self> {
        (Self::LOWEST.0 + 1..=self.0).map(Self)
    }

    /// Guest frames that one entry spans.
    pub(crate) const fn frames(self) -> u64 {
        1 << (self.0 * INDEX_BITS)
    }

    /// The index of the entry for a guest frame.
    pub(crate) const fn index(self, guest_frame: u64) -> usize {
        (guest_frame / self.frames() % ENTRIES) as usize
    }

    /// The span of the entry for a guest frame.
    pub(crate) const fn span(self, guest_frame: u64) -> Range<u64> {
        let start = guest_frame & !(self.frames() - 1);
        start..start + self.frames()
    }

    /// Whether a guest frame lies inside the span of an entry rather than at its start.
    pub(crate) const fn cuts(self, guest_frame: u64) -> bool {
        !guest_frame.is_multiple_of(self.frames())
    }

    /// The spans of the entries that `range` touches, in order. The range lies within one table of this level.
    pub(crate) fn spans(self, range: &Range<u64>) -> impl Iterator<Item = Range<u64>> + use<> {
        // An empty range touches no entry, wherever it lies.
        let start = if range.is_empty() { range.end } else { self.span(range.start).start };
        (start..range.end).step_by(self.frames() as usize).map(move |start| start..start + self.frames())
    }
}

/// What two ranges share.
pub(crate) fn intersection(a: &Range<u64>, b: &Range<u64>) -> Range<u64> {
    a.start.max(b.start)..a.end.min(b.end)
}

/// Whether all of `inner` lies in `outer`.
pub(crate) const fn covers(outer: &Range<u64>, inner: &Range<u64>) -> bool {
    outer.start <= inner.start && inner.end <= outer.end
}
