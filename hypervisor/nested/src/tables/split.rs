//! Splitting leaves.

use core::ops::Range;

use arrayvec::ArrayVec;
use godwit_frames::{HostFrame, Order};

use super::NestedTables;
use crate::cursor::Slot;
use crate::entry::Entry;
use crate::level::Level;
use crate::{Change, Format, Leaf, OutOfTables, SplitError, TableMemory};

/// Tables reserved before anything is changed, so that nothing can fail then. Two cuts, each from 1 GiB to 2 MiB and from
/// there to 4 KiB, take the most.
type SpareTables = ArrayVec<HostFrame, { 2 * (Level::LEAVES - 1) }>;

impl<F: Format> NestedTables<F> {
    /// Splits the leaf that maps a guest frame, until the one that does is no larger than `to`. What else the leaf mapped
    /// stays on leaves as large as they can be. Every part has the rights and the marks of the whole.
    ///
    /// Needs a flush before the marks of the parts are relied on: a processor that remembers the whole leaf as dirty makes none.
    ///
    /// # Errors
    /// [`SplitError`]; nothing has changed then.
    pub fn split(
        &mut self,
        memory: &mut impl TableMemory,
        guest_frame: u64,
        to: Order,
    ) -> Result<Change, SplitError> {
        let slot = self.leaf_slot(memory, guest_frame).ok_or(SplitError::NotMapped { guest_frame })?;
        let to = Level::within(to);
        if slot.level <= to {
            return Ok(Change::default());
        }
        let mut spare = self.reserve(memory, slot.level.get() - to.get())?;
        self.split_slot(memory, Slot { guest_frame, ..slot }, to, &mut spare);
        Ok(Change { frames: slot.level.frames(), flush: true })
    }

    /// Splits the leaves that the ends of `range` cut and that `wanted` picks, so that each leaf that it picks lies in the range
    /// or out of it. Where there is no memory for all of that, nothing is split.
    pub(super) fn cut_at_ends(
        &mut self,
        memory: &mut impl TableMemory,
        range: &Range<u64>,
        wanted: impl Fn(&Leaf) -> bool,
    ) -> Result<(), OutOfTables> {
        if range.is_empty() {
            return Ok(());
        }
        let picked =
            |tables: &Self, memory: &_, at| tables.leaf_slot(memory, at).filter(|slot| wanted(&slot.leaf()));
        let levels = |tables: &Self, memory: &_, at| {
            picked(tables, memory, at).into_iter().flat_map(move |slot| levels_to_cut(slot.level, at))
        };
        // A table that the first cut makes serves the second as well.
        let shared =
            |level: &Level| level.span(range.start) == level.span(range.end) && level.cuts(range.start);
        let needed = levels(self, memory, range.start).count()
            + levels(self, memory, range.end).filter(|level| !shared(level)).count();
        let mut spare = self.reserve(memory, needed)?;
        for at in [range.start, range.end] {
            if let Some(slot) = picked(self, memory, at)
                && let Some(lowest) = levels_to_cut(slot.level, at).next()
            {
                self.split_slot(memory, Slot { guest_frame: at, ..slot }, lowest.below(), &mut spare);
            }
        }
        debug_assert!(spare.is_empty(), "more tables were reserved than two cuts took");
        Ok(())
    }

    /// So many tables, or none.
    fn reserve(&mut self, memory: &mut impl TableMemory, tables: usize) -> Result<SpareTables, OutOfTables> {
        let mut spare = SpareTables::new();
        while spare.len() < tables {
            match self.allocate(memory) {
                Ok(table) => spare.push(table),
                Err(error) => {
                    spare.into_iter().for_each(|table| self.free(memory, table));
                    return Err(error);
                }
            }
        }
        Ok(spare)
    }

    /// Splits a leaf until its guest frame is mapped on the level `to`, with tables reserved for that.
    fn split_slot(
        &mut self,
        memory: &mut impl TableMemory,
        mut slot: Slot<F>,
        to: Level,
        spare: &mut SpareTables,
    ) {
        while slot.level > to
            && let Some(table) = spare.pop()
        {
            self.split_once(memory, &slot, table);
            slot = Slot::read(memory, table, slot.level.below(), slot.guest_frame);
        }
    }

    /// Replaces a leaf by a table of 512 leaves.
    fn split_once(&mut self, memory: &mut impl TableMemory, slot: &Slot<F>, table: HostFrame) {
        let below = slot.level.below();
        let whole = slot.take(memory);
        for part in below.spans(&slot.span()) {
            let host = HostFrame::new(whole.host().number() + (part.start - slot.span().start));
            let entry = Entry::<F>::leaf(host, below, whole.rights()).with_marks(whole.bits);
            memory.store(table, below.index(part.start), entry.bits);
            self.leaves[below.get()] += 1;
        }
        slot.put(memory, Entry::table(table));
        self.leaves[slot.level.get()] -= 1;
    }
}

/// The levels, lowest first, on which a leaf has to become a table, so that of a leaf on level `from` one part begins at `at`.
fn levels_to_cut(from: Level, at: u64) -> impl Iterator<Item = Level> {
    from.splittable().filter(move |level| level.cuts(at))
}
