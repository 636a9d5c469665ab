//! Memory to test on, checked for leaks when a test is done with it.

use godwit_frames::{CpuFrames, FrameRange, FrameRun, Frames, HostFrame, Mobility, Order};

/// Frames in 2 MiB.
pub(crate) const BLOCK: u64 = 512;
/// Frames in 1 GiB.
pub(crate) const GIB: u64 = 512 * BLOCK;

/// A range by numbers.
pub(crate) fn range(start: u64, frames: u64) -> FrameRange {
    FrameRange::new(HostFrame::new(start), frames)
}

/// Runs `test` on memory of which all is free, and fails where the test leaks a frame or breaks an invariant.
pub(crate) fn on_memory(span: FrameRange, test: impl FnOnce(&Frames<'_>)) {
    let mut metadata = vec![0; Frames::metadata_words(span.frames)];
    let frames = Frames::new(span, &mut metadata).unwrap();
    assert_eq!(frames.release(span), Ok(span.frames));
    test(&frames);
    frames.audit().unwrap();
    assert_eq!(frames.cached_frames_at_most(), 0, "a handle was neither drained nor dropped");
    assert_eq!(frames.report().used_frames(), 0, "frames leaked");
}

/// Allocates `count` runs of an order.
pub(crate) fn take(cpu: &mut CpuFrames, count: usize, order: Order, mobility: Mobility) -> Vec<FrameRun> {
    (0..count).map(|_| cpu.allocate(order, mobility).unwrap()).collect()
}

/// Frees all runs, and drains.
pub(crate) fn give(cpu: &mut CpuFrames, runs: impl IntoIterator<Item = FrameRun>) {
    runs.into_iter().for_each(|run| cpu.free(run).unwrap());
    cpu.drain();
}
