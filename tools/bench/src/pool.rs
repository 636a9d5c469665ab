//! What is measured: a pool of frames behind the calls that every allocator here has.

use godwit_frames::{CpuFrames, FrameRun, Frames, Mobility, Order};

/// A pool of frames.
pub(crate) trait Pool {
    /// What an allocation gives.
    type Run;

    /// Allocates `2^order` frames.
    fn allocate(&mut self, order: Order) -> Option<Self::Run>;

    /// Gives a run of `2^order` frames back.
    fn free(&mut self, run: Self::Run, order: Order);

    /// Makes all free memory whole: gives back what is kept at hand, where anything is.
    fn settle(&mut self) {}

    /// How many aligned 2 MiB runs are free.
    fn free_2m_runs(&mut self) -> u64;
}

/// Godwit's own: the handle of one CPU, and the shared allocator behind it.
pub(crate) struct Godwit<'f, 'm> {
    pub(crate) shared: &'f Frames<'m>,
    pub(crate) cpu: CpuFrames<'f, 'm>,
}

impl Pool for Godwit<'_, '_> {
    type Run = FrameRun;

    #[inline]
    fn allocate(&mut self, order: Order) -> Option<FrameRun> {
        self.cpu.allocate(order, Mobility::Movable).ok()
    }

    #[inline]
    fn free(&mut self, run: FrameRun, _order: Order) {
        self.cpu.free(run).expect("the run is of this pool");
    }

    fn settle(&mut self) {
        self.cpu.drain();
    }

    fn free_2m_runs(&mut self) -> u64 {
        self.settle();
        self.shared.report().free_2m_runs()
    }
}
