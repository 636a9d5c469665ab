//! Reserving where memory is in pieces.

use godwit_frames::{FrameRange, Frames, HostFrame, Mobility, Order};
use godwit_guest::GuestFrame;
use godwit_wire::{LeafRun, RefuseCode};

use super::{MAX_RUNS, Ram, reserve_leaves};

const BLOCK: u64 = Order::LARGE.frames();
const BLOCKS: u64 = 512;

/// Memory of which every second 2 MiB block has a frame that is taken.
fn every_second_block() -> Frames<'static> {
    let metadata = vec![0; Frames::metadata_words(BLOCKS * BLOCK)].leak();
    let span = FrameRange::new(HostFrame::new(0), BLOCKS * BLOCK);
    let frames = Frames::new(span, metadata).unwrap();
    frames.release(span).unwrap();
    let mut cpu = frames.cpu();
    for block in (0..BLOCKS).step_by(2) {
        let frame = FrameRange::new(HostFrame::new(block * BLOCK), 1);
        // Given back by nobody: it stays taken.
        let _in_use = cpu.allocate_at(frame, Mobility::Unmovable).unwrap();
    }
    drop(cpu);
    frames
}

fn large_leaves(leaves: u32) -> LeafRun {
    LeafRun { start: GuestFrame(BLOCK), order: Order::LARGE.get(), leaves }
}

#[test]
fn more_pieces_than_one_request_has_are_found() {
    let frames = every_second_block();
    let free_frames = frames.report().free_frames;
    let mut cpu = frames.cpu();
    let mut ram = Ram::default();
    let wanted = large_leaves(200);
    assert!(wanted.leaves as usize > MAX_RUNS);
    reserve_leaves(&wanted, &mut cpu, &mut ram).unwrap();
    ram.sort();
    let mut next = wanted.start;
    for segment in ram.segments() {
        assert_eq!(segment.start, next, "guest frames follow each other");
        assert!(segment.run.start().number().is_multiple_of(BLOCK), "{segment:?}");
        assert!(segment.run.frames().is_multiple_of(BLOCK), "{segment:?}");
        next = GuestFrame(segment.end());
    }
    assert_eq!(next.0, wanted.start.0 + 200 * BLOCK);
    ram.free(&mut cpu);
    cpu.drain();
    assert_eq!(frames.report().free_frames, free_frames);
}

#[test]
fn what_is_refused_leaves_nothing_taken() {
    let frames = every_second_block();
    let free_frames = frames.report().free_frames;
    let mut cpu = frames.cpu();
    let mut ram = Ram::default();
    // One more than there are.
    let (code, words) = reserve_leaves(&large_leaves(257), &mut cpu, &mut ram).unwrap_err();
    assert_eq!(code, RefuseCode::Memory);
    assert_eq!(words, "257 runs of 2 MiB in one piece are needed, and fewer are free here");
    ram.free(&mut cpu);
    cpu.drain();
    assert_eq!(frames.report().free_frames, free_frames);
}
