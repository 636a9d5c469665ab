//! Merging leaves.

use core::ops::Range;

use godwit_frames::{HostFrame, Order};

use super::NestedTables;
use crate::cursor::{Cursor, Slot};
use crate::entry::Entry;
use crate::level::{GUEST_FRAMES, Level, covers, intersection};
use crate::{Change, Format, Leaf, MergeError, TableMemory};

impl<F: Format> NestedTables<F> {
    /// Makes one leaf of order `to` of all leaves that map the naturally aligned range around a guest frame, which takes
    /// that they map all of it, to host frames that follow each other, with the same rights. The leaf is accessed or dirty where one of them
    /// was. Where a leaf at least as large is there already, nothing changes.
    ///
    /// Needs a flush, before which the freed tables may not be used for anything else. A processor that remembers the way to
    /// them makes its marks there until it flushes, and those are lost: merge what is not tracked, or while no CPU runs the guest.
    ///
    /// # Errors
    /// [`MergeError`]; nothing has changed then.
    pub fn merge(
        &mut self,
        memory: &mut impl TableMemory,
        guest_frame: u64,
        to: Order,
    ) -> Result<Change, MergeError> {
        let level = Level::within(to);
        if level.order() != to || level > self.largest {
            return Err(MergeError::NoSuchLeaf { order: to });
        }
        if guest_frame >= GUEST_FRAMES {
            return Err(MergeError::Incomplete { guest_frame });
        }
        let slot = self.descend(memory, guest_frame, level);
        let Some(table) = slot.child() else {
            return if slot.is_leaf() {
                Ok(Change::default())
            } else {
                Err(MergeError::Incomplete { guest_frame: level.span(guest_frame).start })
            };
        };
        check_uniform::<F>(memory, &slot, table)?;
        self.collapse(memory, &slot);
        Ok(Change { frames: level.frames(), flush: true })
    }

    /// Merges whatever can be merged within a range of guest frames, into leaves as large as can be. Over the range of one
    /// [`map`](Self::map), with the same rights everywhere, that gives the leaves that it made.
    ///
    /// Needs a flush where something was merged, as [`merge`](Self::merge) does.
    pub fn merge_range(&mut self, memory: &mut impl TableMemory, range: Range<u64>) -> Change {
        let range = intersection(&range, &(0..GUEST_FRAMES));
        let frames = self.merge_below(memory, self.root, Level::ROOT, &range);
        Change { frames, flush: frames != 0 }
    }

    /// Merges within a range what stands in a table, and answers how many frames lie on merged leaves.
    fn merge_below(
        &mut self,
        memory: &mut impl TableMemory,
        table: HostFrame,
        level: Level,
        range: &Range<u64>,
    ) -> u64 {
        let mut frames = 0;
        for span in level.spans(range) {
            let slot = Slot::<F>::read(memory, table, level, span.start);
            let Some(child) = slot.child() else { continue };
            let eligible = level <= self.largest && covers(range, &span);
            if eligible && check_uniform::<F>(memory, &slot, child).is_ok() {
                self.collapse(memory, &slot);
                frames += level.frames();
            } else if level.below() != Level::LOWEST {
                frames += self.merge_below(memory, child, level.below(), &intersection(range, &span));
            }
        }
        frames
    }

    /// The entry for a guest frame on a level, or the one above it where the way down ends.
    fn descend(&self, memory: &impl TableMemory, guest_frame: u64, to: Level) -> Slot<F> {
        let mut slot = Slot::read(memory, self.root, Level::ROOT, guest_frame);
        while slot.level > to
            && let Some(table) = slot.child()
        {
            slot = Slot::read(memory, table, slot.level.below(), guest_frame);
        }
        slot
    }

    /// Replaces the table that an entry names, whose leaves are uniform, by one leaf. Only the entry's place counts: it is read again.
    pub(super) fn collapse(&mut self, memory: &mut impl TableMemory, slot: &Slot<F>) {
        let (table, below) = (slot.take(memory).host(), slot.level.below());
        let Some(first) = Cursor::<F>::new(table, below, &slot.span()).next(memory) else { return };
        let whole = Entry::<F>::leaf(first.entry.host(), slot.level, first.entry.rights());
        let marks = self.retire_leaves(memory, table, below, &slot.span());
        slot.put(memory, whole.with_marks(marks));
        self.leaves[slot.level.get()] += 1;
        self.free_tree(memory, table, below);
    }
}

/// Checks that the leaves below an entry can become one leaf in its place.
fn check_uniform<F: Format>(
    memory: &impl TableMemory,
    slot: &Slot<F>,
    table: HostFrame,
) -> Result<(), MergeError> {
    let Range { start, end } = slot.span();
    let mut cursor = Cursor::<F>::new(table, slot.level.below(), &slot.span());
    let mut first: Option<Leaf> = None;
    let mut expected = start;
    while expected < end {
        let leaf = cursor.next(memory).map(|slot| slot.leaf());
        let leaf = leaf.filter(|leaf| leaf.guest_frame == expected);
        let leaf = leaf.ok_or(MergeError::Incomplete { guest_frame: expected })?;
        let first = first.get_or_insert(leaf);
        if !first.host.number().is_multiple_of(slot.level.frames()) {
            return Err(MergeError::Misaligned { guest_frame: start, order: slot.level.order() });
        }
        if leaf.host.number().checked_sub(first.host.number()) != Some(expected - start) {
            return Err(MergeError::Scattered { guest_frame: expected });
        }
        if leaf.rights != first.rights {
            return Err(MergeError::MixedRights { guest_frame: expected });
        }
        expected = leaf.guest_frames().end;
    }
    Ok(())
}
