//! Physical memory for tests: a few patches of bytes in a 64-bit space that otherwise cannot be read.
#![forbid(unsafe_code)]

use core::cell::Cell;

use crate::physical::{PhysicalMemory, Unreadable};

/// Patches of readable bytes; a later patch covers an earlier one.
#[derive(Default)]
pub(crate) struct SparseMemory {
    patches: Vec<(u64, Vec<u8>)>,
    bytes_read: Cell<usize>,
}

impl SparseMemory {
    /// Memory of which nothing can be read.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Makes `bytes` readable at `address`.
    pub(crate) fn put(&mut self, address: u64, bytes: impl Into<Vec<u8>>) -> &mut Self {
        self.patches.push((address, bytes.into()));
        self
    }

    /// The same memory with `bytes` readable at `address`.
    pub(crate) fn with(mut self, address: u64, bytes: impl Into<Vec<u8>>) -> Self {
        self.put(address, bytes);
        self
    }

    /// How many bytes were asked for so far: a parser's reads are bounded by this.
    pub(crate) fn bytes_read(&self) -> usize {
        self.bytes_read.get()
    }
}

impl PhysicalMemory for SparseMemory {
    fn read(&self, address: u64, out: &mut [u8]) -> Result<(), Unreadable> {
        self.bytes_read.set(self.bytes_read.get() + out.len());
        let found = self.patches.iter().rev().find_map(|(start, bytes)| {
            let from = usize::try_from(address.checked_sub(*start)?).ok()?;
            bytes.get(from..from.checked_add(out.len())?)
        });
        out.copy_from_slice(found.ok_or(Unreadable { address })?);
        Ok(())
    }
}
