//! Mapping.

use core::ops::Range;

use godwit_frames::{FrameRange, HostFrame};

use super::NestedTables;
use crate::cursor::Slot;
use crate::entry::Entry;
use crate::level::{GUEST_FRAMES, HOST_FRAMES, Level, covers, intersection};
use crate::{Format, MapError, OutOfTables, Rights, TableMemory};

/// What is to be mapped.
struct Mapping {
    guest: Range<u64>,
    host: HostFrame,
    rights: Rights,
    largest: Level,
}

impl Mapping {
    /// The first host frame of the leaf that an entry with this span becomes, or `None` where the mapping does not cover it,
    /// the host frames are not aligned, or leaves may not be so large.
    fn leaf(&self, level: Level, span: &Range<u64>) -> Option<HostFrame> {
        if level > self.largest || !covers(&self.guest, span) {
            return None;
        }
        let host = self.host.number() + (span.start - self.guest.start);
        host.is_multiple_of(level.frames()).then(|| HostFrame::new(host))
    }
}

impl<F: Format> NestedTables<F> {
    /// Maps guest frames from `guest_frame` on to the frames of `host`, with the largest leaves that the alignment of both
    /// sides, the length and the limit given to [`new`](Self::new) allow.
    ///
    /// Needs no flush: processors do not remember that a frame was absent.
    ///
    /// # Errors
    /// [`MapError`]; nothing was mapped then, at no time, and tables made on the way went back.
    pub fn map(
        &mut self,
        memory: &mut impl TableMemory,
        guest_frame: u64,
        host: FrameRange,
        rights: Rights,
    ) -> Result<(), MapError> {
        let frames = host.frames;
        let end = guest_frame.checked_add(frames).filter(|end| *end <= GUEST_FRAMES);
        let end = end.ok_or(MapError::BeyondGuest { guest_frame, frames })?;
        if host.end().is_none_or(|end| end > HOST_FRAMES) {
            return Err(MapError::BeyondHost { host_frame: host.start.number(), frames });
        }
        let guest = guest_frame..end;
        if let Some(leaf) = self.leaves(memory, guest.clone()).next() {
            return Err(MapError::AlreadyMapped { guest_frame: leaf.guest_frame.max(guest_frame) });
        }
        let mapping = Mapping { guest, host: host.start, rights, largest: self.largest };
        // All tables first: when they are there, nothing can fail any more.
        if let Err(error) = self.build(memory, self.root, Level::ROOT, &mapping, &mapping.guest) {
            self.remove(memory, self.root, Level::ROOT, &mapping.guest);
            return Err(error.into());
        }
        self.fill(memory, self.root, Level::ROOT, &mapping, &mapping.guest);
        Ok(())
    }

    /// Makes the tables that a mapping needs below `table`, where they are missing.
    fn build(
        &mut self,
        memory: &mut impl TableMemory,
        table: HostFrame,
        level: Level,
        mapping: &Mapping,
        range: &Range<u64>,
    ) -> Result<(), OutOfTables> {
        if level == Level::LOWEST {
            return Ok(());
        }
        for span in level.spans(range).filter(|span| mapping.leaf(level, span).is_none()) {
            let slot = Slot::<F>::read(memory, table, level, span.start);
            let child = match slot.child() {
                Some(child) => child,
                None => {
                    let child = self.allocate(memory)?;
                    slot.put(memory, Entry::table(child));
                    child
                }
            };
            self.build(memory, child, level.below(), mapping, &intersection(range, &span))?;
        }
        Ok(())
    }

    /// Writes the leaves of a mapping into the tables that [`build`](Self::build) made.
    fn fill(
        &mut self,
        memory: &mut impl TableMemory,
        table: HostFrame,
        level: Level,
        mapping: &Mapping,
        range: &Range<u64>,
    ) {
        for span in level.spans(range) {
            if let Some(host) = mapping.leaf(level, &span) {
                let entry = Entry::<F>::leaf(host, level, mapping.rights);
                memory.store(table, level.index(span.start), entry.bits);
                self.leaves[level.get()] += 1;
            } else if let Some(child) = Slot::<F>::read(memory, table, level, span.start).child() {
                self.fill(memory, child, level.below(), mapping, &intersection(range, &span));
            }
        }
    }
}
