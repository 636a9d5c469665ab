//! Finding entries and leaves.

use core::marker::PhantomData;
use core::ops::Range;

use godwit_frames::HostFrame;

use crate::entry::Entry;
use crate::level::Level;
use crate::{Format, Leaf, TableMemory};

/// An entry as it was read, and where it stands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Slot<F> {
    pub(crate) table: HostFrame,
    pub(crate) level: Level,
    /// A guest frame that the entry spans.
    pub(crate) guest_frame: u64,
    pub(crate) entry: Entry<F>,
}

impl<F: Format> Slot<F> {
    /// Reads the entry for `guest_frame` in a table of this level.
    pub(crate) fn read(memory: &impl TableMemory, table: HostFrame, level: Level, guest_frame: u64) -> Self {
        let entry = Entry::new(memory.load(table, level.index(guest_frame)));
        Self { table, level, guest_frame, entry }
    }

    /// The guest frames that the entry spans.
    pub(crate) const fn span(&self) -> Range<u64> {
        self.level.span(self.guest_frame)
    }

    pub(crate) fn is_leaf(&self) -> bool {
        self.entry.is_present() && self.entry.is_leaf(self.level)
    }

    /// The table that the entry names, if it names one.
    pub(crate) fn child(&self) -> Option<HostFrame> {
        (self.entry.is_present() && !self.entry.is_leaf(self.level)).then(|| self.entry.host())
    }

    /// The leaf that the entry is; the caller knows that it is one.
    pub(crate) fn leaf(&self) -> Leaf {
        Leaf {
            guest_frame: self.span().start,
            host: self.entry.host(),
            order: self.level.order(),
            rights: self.entry.rights(),
            accessed: self.entry.bits & F::ACCESSED != 0,
            dirty: self.entry.bits & F::DIRTY != 0,
        }
    }

    /// Writes the entry. Only where no processor can have marked it meanwhile: it is absent, or was [taken](Self::take).
    pub(crate) fn put(&self, memory: &mut impl TableMemory, entry: Entry<F>) {
        memory.store(self.table, self.level.index(self.guest_frame), entry.bits);
    }

    /// Makes the entry absent, and answers it as it was, with every mark that a processor made until then: none marks an
    /// entry that is not present (APM vol. 2, 5.4.2; SDM vol. 3, 30.3.5).
    pub(crate) fn take(&self, memory: &mut impl TableMemory) -> Entry<F> {
        self.clear(memory, F::PRESENT)
    }

    /// Clears bits, and answers the entry as it was.
    pub(crate) fn clear(&self, memory: &mut impl TableMemory, mask: u64) -> Entry<F> {
        Entry::new(memory.clear(self.table, self.level.index(self.guest_frame), mask))
    }
}

/// Goes through the leaves of a range in order. It borrows no memory, so that leaves may change on the way; tables may not.
pub(crate) struct Cursor<F> {
    /// The way down: the table of each level from the top to the current one.
    tables: [HostFrame; Level::COUNT],
    top: Level,
    level: Level,
    at: u64,
    end: u64,
    format: PhantomData<F>,
}

impl<F: Format> Cursor<F> {
    /// A cursor over the leaves that touch `range`, which lies within the span of `table`.
    pub(crate) const fn new(table: HostFrame, level: Level, range: &Range<u64>) -> Self {
        let tables = [table; Level::COUNT];
        Self { tables, top: level, level, at: range.start, end: range.end, format: PhantomData }
    }

    /// The next leaf.
    pub(crate) fn next(&mut self, memory: &impl TableMemory) -> Option<Slot<F>> {
        while self.at < self.end {
            let slot = Slot::read(memory, self.tables[self.level.get()], self.level, self.at);
            if let Some(child) = slot.child() {
                self.level = self.level.below();
                self.tables[self.level.get()] = child;
                continue;
            }
            self.at = slot.span().end;
            while self.level < self.top && self.at.is_multiple_of(self.level.above().frames()) {
                self.level = self.level.above();
            }
            if slot.is_leaf() {
                return Some(slot);
            }
        }
        None
    }
}
