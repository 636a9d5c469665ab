//! Rights and marks.

use core::ops::Range;

use godwit_frames::Order;

use super::NestedTables;
use crate::cursor::Slot;
use crate::entry::Entry;
use crate::level::{GUEST_FRAMES, intersection};
use crate::{Change, Format, Mark, OutOfTables, Rights, TableMemory};

impl<F: Format> NestedTables<F> {
    /// Gives what is mapped of a range of guest frames these rights. Of the leaves that the range cuts, those with other rights
    /// are split; no other leaf is. Marks stay.
    ///
    /// Needs a flush where a right was taken away: before it is acknowledged, a processor may still use it. A right that was
    /// only given needs none: a processor that remembers fewer rights takes a fault, which makes it walk again.
    ///
    /// # Errors
    /// There is no memory for the tables of a leaf that is cut; nothing has changed.
    pub fn protect(
        &mut self,
        memory: &mut impl TableMemory,
        range: Range<u64>,
        rights: Rights,
    ) -> Result<Change, OutOfTables> {
        let range = intersection(&range, &(0..GUEST_FRAMES));
        self.cut_at_ends(memory, &range, |leaf| leaf.rights != rights)?;
        let mut change = Change::default();
        let mut cursor = self.cursor(&range);
        while let Some(slot) = cursor.next(memory) {
            let before = slot.entry.rights();
            if before != rights {
                set_rights(memory, &slot, rights);
                change.frames += slot.level.frames();
                change.flush |= !rights.contains(before);
            }
        }
        Ok(change)
    }

    /// Clears one kind of mark in the leaves that map frames of a range, and says where it was set: the leaf's first guest
    /// frame, and its order. A leaf that the range cuts is named whole.
    ///
    /// Needs a flush where a mark was set, before the frames it names are read: a processor that remembers a leaf as marked
    /// does not mark it again. What it writes before its flush is read after it; what it writes later is marked anew.
    pub fn harvest(
        &mut self,
        memory: &mut impl TableMemory,
        range: Range<u64>,
        mark: Mark,
        mut found: impl FnMut(u64, Order),
    ) -> Change {
        let mask = match mark {
            Mark::Accessed => F::ACCESSED,
            Mark::Dirty => F::DIRTY,
        };
        let mut change = Change::default();
        let mut cursor = self.cursor(&range);
        while let Some(slot) = cursor.next(memory) {
            // An atomic access costs many plain ones, and most leaves have no mark.
            if slot.entry.bits & mask != 0 {
                slot.clear(memory, mask);
                found(slot.span().start, slot.level.order());
                change.frames += slot.level.frames();
                change.flush = true;
            }
        }
        change
    }
}

/// Gives a leaf other rights, whatever marks a processor makes in it meanwhile.
fn set_rights<F: Format>(memory: &mut impl TableMemory, slot: &Slot<F>, rights: Rights) {
    let with_rights =
        |entry: Entry<F>| Entry::<F>::leaf(entry.host(), slot.level, rights).with_marks(entry.bits);
    let wanted = with_rights(slot.entry).bits;
    if wanted & !slot.entry.bits == 0 {
        // Bits only go: the leaf stays present all the while.
        slot.clear(memory, slot.entry.bits & !wanted);
    } else {
        let before = slot.take(memory);
        slot.put(memory, with_rights(before));
    }
}
