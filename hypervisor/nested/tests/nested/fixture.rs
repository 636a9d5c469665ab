//! What every test stands on: tables, their memory, and the walker beside them.

use std::ops::Range;

use godwit_frames::{FrameRange, HostFrame, Order};
use godwit_nested::{MapError, NestedTables, Rights};

use crate::memory::Memory;
use crate::walker::{self, RawLeaf, Walked};

/// Frames of a 2 MiB leaf.
pub(crate) const LARGE: u64 = 512;
/// Frames of a 1 GiB leaf.
pub(crate) const HUGE: u64 = 512 * 512;

pub(crate) struct Fixture<F> {
    pub(crate) memory: Memory,
    pub(crate) tables: NestedTables<F>,
}

impl<F: Walked> Fixture<F> {
    pub(crate) fn new(largest: Order) -> Self {
        let mut memory = Memory::new();
        let tables = NestedTables::new(&mut memory, largest).unwrap();
        Self { memory, tables }
    }

    pub(crate) fn map(&mut self, guest: u64, host: u64, frames: u64, rights: Rights) -> Result<(), MapError> {
        self.tables.map(&mut self.memory, guest, FrameRange::new(HostFrame::new(host), frames), rights)
    }

    /// All leaves, as the walker finds them.
    pub(crate) fn leaves(&self) -> Vec<RawLeaf> {
        walker::leaves(F::VENDOR, &self.memory.tables(), self.tables.root().number())
    }

    /// First guest frame, host frame and order of each leaf.
    pub(crate) fn layout(&self) -> Vec<(u64, u64, u8)> {
        self.leaves().iter().map(|leaf| (leaf.guest_frame, leaf.host, leaf.order)).collect()
    }

    /// How many leaves of order 0, 9 and 18 there are.
    pub(crate) fn counts(&self) -> [usize; 3] {
        let leaves = self.leaves();
        [0, 9, 18].map(|order| leaves.iter().filter(|leaf| leaf.order == order).count())
    }

    /// The leaf that maps a guest frame, as the walker finds it.
    pub(crate) fn leaf(&self, guest: u64) -> Option<RawLeaf> {
        self.leaves().into_iter().find(|leaf| (leaf.guest_frame..leaf.end()).contains(&guest))
    }

    /// A processor uses a guest frame.
    pub(crate) fn touch(&self, guest: u64, write: bool) -> Option<u64> {
        walker::touch(F::VENDOR, &mut self.memory.tables_mut(), self.tables.root().number(), guest, write)
    }

    /// What holds after every operation: counts are exact, no table is lost.
    pub(crate) fn check_counts(&self) {
        let histogram = self.tables.histogram();
        let counts = self.counts().map(|count| count as u64);
        assert_eq!(histogram.by_order().map(|(_, tally)| tally.leaves), counts);
        assert_eq!(histogram.by_order().map(|(order, tally)| tally.bytes / order.bytes()), counts);
        assert_eq!(self.tables.table_frames(), self.memory.tables().len() as u64);
    }

    /// Gives everything back, and checks that this is so.
    pub(crate) fn destroy(mut self) {
        self.check_counts();
        self.tables.destroy(&mut self.memory);
        assert_eq!(self.memory.tables().len(), 0, "every table went back");
    }
}

/// Runs a test on both formats.
macro_rules! on_both_formats {
    ($($(#[$attribute:meta])* fn $name:ident<$format:ident>() $body:block)*) => {$(
        mod $name {
            use super::*;
            fn run<$format: crate::walker::Walked>() $body
            $(#[$attribute])*
            #[test]
            fn npt() {
                run::<godwit_nested::Npt>();
            }
            $(#[$attribute])*
            #[test]
            fn ept() {
                run::<godwit_nested::Ept>();
            }
        }
    )*};
}
pub(crate) use on_both_formats;

/// Whether a leaf maps a frame of the range.
pub(crate) fn touches(leaf: &RawLeaf, range: &Range<u64>) -> bool {
    leaf.guest_frame < range.end && range.start < leaf.end()
}
