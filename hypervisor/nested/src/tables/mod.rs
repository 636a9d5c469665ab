//! The tables of one guest.

use core::marker::PhantomData;
use core::ops::Range;

use godwit_frames::{HostFrame, Order};

use crate::cursor::{Cursor, Slot};
use crate::level::{GUEST_FRAMES, Level, intersection};
use crate::{Format, Leaf, OrderHistogram, OutOfTables, TableMemory};

mod map;
mod merge;
mod protect;
mod split;
mod unmap;

/// The nested page tables of one guest.
///
/// Every call must be given the memory that the tables were made in. Tables without a leaf below them do not exist, but for the
/// root. Dropping the value leaks the tables; [`destroy`](Self::destroy) gives them back.
#[derive(Debug)]
pub struct NestedTables<F> {
    root: HostFrame,
    /// Where the largest leaves stand.
    largest: Level,
    /// Tables in use, the root included.
    tables: u64,
    /// Leaves in use, per level.
    leaves: [u64; Level::LEAVES],
    format: PhantomData<F>,
}

impl<F: Format> NestedTables<F> {
    /// Tables that map nothing. Their leaves will be no larger than `largest`, the smaller of what the processor has and what
    /// the guest's page policy allows; leaves are of order 0, 9 and 18, so others count as the next smaller of these.
    ///
    /// # Errors
    /// There is no memory for the root.
    pub fn new(memory: &mut impl TableMemory, largest: Order) -> Result<Self, OutOfTables> {
        let root = memory.allocate().ok_or(OutOfTables)?;
        let leaves = [0; Level::LEAVES];
        Ok(Self { root, largest: Level::within(largest), tables: 1, leaves, format: PhantomData })
    }

    /// The frame of the root table, for the processor's pointer to it.
    pub const fn root(&self) -> HostFrame {
        self.root
    }

    /// The order of the largest leaves.
    pub fn largest(&self) -> Order {
        self.largest.order()
    }

    /// Frames that tables take, the root included.
    pub const fn table_frames(&self) -> u64 {
        self.tables
    }

    /// The leaf that maps a guest frame. Needs no flush.
    pub fn lookup(&self, memory: &impl TableMemory, guest_frame: u64) -> Option<Leaf> {
        self.leaf_slot(memory, guest_frame).map(|slot| slot.leaf())
    }

    /// The leaves that map frames of `range`, in order, each whole. Needs no flush; what processors do meanwhile may show
    /// or not.
    pub fn leaves<'m, M: TableMemory>(
        &self,
        memory: &'m M,
        range: Range<u64>,
    ) -> impl Iterator<Item = Leaf> + use<'m, F, M> {
        let mut cursor = self.cursor(&range);
        core::iter::from_fn(move || cursor.next(memory).map(|slot| slot.leaf()))
    }

    /// All leaves by order. It is kept, not counted.
    pub fn histogram(&self) -> OrderHistogram {
        OrderHistogram::of_counts(self.leaves)
    }

    /// The leaves that map frames of `range`, by order, with those of their bytes that lie in it.
    pub fn histogram_of(&self, memory: &impl TableMemory, range: Range<u64>) -> OrderHistogram {
        let mut histogram = OrderHistogram::default();
        self.leaves(memory, range.clone()).for_each(|leaf| histogram.count(&leaf, &range));
        histogram
    }

    /// Gives all tables back. No CPU may run the guest any more.
    pub fn destroy(mut self, memory: &mut impl TableMemory) {
        self.free_tree(memory, self.root, Level::ROOT);
    }

    /// A cursor over the leaves of that part of a range that can be mapped at all.
    fn cursor(&self, range: &Range<u64>) -> Cursor<F> {
        Cursor::new(self.root, Level::ROOT, &intersection(range, &(0..GUEST_FRAMES)))
    }

    /// The entry of the leaf that maps a guest frame.
    fn leaf_slot(&self, memory: &impl TableMemory, guest_frame: u64) -> Option<Slot<F>> {
        self.cursor(&(guest_frame..guest_frame.saturating_add(1))).next(memory)
    }

    fn allocate(&mut self, memory: &mut impl TableMemory) -> Result<HostFrame, OutOfTables> {
        let table = memory.allocate().ok_or(OutOfTables)?;
        self.tables += 1;
        Ok(table)
    }

    fn free(&mut self, memory: &mut impl TableMemory, table: HostFrame) {
        memory.free(table);
        self.tables -= 1;
    }

    /// Frees a table, which nothing names any more, and those below it.
    fn free_tree(&mut self, memory: &mut impl TableMemory, table: HostFrame, level: Level) {
        if level != Level::LOWEST {
            // An index is as good as a guest frame: only its place in this table counts.
            for index in 0..crate::level::ENTRIES {
                let slot = Slot::<F>::read(memory, table, level, index * level.frames());
                if let Some(child) = slot.child() {
                    self.free_tree(memory, child, level.below());
                }
            }
        }
        self.free(memory, table);
    }

    /// Counts the leaves below a table, which spans `span`, out of the histogram, and answers all their marks.
    fn retire_leaves(
        &mut self,
        memory: &impl TableMemory,
        table: HostFrame,
        level: Level,
        span: &Range<u64>,
    ) -> u64 {
        let mut cursor = Cursor::<F>::new(table, level, span);
        let mut marks = 0;
        while let Some(slot) = cursor.next(memory) {
            self.leaves[slot.level.get()] -= 1;
            marks |= slot.entry.bits;
        }
        marks
    }

    /// Frames that are mapped.
    fn mapped_frames(&self) -> u64 {
        self.leaves
            .iter()
            .zip([Order::FRAME, Order::LARGE, Order::HUGE])
            .map(|(n, order)| n * order.frames())
            .sum()
    }
}
