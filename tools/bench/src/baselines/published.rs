//! A published buddy allocator: the crate `buddy_system_allocator`.

use buddy_system_allocator::FrameAllocator;
use godwit_frames::Order;

use crate::pool::Pool;

/// Its frame allocator, with runs of up to 1 GiB as everywhere here.
pub(crate) struct Published(FrameAllocator<{ Order::COUNT }>);

impl Published {
    /// A pool with all of `frames` free.
    pub(crate) fn new(frames: u32) -> Self {
        let mut pool = FrameAllocator::new();
        pool.add_frame(0, frames as usize);
        Self(pool)
    }
}

impl Pool for Published {
    type Run = usize;

    #[inline]
    fn allocate(&mut self, order: Order) -> Option<usize> {
        self.0.alloc(order.frames() as usize)
    }

    #[inline]
    fn free(&mut self, run: usize, order: Order) {
        self.0.dealloc(run, order.frames() as usize);
    }

    /// It has no report: this takes 2 MiB runs until there are none, and gives them back.
    fn free_2m_runs(&mut self) -> u64 {
        let runs: Vec<_> = std::iter::from_fn(|| self.allocate(Order::LARGE)).collect();
        let count = runs.len() as u64;
        runs.into_iter().for_each(|run| self.free(run, Order::LARGE));
        count
    }
}
