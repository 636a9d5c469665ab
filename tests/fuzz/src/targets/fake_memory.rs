//! A guest's RAM for targets: small, and not always the same when it is read twice.

use std::cell::{Cell, RefCell};

use godwit_guest::{GuestAddress, GuestMemory, NotRam};

/// RAM from address 0 on. Another CPU of the guest may write while it is read: [`meddle`](Self::meddle).
pub(super) struct FakeMemory {
    bytes: RefCell<Vec<u8>>,
    /// What is written there behind so many reads, once.
    meddling: Cell<Option<(u32, u64, u64)>>,
    reads: Cell<u32>,
}

impl FakeMemory {
    /// So many bytes, all zero.
    pub(super) fn new(bytes: usize) -> Self {
        Self { bytes: RefCell::new(vec![0; bytes]), meddling: Cell::new(None), reads: Cell::new(0) }
    }

    /// After `reads` more reads the guest writes `value` at `at`.
    pub(super) fn meddle(&self, reads: u32, at: u64, value: u64) {
        self.meddling.set(Some((reads, at, value)));
    }

    /// Puts as much of `bytes` at `at` as fits there.
    pub(super) fn put(&self, at: u64, bytes: &[u8]) {
        let mut ram = self.bytes.borrow_mut();
        let start = usize::try_from(at).unwrap_or(usize::MAX).min(ram.len());
        let count = bytes.len().min(ram.len() - start);
        ram[start..start + count].copy_from_slice(&bytes[..count]);
    }

    /// How often it was read.
    pub(super) fn reads(&self) -> u32 {
        self.reads.get()
    }

    fn range(&self, at: GuestAddress, bytes: usize) -> Result<std::ops::Range<usize>, NotRam> {
        let start = usize::try_from(at.0).map_err(|_| NotRam { at })?;
        let end = start.checked_add(bytes).filter(|end| *end <= self.bytes.borrow().len());
        Ok(start..end.ok_or(NotRam { at })?)
    }
}

impl GuestMemory for FakeMemory {
    fn read(&self, at: GuestAddress, out: &mut [u8]) -> Result<(), NotRam> {
        self.reads.set(self.reads.get().wrapping_add(1));
        let range = self.range(at, out.len())?;
        out.copy_from_slice(&self.bytes.borrow()[range]);
        match self.meddling.take() {
            Some((0, at, value)) => self.put(at, &value.to_le_bytes()),
            Some((reads, at, value)) => self.meddling.set(Some((reads - 1, at, value))),
            None => {}
        }
        Ok(())
    }

    fn write(&self, at: GuestAddress, bytes: &[u8]) -> Result<(), NotRam> {
        let range = self.range(at, bytes.len())?;
        self.bytes.borrow_mut()[range].copy_from_slice(bytes);
        Ok(())
    }
}
