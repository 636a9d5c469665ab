//! The allocator as a caller first meets it.

use godwit_frames::{AllocateError, FrameRange, Frames, HostFrame, Mobility, Order};

#[test]
fn what_is_allocated_and_freed_leaves_the_report_as_it_was() {
    let span = FrameRange::new(HostFrame::new(0x300), 3 * 512);
    let mut metadata = vec![0; Frames::metadata_words(span.frames)];
    let frames = Frames::new(span, &mut metadata).unwrap();
    assert_eq!(frames.release(span), Ok(span.frames));
    let before = frames.report();
    assert_eq!(before.free_frames, span.frames);
    let mut cpu = frames.cpu();
    let run = cpu.allocate(Order::LARGE, Mobility::Movable).unwrap();
    assert_eq!(run.order(), Some(Order::LARGE));
    assert!(matches!(cpu.allocate(Order::HUGE, Mobility::Movable), Err(AllocateError::Exhausted { .. })));
    cpu.free(run).unwrap();
    cpu.drain();
    assert_eq!(frames.report(), before);
}
