//! The driver's side of a split virtqueue (virtio 1.2, 2.7).

use core::sync::atomic::{Ordering, fence};

use super::{
    DeviceMemory,
    ring::{Descriptor, RingLayout},
};

/// The driver wants no interrupts, the device no notifications: bit 0 of either ring's flags (2.7.6, 2.7.8).
const QUIET: u16 = 1;

/// The device wrote what no device may.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum BrokenRule {
    /// It returned more entries than it was given.
    TooManyUsed,
    /// It returned an entry that it was not given.
    NotGiven {
        /// The entry's number.
        id: u32,
    },
    /// It says that it wrote more or less than the buffer or its own header allow.
    Length {
        /// What it said, in bytes.
        bytes: u32,
    },
}

/// An entry that the device returned; both fields are as it wrote them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Used {
    pub(super) id: u32,
    pub(super) bytes: u32,
}

/// A queue and how far each side is.
pub(super) struct Queue<M> {
    memory: M,
    layout: RingLayout,
    event_index: bool,
    /// Counts entries given to the device.
    next_available: u16,
    /// Of these, what the device was shown.
    published: u16,
    /// Counts entries taken back.
    next_used: u16,
}

impl<M: DeviceMemory> Queue<M> {
    /// A queue in `memory`, which is all zero and at least as long as the layout says.
    pub(super) fn new(memory: M, layout: RingLayout, event_index: bool) -> Self {
        let queue = Self { memory, layout, event_index, next_available: 0, published: 0, next_used: 0 };
        queue.silence();
        queue
    }

    /// Entries.
    pub(super) fn size(&self) -> u16 {
        self.layout.size()
    }

    /// Physical addresses of descriptors, driver's ring and device's ring.
    pub(super) fn addresses(&self) -> [u64; 3] {
        [0, self.layout.available(), self.layout.used()].map(|offset| self.memory.address() + offset)
    }

    /// Writes descriptor `index`, which the device does not hold.
    pub(super) fn describe(&self, index: u16, descriptor: Descriptor) {
        let at = self.layout.descriptor(index);
        for (offset, word) in [at, at + 8].into_iter().zip(descriptor.words()) {
            self.memory.store_64(offset, word);
        }
    }

    /// Gives the chain that begins at descriptor `head` to the device; it sees it with [`publish`](Self::publish).
    pub(super) fn give(&mut self, head: u16) {
        self.memory.store_16(self.layout.available_entry(self.next_available), head);
        self.next_available = self.next_available.wrapping_add(1);
    }

    /// Shows the device everything given; answers whether it wants to be notified of it.
    pub(super) fn publish(&mut self) -> bool {
        let (old, new) = (self.published, self.next_available);
        if old == new {
            return false;
        }
        self.memory.store_16(self.layout.available_index(), new);
        self.published = new;
        // The device goes to sleep by asking for a notification and looking at the index once more; the driver has to do it
        // in the opposite order, and a processor may read before its own earlier write is seen (2.7.13.4.1).
        fence(Ordering::SeqCst);
        if self.event_index {
            let event = self.memory.load_16(self.layout.available_event());
            new.wrapping_sub(event).wrapping_sub(1) < new.wrapping_sub(old)
        } else {
            self.memory.load_16(self.layout.used()) & QUIET == 0
        }
    }

    /// Whether the device returned something that was not taken yet.
    pub(super) fn has_used(&self) -> bool {
        self.memory.load_16(self.layout.used_index()) != self.next_used
    }

    /// Takes the next entry that the device returned.
    ///
    /// # Errors
    /// [`BrokenRule::TooManyUsed`].
    pub(super) fn take_used(&mut self) -> Result<Option<Used>, BrokenRule> {
        let returned = self.memory.load_16(self.layout.used_index()).wrapping_sub(self.next_used);
        if returned == 0 {
            return Ok(None);
        }
        if returned > self.published.wrapping_sub(self.next_used) {
            return Err(BrokenRule::TooManyUsed);
        }
        let at = self.layout.used_entry(self.next_used);
        let used = Used { id: self.memory.load_32(at), bytes: self.memory.load_32(at + 4) };
        self.next_used = self.next_used.wrapping_add(1);
        Ok(Some(used))
    }

    /// Asks for no interrupts. With event indices that is a point just passed: it comes round once in 65,536 entries.
    pub(super) fn silence(&self) {
        if self.event_index {
            self.memory.store_16(self.layout.used_event(), self.next_used.wrapping_sub(1));
        } else {
            self.memory.store_16(self.layout.available(), QUIET);
        }
    }

    /// Asks for an interrupt with the next entry that the device returns; answers whether one is there already, for
    /// which no interrupt may come.
    pub(super) fn arm(&self) -> bool {
        if self.event_index {
            self.memory.store_16(self.layout.used_event(), self.next_used);
        } else {
            self.memory.store_16(self.layout.available(), 0);
        }
        // As in `publish`, with the sides exchanged (2.7.7.2).
        fence(Ordering::SeqCst);
        self.has_used()
    }
}
