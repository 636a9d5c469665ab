//! The frame allocator's figures.

mod churn;
mod scaling;
mod speed;

use godwit_frames::{FrameRange, Frames, HostFrame};

use crate::metrics::{Bound, Metrics};
use crate::pool::Godwit;

/// The pool that everything is measured on: 4 GiB.
pub(crate) const POOL_FRAMES: u32 = 4 << 18;

/// Takes all figures, or only those that do not depend on the machine's speed.
pub(crate) fn run(only_counts: bool, metrics: &mut Metrics) {
    churn::run(only_counts, metrics);
    let words = Frames::metadata_words(POOL_FRAMES.into());
    let percent = words as f64 * 8.0 / (f64::from(POOL_FRAMES) * 4096.0) * 100.0;
    metrics.bounded("frames.metadata_percent", percent, Bound::AtMost(0.01), "of 4 GiB");
    if !only_counts {
        speed::run(metrics);
        scaling::run(metrics);
    }
}

/// Runs `measure` on an empty pool of Godwit's allocator.
pub(crate) fn with_godwit<R>(measure: impl FnOnce(Godwit<'_, '_>) -> R) -> R {
    let span = FrameRange::new(HostFrame::new(0), POOL_FRAMES.into());
    let mut metadata = vec![0; Frames::metadata_words(span.frames)];
    let frames = Frames::new(span, &mut metadata).expect("the metadata is as long as asked for");
    frames.release(span).expect("nothing is in use yet");
    measure(Godwit { shared: &frames, cpu: frames.cpu() })
}

/// The value in the middle.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
