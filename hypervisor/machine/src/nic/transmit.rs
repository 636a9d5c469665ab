//! Frames out: a slot for each, with its header's bytes and the list of where its body lies.

use alloc::{vec, vec::Vec};

use arrayvec::ArrayVec;
use godwit_frames::FRAME_BYTES;
use godwit_host::machine::{MAX_HEADER_BYTES, MAX_PIECES, Piece, TransmitError};

use super::{
    DeviceMemory,
    queue::{BrokenRule, Queue, Used},
    ring::{self, DESCRIPTOR_BYTES, Descriptor},
};

/// Frames in flight at most.
const MAX_SLOTS: u16 = 128;
/// Bytes of a slot: the header, then the table.
const SLOT_BYTES: u64 = 2048;
/// Offset of the table of descriptors in a slot.
const TABLE: u64 = 1664;
/// Descriptors of a frame: one for its header.
const MAX_DESCRIPTORS: u16 = 1 + MAX_PIECES as u16;

/// Bytes of virtio's own header before each frame (5.1.6), all zero without offloads.
pub(super) const VIRTIO_HEADER: usize = 12;

const _: () = assert!((VIRTIO_HEADER + MAX_HEADER_BYTES) as u64 <= TABLE);
const _: () = assert!(TABLE + MAX_DESCRIPTORS as u64 * DESCRIPTOR_BYTES <= SLOT_BYTES);

/// The queue of outgoing frames.
pub(super) struct Transmitter<M> {
    queue: Queue<M>,
    slots: M,
    /// Descriptors of the queue for each slot: with tables in the slots, one.
    stride: u16,
    /// Slots that the device does not hold.
    free: Vec<u16>,
    /// By slot: whether the device holds it.
    held: Vec<bool>,
    /// Somebody found no room and waits for an interrupt.
    awaited: bool,
}

/// How a queue of `size` entries is shared out: descriptors for each slot, and slots.
fn share(size: u16, indirect: bool) -> (u16, u16) {
    let stride = if indirect { 1 } else { MAX_DESCRIPTORS };
    (stride, (size / stride).min(MAX_SLOTS))
}

/// Bytes of memory that the slots need.
pub(super) fn slot_memory_bytes(size: u16, indirect: bool) -> u64 {
    u64::from(share(size, indirect).1) * SLOT_BYTES
}

impl<M: DeviceMemory> Transmitter<M> {
    /// Frames go by `queue`; `slots` is [`slot_memory_bytes`] long. `None` where the queue is too short for a single frame.
    pub(super) fn new(queue: Queue<M>, slots: M, indirect: bool) -> Option<Self> {
        let (stride, count) = share(queue.size(), indirect);
        if count == 0 {
            return None;
        }
        Some(Self {
            queue,
            slots,
            stride,
            // The lowest slot is taken first: the last of the list.
            free: (0..count).rev().collect(),
            held: vec![false; count.into()],
            awaited: false,
        })
    }

    /// Physical addresses of the queue's parts.
    pub(super) fn addresses(&self) -> [u64; 3] {
        self.queue.addresses()
    }

    /// Entries of the queue.
    pub(super) fn size(&self) -> u16 {
        self.queue.size()
    }

    /// Queues one frame of at most `max_frame_bytes`; answers with its length in bytes.
    pub(super) fn queue(
        &mut self,
        header: &[u8],
        body: &[Piece<'_>],
        max_frame_bytes: u64,
    ) -> Result<u64, TransmitError> {
        if header.len() > MAX_HEADER_BYTES || body.len() > MAX_PIECES {
            return Err(TransmitError::TooLong);
        }
        let mut frame_bytes = header.len() as u64;
        let mut buffers = ArrayVec::<(u64, u32), { MAX_DESCRIPTORS as usize }>::new();
        for piece in body.iter().filter(|piece| piece.bytes > 0) {
            let length = u64::from(piece.bytes);
            let run_bytes = piece.run.frames().saturating_mul(FRAME_BYTES);
            piece
                .offset
                .checked_add(length)
                .filter(|&end| end <= run_bytes)
                .ok_or(TransmitError::OutsideRun)?;
            buffers.push((piece.run.start().address() + piece.offset, piece.bytes));
            frame_bytes += length;
        }
        if frame_bytes > max_frame_bytes {
            return Err(TransmitError::TooLong);
        }
        let slot = self.slot_or_wait().ok_or(TransmitError::Full)?;
        let at = u64::from(slot) * SLOT_BYTES;
        self.slots.write(at, &[0; VIRTIO_HEADER]);
        self.slots.write(at + VIRTIO_HEADER as u64, header);
        buffers.insert(0, (self.slots.address() + at, (VIRTIO_HEADER + header.len()) as u32));
        self.describe(slot, &buffers);
        self.queue.give(slot * self.stride);
        if let Some(held) = self.held.get_mut(usize::from(slot)) {
            *held = true;
        }
        Ok(frame_bytes)
    }

    /// A free slot. Where there is none, the device is asked for an interrupt once it has sent something.
    fn slot_or_wait(&mut self) -> Option<u16> {
        if self.free.is_empty() {
            self.awaited = true;
            // What came back meanwhile brings no interrupt, but `has_room_for_waiter` sees it.
            self.queue.arm();
        }
        self.free.pop()
    }

    /// Shows the device everything queued; answers whether it wants to be notified.
    pub(super) fn publish(&mut self) -> bool {
        self.queue.publish()
    }

    /// Takes back what the device has sent.
    ///
    /// # Errors
    /// [`BrokenRule`]: what it returned is not what it was given.
    pub(super) fn reclaim(&mut self) -> Result<(), BrokenRule> {
        while let Some(Used { id, .. }) = self.queue.take_used()? {
            let slot =
                u16::try_from(id).ok().filter(|id| id.is_multiple_of(self.stride)).map(|id| id / self.stride);
            let held = slot.and_then(|slot| self.held.get_mut(usize::from(slot)));
            match (slot, held) {
                (Some(slot), Some(held)) if *held => {
                    *held = false;
                    self.free.push(slot);
                }
                _ => return Err(BrokenRule::NotGiven { id }),
            }
        }
        Ok(())
    }

    /// Whether somebody waits for room and there is some, or will be once what the device has sent is taken back. It is said
    /// once; until then the device is asked for an interrupt. Only this ends the wait: another sender who takes
    /// slots back meanwhile knows nothing of who sleeps.
    pub(super) fn has_room_for_waiter(&mut self) -> bool {
        let has_room = self.awaited && (!self.free.is_empty() || self.queue.arm());
        if has_room {
            self.awaited = false;
            self.queue.silence();
        }
        has_room
    }

    /// Frames that the device holds.
    pub(super) fn held(&self) -> usize {
        self.held.len() - self.free.len()
    }

    /// Counts everything as returned: the device was reset and holds nothing any more.
    pub(super) fn forget(&mut self) {
        self.held.fill(false);
        self.free = (0..self.held.len() as u16).collect();
    }

    /// Writes the chain of `slot`: in its own table, or in its share of the queue's descriptors.
    fn describe(&self, slot: u16, buffers: &[(u64, u32)]) {
        let at = u64::from(slot) * SLOT_BYTES + TABLE;
        let first = if self.stride == 1 { 0 } else { slot * self.stride };
        for (index, &(address, bytes)) in (first..).zip(buffers) {
            let is_last = usize::from(index - first) + 1 == buffers.len();
            let (flags, next) = if is_last { (0, 0) } else { (ring::NEXT, index + 1) };
            let descriptor = Descriptor { address, bytes, flags, next };
            if self.stride == 1 {
                let entry = at + u64::from(index) * DESCRIPTOR_BYTES;
                for (offset, word) in [entry, entry + 8].into_iter().zip(descriptor.words()) {
                    self.slots.store_64(offset, word);
                }
            } else {
                self.queue.describe(index, descriptor);
            }
        }
        if self.stride == 1 {
            let table = Descriptor {
                address: self.slots.address() + at,
                bytes: buffers.len() as u32 * DESCRIPTOR_BYTES as u32,
                flags: ring::INDIRECT,
                next: 0,
            };
            self.queue.describe(slot, table);
        }
    }
}
