//! What is free, and in what pieces.

use crate::order::Order;

/// Free memory in numbers. Exact once every CPU handle is drained and no CPU allocates meanwhile; else
/// [`cached_frames_at_most`](Self::cached_frames_at_most) says how much it may be off.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Report {
    /// Frames that were released and not reserved since: used and free ones.
    pub total_frames: u64,
    /// Free frames.
    pub free_frames: u64,
    /// Maximal free buddies per order: each free frame is in exactly one. Buddies never span 1 GiB.
    pub free_runs: [u64; Order::COUNT],
    /// Frames in the largest free run of any length and alignment.
    pub largest_run_frames: u64,
    /// Free frames that CPU handles keep at hand, at most; counted as used above.
    pub cached_frames_at_most: u64,
}

impl Report {
    /// Frames that are allocated, or kept at hand by a CPU.
    pub const fn used_frames(&self) -> u64 {
        self.total_frames.saturating_sub(self.free_frames)
    }

    /// How many aligned runs of `order` can be had.
    pub fn free_runs_of(&self, order: Order) -> u64 {
        Order::all()
            .skip(order.index())
            .map(|larger| self.free_runs[larger.index()] << (larger.get() - order.get()))
            .sum()
    }

    /// How many free aligned 2 MiB runs there are.
    pub fn free_2m_runs(&self) -> u64 {
        self.free_runs_of(Order::LARGE)
    }

    /// The share of free memory that cannot serve a run of `order`, in thousandths, rounded down: 0 where
    /// every free frame can, 1000 where none can, 0 where nothing is free (after Gorman).
    pub fn unusable_free_permille(&self, order: Order) -> u32 {
        let usable = self.free_runs_of(order) << order.get();
        match u128::from(self.free_frames) {
            0 => 0,
            free => ((free - u128::from(usable)) * 1000 / free) as u32,
        }
    }
}
