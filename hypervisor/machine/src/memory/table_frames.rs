//! Frames for page tables and stacks, from the allocator: unmovable, and never given back.

use godwit_frames::{CpuFrames, Mobility, Order};
use x86_64::{
    PhysAddr,
    structures::paging::{FrameAllocator, PhysFrame, Size4KiB},
};

/// Hands single frames to the page tables for good.
pub struct TableFrames<'f, 'm>(CpuFrames<'f, 'm>);

impl<'f, 'm> TableFrames<'f, 'm> {
    /// Frames through the given handle.
    pub fn new(frames: CpuFrames<'f, 'm>) -> Self {
        Self(frames)
    }

    /// The handle.
    pub fn handle(&mut self) -> &mut CpuFrames<'f, 'm> {
        &mut self.0
    }
}

// SAFETY: the allocator hands each frame out once, and the run is forgotten here, so nobody frees it; RAM in the direct map.
unsafe impl FrameAllocator<Size4KiB> for TableFrames<'_, '_> {
    fn allocate_frame(&mut self) -> Option<PhysFrame> {
        let run = self.0.allocate(Order::FRAME, Mobility::Unmovable).ok()?;
        PhysFrame::from_start_address(PhysAddr::new(run.start().address())).ok()
    }
}

/// Frames for page tables before there is an allocator: one range, taken from its start.
pub struct EarlyFrames {
    next: u64,
    end: u64,
}

impl EarlyFrames {
    /// Hands out frames `first..end`, by number.
    ///
    /// # Safety
    /// The frames are RAM below 4 GiB that nothing else uses, for ever.
    pub unsafe fn new(first: u64, end: u64) -> Self {
        Self { next: first, end }
    }

    /// Frames not handed out yet, as `first..end`.
    pub fn left(&self) -> (u64, u64) {
        (self.next, self.end)
    }
}

// SAFETY: each frame of the range is handed out once; `new`'s caller gave them up.
unsafe impl FrameAllocator<Size4KiB> for EarlyFrames {
    fn allocate_frame(&mut self) -> Option<PhysFrame> {
        if self.next == self.end {
            return None;
        }
        let frame = PhysFrame::from_start_address(PhysAddr::new(self.next * 4096)).ok();
        self.next += 1;
        frame
    }
}
