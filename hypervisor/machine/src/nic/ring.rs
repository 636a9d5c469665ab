//! Where the parts of a split virtqueue lie in its memory (virtio 1.2, 2.7).

/// Entries of a queue that this driver asks for at most.
pub(super) const MAX_SIZE: u16 = 256;
/// Bytes of a descriptor.
pub(super) const DESCRIPTOR_BYTES: u64 = 16;

/// Another descriptor follows.
pub(super) const NEXT: u16 = 1;
/// The device writes the buffer, else it reads it.
pub(super) const WRITE: u16 = 2;
/// The buffer is a table of descriptors.
pub(super) const INDIRECT: u16 = 4;

/// A buffer as the device is told of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Descriptor {
    /// Physical address.
    pub(super) address: u64,
    /// Length in bytes.
    pub(super) bytes: u32,
    /// [`NEXT`], [`WRITE`], [`INDIRECT`].
    pub(super) flags: u16,
    /// Index of the next descriptor, where one follows.
    pub(super) next: u16,
}

impl Descriptor {
    /// The descriptor as two little-endian words.
    pub(super) const fn words(self) -> [u64; 2] {
        [self.address, (self.bytes as u64) | (self.flags as u64) << 32 | (self.next as u64) << 48]
    }
}

/// Offsets of a queue's parts; every multiplication fits, the size having 16 bits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct RingLayout {
    size: u16,
}

impl RingLayout {
    /// The layout of a queue for which the device allows `largest` entries, 0 where it has no such queue: the largest
    /// power of two up to that and [`MAX_SIZE`].
    pub(super) fn new(largest: u16) -> Option<Self> {
        let size = largest.min(MAX_SIZE);
        (size > 0).then(|| Self { size: 1 << size.ilog2() })
    }

    /// Entries.
    pub(super) const fn size(self) -> u16 {
        self.size
    }

    /// The place of `counter`, which counts past the size, in a ring.
    const fn slot(self, counter: u16) -> u64 {
        (counter & (self.size - 1)) as u64
    }

    /// Descriptor `index`, below the size.
    pub(super) const fn descriptor(self, index: u16) -> u64 {
        self.slot(index) * DESCRIPTOR_BYTES
    }

    /// The driver's ring: flags.
    pub(super) const fn available(self) -> u64 {
        self.size as u64 * DESCRIPTOR_BYTES
    }

    /// The driver's ring: how far it is filled.
    pub(super) const fn available_index(self) -> u64 {
        self.available() + 2
    }

    /// The driver's ring: entry of `counter`.
    pub(super) const fn available_entry(self, counter: u16) -> u64 {
        self.available() + 4 + 2 * self.slot(counter)
    }

    /// The driver's ring: from which used entry on it wants an interrupt.
    pub(super) const fn used_event(self) -> u64 {
        self.available() + 4 + 2 * self.size as u64
    }

    /// The device's ring, aligned to 4: flags.
    pub(super) const fn used(self) -> u64 {
        (self.used_event() + 2).next_multiple_of(4)
    }

    /// The device's ring: how far it is filled.
    pub(super) const fn used_index(self) -> u64 {
        self.used() + 2
    }

    /// The device's ring: entry of `counter`, the id and after 4 bytes the length.
    pub(super) const fn used_entry(self, counter: u16) -> u64 {
        self.used() + 4 + 8 * self.slot(counter)
    }

    /// The device's ring: from which available entry on it wants to be notified.
    pub(super) const fn available_event(self) -> u64 {
        self.used() + 4 + 8 * self.size as u64
    }

    /// Bytes of all parts.
    pub(super) const fn bytes(self) -> u64 {
        self.available_event() + 2
    }
}
