//! Memory that the machine and this one CPU share.

use core::cell::UnsafeCell;

/// A static that is reached by raw pointer only: page tables, stacks, buffers that assembly fills.
#[repr(C, align(4096))]
pub(crate) struct Single<T>(UnsafeCell<T>);

// SAFETY: the guest has one CPU (the one that `processors` starts has its stack here and touches nothing else of it), and interrupt
// handlers touch none of these.
unsafe impl<T> Sync for Single<T> {}

impl<T> Single<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self(UnsafeCell::new(value))
    }

    pub(crate) const fn get(&self) -> *mut T {
        self.0.get()
    }

    /// Its address; physical and virtual are the same here.
    pub(crate) fn address(&self) -> u64 {
        self.0.get().addr() as u64
    }
}
