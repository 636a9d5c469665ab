//! Frames for a guest's nested page tables.

use alloc::collections::BTreeMap;

use godwit_frames::{CpuFrames, FrameRun, HostFrame, Mobility, Order};
use godwit_nested::TableMemory;

use crate::machine::HostMemory;

/// Bytes of an entry.
const ENTRY_BYTES: u64 = 8;

/// The frames that hold a guest's nested tables.
#[derive(Debug, Default)]
pub struct TableFrames {
    runs: BTreeMap<HostFrame, FrameRun>,
}

impl TableFrames {
    /// How many there are.
    pub fn count(&self) -> u64 {
        self.runs.len() as u64
    }

    /// The tables with what is needed to read, write, make and free them.
    pub fn open<'a, 'f, 'm>(
        &'a mut self,
        memory: &'a dyn HostMemory,
        frames: &'a mut CpuFrames<'f, 'm>,
    ) -> OpenTables<'a, 'f, 'm> {
        OpenTables { tables: self, memory, frames }
    }

    /// The tables for looking at: nothing can be changed, made or freed.
    pub fn look<'a>(&'a self, memory: &'a dyn HostMemory) -> LookTables<'a> {
        LookTables { tables: self, memory }
    }

    fn entry(&self, memory: &dyn HostMemory, table: HostFrame, index: usize) -> u64 {
        let run = self.runs.get(&table);
        run.and_then(|run| memory.load(run, index as u64 * ENTRY_BYTES).ok()).unwrap_or(0)
    }

    /// Gives every frame back. No processor may use the tables any more.
    pub(super) fn free(&mut self, frames: &mut CpuFrames<'_, '_>) {
        while let Some((_, run)) = self.runs.pop_first() {
            if let Err(error) = frames.free(run) {
                log::error!("a page table's frame cannot be given back: {error}");
            }
        }
    }
}

/// Nested tables while somebody works on them.
pub struct OpenTables<'a, 'f, 'm> {
    tables: &'a mut TableFrames,
    memory: &'a dyn HostMemory,
    frames: &'a mut CpuFrames<'f, 'm>,
}

impl TableMemory for OpenTables<'_, '_, '_> {
    fn load(&self, table: HostFrame, index: usize) -> u64 {
        self.tables.entry(self.memory, table, index)
    }

    fn store(&mut self, table: HostFrame, index: usize, entry: u64) {
        let run = self.tables.runs.get(&table);
        if run.is_none_or(|run| self.memory.store(run, index as u64 * ENTRY_BYTES, entry).is_err()) {
            log::error!("an entry was written to a nested table that is none: {table:?}");
        }
    }

    fn clear(&mut self, table: HostFrame, index: usize, mask: u64) -> u64 {
        let run = self.tables.runs.get(&table);
        run.and_then(|run| self.memory.clear(run, index as u64 * ENTRY_BYTES, mask).ok()).unwrap_or(0)
    }

    fn allocate(&mut self) -> Option<HostFrame> {
        let run = self.frames.allocate(Order::FRAME, Mobility::Unmovable).ok()?;
        let table = run.start();
        if self.memory.zero(&run, 0, Order::FRAME.bytes()).is_err() {
            let _ = self.frames.free(run);
            return None;
        }
        self.tables.runs.insert(table, run);
        Some(table)
    }

    fn free(&mut self, table: HostFrame) {
        if let Some(run) = self.tables.runs.remove(&table)
            && let Err(error) = self.frames.free(run)
        {
            log::error!("a page table's frame cannot be given back: {error}");
        }
    }
}

/// Nested tables while somebody looks at them.
pub struct LookTables<'a> {
    tables: &'a TableFrames,
    memory: &'a dyn HostMemory,
}

impl TableMemory for LookTables<'_> {
    fn load(&self, table: HostFrame, index: usize) -> u64 {
        self.tables.entry(self.memory, table, index)
    }

    fn store(&mut self, _table: HostFrame, _index: usize, _entry: u64) {}

    fn clear(&mut self, table: HostFrame, index: usize, _mask: u64) -> u64 {
        self.load(table, index)
    }

    fn allocate(&mut self) -> Option<HostFrame> {
        None
    }

    fn free(&mut self, _table: HostFrame) {}
}
