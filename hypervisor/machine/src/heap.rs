//! The heap: control structures only, of bounded size, filled from the frame allocator during bring-up.

use core::{
    alloc::{GlobalAlloc, Layout},
    ptr::NonNull,
};

use linked_list_allocator::Heap as LinkedList;
use spin::Mutex;

/// Bytes of heap: descriptions, monitor state and the like; an order-10 run.
pub const HEAP_BYTES: usize = 8 << 20;

/// A first-fit heap under a spin lock. Nothing on a hot path allocates from it.
pub struct Heap(Mutex<LinkedList>);

impl Heap {
    /// A heap with nothing in it; every allocation fails until [`Heap::fill`].
    pub const fn empty() -> Self {
        Self(Mutex::new(LinkedList::empty()))
    }

    /// Bytes that are handed out, with what their alignment takes.
    pub fn used_bytes(&self) -> usize {
        self.0.lock().used()
    }

    /// Gives the heap its memory.
    ///
    /// # Safety
    /// `start` begins `bytes` bytes of mapped, writable memory that nothing else uses, for ever; called once.
    pub unsafe fn fill(&self, start: *mut u8, bytes: usize) {
        // SAFETY: the caller's promise.
        unsafe { self.0.lock().init(start, bytes) };
    }
}

// SAFETY: the linked list hands out disjoint, aligned blocks of the memory it was given, and the lock makes every call
// atomic. Host code runs with interrupts off, and no interrupt handler allocates, so the lock cannot be taken twice on a CPU.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        self.0.lock().allocate_first_fit(layout).map_or(core::ptr::null_mut(), NonNull::as_ptr)
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if let Some(block) = NonNull::new(block) {
            // SAFETY: the caller returns a block of this heap with its own layout.
            unsafe { self.0.lock().deallocate(block, layout) };
        }
    }
}
