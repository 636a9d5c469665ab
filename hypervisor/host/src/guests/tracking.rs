//! Finding out which frames a running guest writes.
//!
//! The order is law: marks are cleared, or the right to write is taken; then every CPU that runs the guest forgets what it remembers
//! ([`Guest::shoot_down`]); then memory is read. `docs/notes/0009-write-tracking.md` says why it is done this way.

use alloc::vec::Vec;
use core::ops::Range;

use godwit_frames::{CpuFrames, Order};
use godwit_nested::{Mark, Rights};

use super::{Guest, paging::Tables, table::Scene};

/// Guest frames whose tables are changed without letting others in between, aligned so that no leaf reaches over the end: 1 GiB.
const FRAMES_AT_A_TIME: u64 = Order::HUGE.frames();

/// Why the writes of a guest cannot be tracked.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub(crate) enum TrackingError {
    #[error("its writes are tracked already")]
    Already,
    #[error("its writes are not tracked")]
    Not,
    #[error("no memory is left for {0} nested page tables: stop a guest, or move one away")]
    Tables(u64),
    #[error("no memory is left for the marks: stop a guest, or move one away")]
    Marks,
}

impl Guest {
    /// Whether its writes are tracked.
    pub(crate) fn is_tracked(&self) -> bool {
        self.ram.marks().are_kept()
    }

    /// Tracks which frames are written, by the guest and by the host for it, from some moment before this returns.
    ///
    /// Every table that can become necessary is set aside now, so that nothing can fail while the guest runs.
    ///
    /// # Errors
    /// [`TrackingError`]; nothing has changed.
    pub(crate) fn begin_tracking(
        &self,
        scene: Scene<'_>,
        frames: &mut CpuFrames<'_, '_>,
    ) -> Result<(), TrackingError> {
        if self.is_tracked() {
            return Err(TrackingError::Already);
        }
        let histogram = self.paging.lock().nested.histogram();
        let tables = histogram.large.leaves + histogram.huge.leaves * (1 + Order::LARGE.frames());
        let mut spare = Vec::new();
        spare
            .try_reserve_exact(usize::try_from(tables).unwrap_or(usize::MAX))
            .map_err(|_| TrackingError::Tables(tables))?;
        let result = super::tables::set_aside(tables, frames, &mut spare)
            .map_err(|_| TrackingError::Tables(tables))
            .and_then(|()| self.ram.marks().begin(self.ram.end()).map_err(|_| TrackingError::Marks));
        if let Err(error) = result {
            super::tables::give_back(spare, frames);
            return Err(error);
        }
        self.paging.lock().frames.add_spare(spare);
        self.change_tables(|Tables { nested, frames }, range| {
            let mut live = frames.live(scene.machine.memory());
            // No leaf is cut, so no table is needed.
            let _ = nested.protect(&mut live, range.clone(), Rights::all().difference(Rights::WRITE));
            // What was written before does not count.
            let _ = nested.harvest(&mut live, range, Mark::Dirty, |_, _| ());
        });
        self.shoot_down(scene);
        Ok(())
    }

    /// Names each frame that was written since this was last called, or since tracking began, in order. What is read of it afterwards is no
    /// older than what was written.
    ///
    /// # Errors
    /// [`TrackingError::Not`].
    pub(crate) fn harvest_writes(
        &self,
        scene: Scene<'_>,
        found: &mut dyn FnMut(u64),
    ) -> Result<(), TrackingError> {
        if !self.is_tracked() {
            return Err(TrackingError::Not);
        }
        let marks = self.ram.marks();
        let mut flush = false;
        self.change_tables(|Tables { nested, frames }, range| {
            let mut live = frames.live(scene.machine.memory());
            let change = nested.harvest(&mut live, range, Mark::Dirty, |start, order| {
                marks.mark(start..start + order.frames());
            });
            flush |= change.flush;
        });
        // A processor remembers no leaf as dirty that was not marked.
        if flush {
            self.shoot_down(scene);
        }
        marks.take(found);
        Ok(())
    }

    /// Tracks no longer; memory is mapped by the same leaves as before.
    ///
    /// # Errors
    /// [`TrackingError::Not`].
    pub(crate) fn end_tracking(
        &self,
        scene: Scene<'_>,
        frames: &mut CpuFrames<'_, '_>,
    ) -> Result<(), TrackingError> {
        if !self.is_tracked() {
            return Err(TrackingError::Not);
        }
        self.change_tables(|Tables { nested, frames }, range| {
            let mut live = frames.live(scene.machine.memory());
            // No leaf is cut, so no table is needed.
            let _ = nested.protect(&mut live, range.clone(), Rights::all());
            let _ = nested.merge_range(&mut live, range);
        });
        self.ram.marks().end();
        // Before the tables that were freed are anybody else's.
        self.shoot_down(scene);
        let unused = self.paging.lock().frames.take_unused();
        super::tables::give_back(unused, frames);
        frames.drain();
        Ok(())
    }

    /// Has every CPU forget what it remembers of the nested tables as they were. When this returns, no virtual CPU is in the guest that
    /// entered it before.
    ///
    /// Only for who holds neither the tables nor a virtual CPU.
    pub(crate) fn shoot_down(&self, scene: Scene<'_>) {
        let epoch = self.epoch.raise();
        // All are asked before the first is waited for.
        for vcpu in &self.vcpus {
            vcpu.expel(scene, epoch);
        }
        for vcpu in &self.vcpus {
            while vcpu.is_in_guest_before(epoch) {
                vcpu.expel(scene, epoch);
                core::hint::spin_loop();
            }
        }
    }

    /// Calls `change` for all RAM, in pieces which no leaf reaches over the ends of.
    fn change_tables(&self, mut change: impl FnMut(&mut Tables, Range<u64>)) {
        for segment in self.ram.segments() {
            let mut start = segment.start.0;
            while start < segment.end() {
                let end = (start + 1).next_multiple_of(FRAMES_AT_A_TIME).min(segment.end());
                change(&mut self.paging.lock(), start..end);
                start = end;
            }
        }
    }
}
