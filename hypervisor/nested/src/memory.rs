//! Where tables live.

use godwit_frames::HostFrame;

/// The memory of page tables: 4 KiB tables of 512 entries of 8 bytes, each in a host frame of its own.
///
/// Only tables that [`allocate`](Self::allocate) answered and that are not freed yet are ever named, with indices below
/// 512. Processors read the entries and set bits in them at any time, so each access is one access of 8 bytes.
pub trait TableMemory {
    /// Reads an entry.
    fn load(&self, table: HostFrame, index: usize) -> u64;

    /// Writes an entry. What was stored before must be visible to other CPUs no later than this (x86 keeps stores in order).
    fn store(&mut self, table: HostFrame, index: usize, entry: u64);

    /// Clears the bits of `mask` in an entry in one atomic access (`LOCK AND`), and answers the entry as it was before.
    fn clear(&mut self, table: HostFrame, index: usize, mask: u64) -> u64;

    /// A table whose entries are all 0, or `None` where there is no memory for one.
    fn allocate(&mut self) -> Option<HostFrame>;

    /// Takes a table back. It is linked nowhere any more, but a processor that remembers the way to it may walk it, and even
    /// set bits in it, until it flushes: hand the frame out again only after every CPU that runs the guest has. That holds for operations that failed, too.
    fn free(&mut self, table: HostFrame);
}
