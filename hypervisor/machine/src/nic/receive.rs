//! Frames in: one buffer for each, of whole frames in one piece, long enough for the longest packet.

use alloc::{vec, vec::Vec};

use godwit_frames::FRAME_BYTES;

use super::{
    DeviceMemory,
    queue::{BrokenRule, Queue, Used},
    ring::{self, Descriptor},
    transmit::VIRTIO_HEADER,
};

/// Bytes of an Ethernet header.
pub(super) const ETHERNET_HEADER: u64 = 14;
/// Bytes of all buffers together, at most.
const MAX_BYTES: u64 = 4 << 20;

/// How long buffers are and how many there are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Buffers {
    /// Bytes of one, whole frames.
    pub(super) bytes: u32,
    /// How many.
    pub(super) count: u16,
}

impl Buffers {
    /// Buffers for packets of up to `mtu` bytes, of which a queue has `size`: 4 MiB of them at most, which is 60 of the longest.
    pub(super) fn new(mtu: u16, size: u16) -> Self {
        let bytes = (u64::from(mtu) + ETHERNET_HEADER + VIRTIO_HEADER as u64).next_multiple_of(FRAME_BYTES);
        Self { bytes: bytes as u32, count: size.min((MAX_BYTES / bytes) as u16) }
    }

    /// Half as many.
    pub(super) fn halved(self) -> Self {
        Self { count: self.count / 2, ..self }
    }

    /// Bytes of all together.
    pub(super) fn total_bytes(self) -> u64 {
        u64::from(self.bytes) * u64::from(self.count)
    }
}

/// A frame that arrived: where it lies in the memory of all buffers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Received {
    buffer: u16,
    /// Where the frame begins, in bytes.
    pub(super) offset: u64,
    /// Its length in bytes.
    pub(super) bytes: u64,
}

/// The queue of arriving frames.
pub(super) struct Receiver<M> {
    queue: Queue<M>,
    buffers: Buffers,
    address: u64,
    /// By buffer: whether the device holds it.
    held: Vec<bool>,
    /// The queue was empty when it was last looked at, and the device was asked for an interrupt.
    armed: bool,
}

impl<M: DeviceMemory> Receiver<M> {
    /// Frames arrive by `queue` in `buffers`, which lie one after the other from physical address `address` on.
    pub(super) fn new(queue: Queue<M>, buffers: Buffers, address: u64) -> Self {
        let mut receiver =
            Self { queue, buffers, address, held: vec![false; buffers.count.into()], armed: false };
        for buffer in 0..buffers.count {
            receiver.hand_over(buffer);
        }
        receiver
    }

    /// Physical addresses of the queue's parts.
    pub(super) fn addresses(&self) -> [u64; 3] {
        self.queue.addresses()
    }

    /// Entries of the queue.
    pub(super) fn size(&self) -> u16 {
        self.queue.size()
    }

    /// Takes the oldest frame that arrived. Where there is none, the device is asked for an interrupt with the next.
    ///
    /// # Errors
    /// [`BrokenRule`]: what the device returned is not what it was given.
    pub(super) fn take(&mut self) -> Result<Option<Received>, BrokenRule> {
        let mut used = self.queue.take_used()?;
        if used.is_none() && !self.armed {
            self.armed = true;
            if self.queue.arm() {
                used = self.queue.take_used()?;
            }
        }
        let Some(Used { id, bytes }) = used else { return Ok(None) };
        if self.armed {
            self.armed = false;
            self.queue.silence();
        }
        let buffer = u16::try_from(id).map_err(|_| BrokenRule::NotGiven { id })?;
        let held = self
            .held
            .get_mut(usize::from(buffer))
            .filter(|held| **held)
            .ok_or(BrokenRule::NotGiven { id })?;
        if bytes > self.buffers.bytes || bytes < VIRTIO_HEADER as u32 {
            return Err(BrokenRule::Length { bytes });
        }
        *held = false;
        Ok(Some(Received {
            buffer,
            offset: u64::from(buffer) * u64::from(self.buffers.bytes) + VIRTIO_HEADER as u64,
            bytes: u64::from(bytes) - VIRTIO_HEADER as u64,
        }))
    }

    /// Gives the buffer of a frame back; answers whether the device wants to be notified.
    pub(super) fn give_back(&mut self, received: Received) -> bool {
        self.hand_over(received.buffer);
        self.publish()
    }

    /// Shows the device the buffers given to it; answers whether it wants to be notified.
    pub(super) fn publish(&mut self) -> bool {
        self.queue.publish()
    }

    /// Whether a frame arrived after it was last said that there is none.
    pub(super) fn has_news(&self) -> bool {
        self.armed && self.queue.has_used()
    }

    fn hand_over(&mut self, buffer: u16) {
        let descriptor = Descriptor {
            address: self.address + u64::from(buffer) * u64::from(self.buffers.bytes),
            bytes: self.buffers.bytes,
            flags: ring::WRITE,
            next: 0,
        };
        self.queue.describe(buffer, descriptor);
        self.queue.give(buffer);
        if let Some(held) = self.held.get_mut(usize::from(buffer)) {
            *held = true;
        }
    }
}
