//! A guest's nested tables, which change while it runs.

use core::ops::Range;

use godwit_frames::{HostFrame, Order};
use godwit_guest::{GuestAddress, vcpu::NestedFault};
use godwit_nested::{Mark, NestedTables, Npt, Rights, SplitError};
use spin::mutex::{TicketMutex, TicketMutexGuard};

use super::{TableFrames, marks::WriteMarks};
use crate::machine::HostMemory;

/// Nested tables, and where they are.
pub struct Tables {
    /// What they say.
    pub nested: NestedTables<Npt>,
    /// Their frames.
    pub frames: TableFrames,
}

/// What a nested fault on RAM was.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Mended {
    /// The first write to that part of memory; it is allowed now.
    Opened,
    /// The access is allowed already: somebody changed the tables meanwhile, or the processor remembered older ones.
    Allowed,
    /// The access is not allowed, and nothing can be done about it.
    No,
}

/// Nested tables behind a lock; processors walk them without it.
pub struct Paging {
    root: HostFrame,
    tables: TicketMutex<Tables>,
}

impl Paging {
    pub(super) fn new(tables: Tables) -> Self {
        Self { root: tables.nested.root(), tables: TicketMutex::new(tables) }
    }

    /// The frame of the root table.
    pub fn root(&self) -> HostFrame {
        self.root
    }

    /// The tables. Who holds them waits for nobody: a virtual CPU that has a nested fault waits for them.
    pub fn lock(&self) -> TicketMutexGuard<'_, Tables> {
        self.tables.lock()
    }

    /// Lets the guest do what it was stopped for, where that is only the first write to memory whose writes are tracked.
    ///
    /// The write is not marked here: the guest does it again, and the processor marks the leaf of the frame that it writes.
    pub(super) fn mend(&self, memory: &dyn HostMemory, fault: NestedFault, marks: &WriteMarks) -> Mended {
        let frame = GuestAddress(fault.address).frame().0;
        let Tables { nested, frames } = &mut *self.tables.lock();
        let mut live = frames.live(memory);
        let Some(leaf) = nested.lookup(&live, frame).filter(|_| !fault.reserved) else { return Mended::No };
        let forbids = |tried: bool, right| tried && !leaf.rights.contains(right);
        if forbids(fault.fetch, Rights::EXECUTE) {
            return Mended::No;
        }
        if !forbids(fault.write, Rights::WRITE) {
            return Mended::Allowed;
        }
        let block: Range<u64> = match nested.split(&mut live, frame, Order::FRAME) {
            Ok(_) => {
                let start = frame & !(Order::LARGE.frames() - 1);
                start..start + Order::LARGE.frames()
            }
            // Tables for all leaves were set aside. Without one, the mark of the whole leaf tells less, and nothing wrong.
            Err(SplitError::OutOfTables(_) | SplitError::NotMapped { .. }) => leaf.guest_frames(),
        };
        // What was marked before the right to write was taken stays known, and does not hide what comes now.
        let _ = nested.harvest(&mut live, block.clone(), Mark::Dirty, |start, order| {
            marks.mark(start..start + order.frames());
        });
        // No leaf reaches over an end of the block, so nothing is split and no table needed. A right that is given needs no flush.
        match nested.protect(&mut live, block, Rights::all()) {
            Ok(_) => Mended::Opened,
            Err(_) => Mended::No,
        }
    }
}
