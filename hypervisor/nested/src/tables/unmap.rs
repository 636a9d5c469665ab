//! Unmapping.

use core::ops::Range;

use godwit_frames::HostFrame;

use super::NestedTables;
use crate::cursor::Slot;
use crate::entry::Entry;
use crate::level::{ENTRIES, GUEST_FRAMES, Level, covers, intersection};
use crate::{Change, Format, OutOfTables, TableMemory};

impl<F: Format> NestedTables<F> {
    /// Unmaps what is mapped of a range of guest frames: splits leaves that the range cuts, and frees the tables that it empties.
    ///
    /// Needs a flush where something was mapped: before it is acknowledged, the guest may still read and write the frames, and
    /// neither they nor the freed tables may be used for anything else.
    ///
    /// # Errors
    /// There is no memory for the tables of a leaf that is cut; nothing has changed.
    pub fn unmap(&mut self, memory: &mut impl TableMemory, range: Range<u64>) -> Result<Change, OutOfTables> {
        let range = intersection(&range, &(0..GUEST_FRAMES));
        self.cut_at_ends(memory, &range, |_| true)?;
        let before = self.mapped_frames();
        self.remove(memory, self.root, Level::ROOT, &range);
        let frames = before - self.mapped_frames();
        Ok(Change { frames, flush: frames != 0 })
    }

    /// Makes every entry of a range absent, none of which is a leaf that the range cuts, and frees what is empty then.
    pub(super) fn remove(
        &mut self,
        memory: &mut impl TableMemory,
        table: HostFrame,
        level: Level,
        range: &Range<u64>,
    ) {
        for span in level.spans(range) {
            let slot = Slot::<F>::read(memory, table, level, span.start);
            if slot.is_leaf() {
                // Taken rather than overwritten, so that each present entry goes by the same atomic access.
                slot.take(memory);
                slot.put(memory, Entry::ABSENT);
                self.leaves[level.get()] -= 1;
                continue;
            }
            let Some(child) = slot.child() else { continue };
            if covers(range, &span) {
                slot.take(memory);
                slot.put(memory, Entry::ABSENT);
                self.retire_leaves(memory, child, level.below(), &span);
                self.free_tree(memory, child, level.below());
                continue;
            }
            self.remove(memory, child, level.below(), &intersection(range, &span));
            if is_empty::<F>(memory, child, level.below()) {
                slot.take(memory);
                slot.put(memory, Entry::ABSENT);
                self.free(memory, child);
            }
        }
    }
}

/// Whether no entry of a table is present.
fn is_empty<F: Format>(memory: &impl TableMemory, table: HostFrame, level: Level) -> bool {
    (0..ENTRIES).all(|index| {
        let slot = Slot::<F>::read(memory, table, level, index * level.frames());
        !slot.entry.is_present()
    })
}
