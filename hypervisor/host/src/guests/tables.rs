//! Frames for a guest's nested page tables.

use alloc::{collections::BTreeMap, vec::Vec};

use godwit_frames::{AllocateError, CpuFrames, FrameRun, HostFrame, Mobility, Order};
use godwit_nested::TableMemory;

use crate::machine::HostMemory;

/// Bytes of an entry.
const ENTRY_BYTES: u64 = 8;

/// The frames that hold a guest's nested tables.
#[derive(Debug, Default)]
pub struct TableFrames {
    runs: BTreeMap<HostFrame, FrameRun>,
    /// Set aside for tables that the running guest needs.
    spare: Vec<FrameRun>,
    /// Were tables of the running guest, and may be walked still.
    retired: Vec<FrameRun>,
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

    /// The tables of a guest that runs: new ones come from those set aside, and freed ones are kept.
    pub(super) fn live<'a>(&'a mut self, memory: &'a dyn HostMemory) -> LiveTables<'a> {
        LiveTables { tables: self, memory }
    }

    /// Adds frames for tables of the running guest.
    pub(super) fn add_spare(&mut self, spare: Vec<FrameRun>) {
        self.spare.extend(spare);
    }

    /// Frames that were set aside, and those of tables that were freed. Only after every CPU that runs the guest has flushed.
    pub(super) fn take_unused(&mut self) -> Vec<FrameRun> {
        let mut unused = core::mem::take(&mut self.spare);
        unused.append(&mut self.retired);
        unused
    }

    /// The tables for looking at: nothing can be changed, made or freed.
    pub fn look<'a>(&'a self, memory: &'a dyn HostMemory) -> LookTables<'a> {
        LookTables { tables: self, memory }
    }

    fn entry(&self, memory: &dyn HostMemory, table: HostFrame, index: usize) -> u64 {
        let run = self.runs.get(&table);
        run.and_then(|run| memory.load(run, index as u64 * ENTRY_BYTES).ok()).unwrap_or(0)
    }

    fn store(&self, memory: &dyn HostMemory, table: HostFrame, index: usize, entry: u64) {
        let run = self.runs.get(&table);
        if run.is_none_or(|run| memory.store(run, index as u64 * ENTRY_BYTES, entry).is_err()) {
            log::error!("an entry was written to a nested table that is none: {table:?}");
        }
    }

    fn clear(&self, memory: &dyn HostMemory, table: HostFrame, index: usize, mask: u64) -> u64 {
        let run = self.runs.get(&table);
        run.and_then(|run| memory.clear(run, index as u64 * ENTRY_BYTES, mask).ok()).unwrap_or(0)
    }

    /// Gives every frame back. No processor may use the tables any more.
    pub(super) fn free(&mut self, frames: &mut CpuFrames<'_, '_>) {
        while let Some((_, run)) = self.runs.pop_first() {
            give_back([run], frames);
        }
        give_back(self.take_unused(), frames);
    }
}

/// Takes frames for so many tables, which are made zero only when they are used.
///
/// # Errors
/// There are not so many: `out` has those that there were.
pub(super) fn set_aside(
    tables: u64,
    frames: &mut CpuFrames<'_, '_>,
    out: &mut Vec<FrameRun>,
) -> Result<(), AllocateError> {
    for _ in 0..tables {
        out.push(frames.allocate(Order::FRAME, Mobility::Unmovable)?);
    }
    Ok(())
}

/// Gives frames of tables back.
pub(super) fn give_back(runs: impl IntoIterator<Item = FrameRun>, frames: &mut CpuFrames<'_, '_>) {
    for run in runs {
        if let Err(error) = frames.free(run) {
            log::error!("a page table's frame cannot be given back: {error}");
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
        self.tables.store(self.memory, table, index, entry);
    }

    fn clear(&mut self, table: HostFrame, index: usize, mask: u64) -> u64 {
        self.tables.clear(self.memory, table, index, mask)
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
        give_back(self.tables.runs.remove(&table), self.frames);
    }
}

/// Nested tables while somebody works on them and the guest runs.
pub(super) struct LiveTables<'a> {
    tables: &'a mut TableFrames,
    memory: &'a dyn HostMemory,
}

impl TableMemory for LiveTables<'_> {
    fn load(&self, table: HostFrame, index: usize) -> u64 {
        self.tables.entry(self.memory, table, index)
    }

    fn store(&mut self, table: HostFrame, index: usize, entry: u64) {
        self.tables.store(self.memory, table, index, entry);
    }

    fn clear(&mut self, table: HostFrame, index: usize, mask: u64) -> u64 {
        self.tables.clear(self.memory, table, index, mask)
    }

    fn allocate(&mut self) -> Option<HostFrame> {
        let run = self.tables.spare.pop()?;
        let table = run.start();
        if self.memory.zero(&run, 0, Order::FRAME.bytes()).is_err() {
            self.tables.spare.push(run);
            return None;
        }
        self.tables.runs.insert(table, run);
        Some(table)
    }

    fn free(&mut self, table: HostFrame) {
        self.tables.retired.extend(self.tables.runs.remove(&table));
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
