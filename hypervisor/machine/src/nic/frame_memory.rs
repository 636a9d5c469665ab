//! Frames that driver and device share.

use core::sync::atomic::{AtomicU16, AtomicU32, AtomicU64, Ordering};

use godwit_frames::{FRAME_BYTES, FrameRun};
use x86_64::PhysAddr;

use super::DeviceMemory;
use crate::memory::direct_map;

/// A run of frames that a device was given, reached through the direct map.
pub struct FrameMemory {
    run: FrameRun,
}

impl FrameMemory {
    /// The memory of `run`, made zero.
    pub fn new(run: FrameRun) -> Self {
        let memory = Self { run };
        if let Some(start) = memory.place(0, memory.bytes()) {
            // SAFETY: the run is RAM that belongs to this value alone, mapped in the direct map; no device has it yet.
            unsafe { core::ptr::write_bytes(start, 0, memory.bytes() as usize) };
        }
        memory
    }

    /// Where byte `offset` is, if `bytes` bytes follow it inside the run.
    fn place(&self, offset: u64, bytes: u64) -> Option<*mut u8> {
        offset.checked_add(bytes).filter(|&end| end <= self.bytes())?;
        Some((direct_map::virtual_address(PhysAddr::new(self.address())) + offset).as_mut_ptr())
    }

    /// Where the word of `T` at `offset` is, if it is aligned and inside the run.
    fn word<T>(&self, offset: u64) -> Option<*mut T> {
        let width = size_of::<T>() as u64;
        self.place(offset, width).filter(|_| offset.is_multiple_of(width)).map(|place| place.cast())
    }
}

impl DeviceMemory for FrameMemory {
    fn address(&self) -> u64 {
        self.run.start().address()
    }

    fn bytes(&self) -> u64 {
        self.run.frames() * FRAME_BYTES
    }

    fn load_16(&self, offset: u64) -> u16 {
        // SAFETY: the word is RAM of this value's run, mapped for ever and aligned; driver and device reach it by whole words
        // only, so every access is atomic.
        self.word(offset).map_or(0, |word| unsafe { AtomicU16::from_ptr(word) }.load(Ordering::Acquire))
    }

    fn load_32(&self, offset: u64) -> u32 {
        // SAFETY: as in `load_16`.
        self.word(offset).map_or(0, |word| unsafe { AtomicU32::from_ptr(word) }.load(Ordering::Acquire))
    }

    fn store_16(&self, offset: u64, value: u16) {
        if let Some(word) = self.word(offset) {
            // SAFETY: as in `load_16`.
            unsafe { AtomicU16::from_ptr(word) }.store(value, Ordering::Release);
        }
    }

    fn store_64(&self, offset: u64, value: u64) {
        if let Some(word) = self.word(offset) {
            // SAFETY: as in `load_16`.
            unsafe { AtomicU64::from_ptr(word) }.store(value, Ordering::Release);
        }
    }

    fn write(&self, offset: u64, bytes: &[u8]) {
        if let Some(place) = self.place(offset, bytes.len() as u64) {
            // SAFETY: RAM of this value's run, which no Rust value overlaps; the device reads it only after it was told to.
            unsafe { core::ptr::copy_nonoverlapping(bytes.as_ptr(), place, bytes.len()) };
        }
    }

    fn show(&self, offset: u64, length: u64, look: &mut dyn FnMut(&[u8])) -> bool {
        let Some(place) = self.place(offset, length) else { return false };
        // SAFETY: for as long as `look` takes, nobody writes to these bytes:
        // 1. The bytes are RAM of this value's run, mapped for ever.
        // 2. The driver shows only what the device has returned, and gives it to the device again only after `look` is done,
        //    so nobody writes there meanwhile: `write` and the stores reach other runs.
        // 3. A device that writes to a buffer that it has returned may as well write to any other RAM: nothing is lost by
        //    trusting it as far as here.
        let bytes = unsafe { core::slice::from_raw_parts(place, length as usize) };
        look(bytes);
        true
    }
}
