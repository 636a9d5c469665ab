//! What the allocator refuses, what it says about itself, and what it does to content marks.

use crate::ground::{BLOCK, GIB, give, on_memory, range, take};
use godwit_frames::{
    AllocateError, BlockState, Content, FrameRange, Frames, HostFrame, MAX_ZONES, Mobility, Order,
    RangeError, ZoneError,
};

const MOVABLE: Mobility = Mobility::Movable;

#[test]
#[should_panic(expected = "frames leaked")]
fn the_leak_check_notices_a_leak() {
    on_memory(range(0, BLOCK), |frames| {
        let _lost = frames.cpu().allocate(Order::FRAME, MOVABLE).unwrap();
    });
}

#[test]
fn a_run_of_another_allocator_is_given_back_untouched() {
    on_memory(range(0, 4 * BLOCK), |frames| {
        on_memory(range(0, 4 * BLOCK), |others| {
            let (mut cpu, mut other) = (frames.cpu(), others.cpu());
            for order in [0, 3, 9] {
                let order = Order::new(order).unwrap();
                // Both hold a run of the same frames: only who made it tells them apart.
                let (mine, foreign) = (cpu.allocate(order, MOVABLE).unwrap(), other.allocate(order, MOVABLE));
                let foreign = foreign.unwrap();
                assert_eq!(mine.range(), foreign.range());
                let refused = cpu.free(foreign).unwrap_err();
                assert_eq!(refused.run.range(), mine.range());
                other.free(refused.run).unwrap();
                cpu.free(mine).unwrap();
            }
        });
    });
}

#[test]
fn zones_that_cannot_be_are_refused() {
    fn new(span: FrameRange, words: usize) -> Option<ZoneError> {
        Frames::new(span, &mut vec![0; words]).err()
    }
    let needed_words = Frames::metadata_words(BLOCK);
    let short = ZoneError::Metadata { needed_words, given_words: needed_words - 1 };
    assert_eq!(new(range(0, BLOCK), needed_words - 1), Some(short));
    assert_eq!(new(range(0, BLOCK), needed_words), None);
    assert_eq!(new(range(7, 0), 1000), Some(ZoneError::Empty));
    assert_eq!(new(range(u64::MAX, 2), 1000), Some(ZoneError::BeyondMemory));
    assert_eq!(new(range((1 << 40) - 1, 2), 1000), Some(ZoneError::BeyondMemory));
    assert_eq!(new(range((1 << 40) - 1, 1), 1000), None, "the very last frame is memory");

    let mut metadata: Vec<_> = (0..=MAX_ZONES).map(|_| vec![0; needed_words]).collect();
    let mut metadata = metadata.iter_mut().map(Vec::as_mut_slice);
    let mut frames = Frames::new(range(0, 100), metadata.next().unwrap()).unwrap();
    assert_eq!(frames.add_zone(range(100, 100), &mut []), Err(ZoneError::Overlap), "the same 2 MiB block");
    for (zone, metadata) in (1..).zip(metadata) {
        let full = (zone == MAX_ZONES as u64).then_some(ZoneError::TooMany);
        assert_eq!(frames.add_zone(range(zone * BLOCK, 100), metadata).err(), full);
    }
}

#[test]
fn metadata_stays_below_a_ten_thousandth() {
    for mib in [128, 1 << 10, 4 << 10, 16 << 10, 1 << 20] {
        let bytes = Frames::metadata_words(mib << 8) as u64 * 8;
        assert!(bytes * 10_000 <= mib << 20, "{bytes} bytes for {mib} MiB");
    }
}

#[test]
fn metadata_suffices_wherever_a_span_begins() {
    for start in [0, 1, 511, 512, GIB - 1, GIB - BLOCK, GIB + 77] {
        for frames in [1, 511, 512, 513, GIB - 1, GIB, 2 * GIB + 1] {
            on_memory(range(start, frames), |memory| {
                let report = memory.report();
                assert_eq!((report.total_frames, report.free_frames), (frames, frames));
                assert_eq!(report.largest_run_frames, frames);
            });
        }
    }
}

#[test]
fn only_what_is_reserved_can_be_released() {
    let span = range(100, 3 * BLOCK);
    let mut metadata = vec![u64::MAX; Frames::metadata_words(span.frames)];
    let frames = Frames::new(span, &mut metadata).unwrap();
    assert_eq!(frames.report().total_frames, 0, "everything is reserved at first");
    assert_eq!(frames.release(range(100, 0)), Err(RangeError::Empty));
    assert_eq!(frames.release(range(99, 2)), Err(RangeError::Outside));
    assert_eq!(frames.release(range(101, 3 * BLOCK)), Err(RangeError::Outside));
    assert_eq!(frames.release(range(u64::MAX, u64::MAX)), Err(RangeError::Outside));
    assert_eq!(frames.release(range(200, BLOCK)), Ok(BLOCK));
    let free = RangeError::AlreadyFree { frame: HostFrame::new(200) };
    assert_eq!(frames.release(range(150, 100)), Err(free));
    assert_eq!(frames.report().total_frames, BLOCK, "a refusal changes nothing");

    let mut cpu = frames.cpu();
    let run = cpu.allocate_at(range(300, 10), MOVABLE).unwrap();
    let in_use = RangeError::InUse { frame: HostFrame::new(150), cached_frames_at_most: 0 };
    assert_eq!(frames.release(range(150, 10)), Err(in_use), "the block does not tell used from reserved");
    give(&mut cpu, [run]);
    assert_eq!(frames.release(range(100, 100)), Ok(100));
    frames.audit().unwrap();
}

#[test]
fn free_frames_can_be_taken_out_for_good() {
    on_memory(range(0, 4 * BLOCK), |frames| {
        let mut cpu = frames.cpu();
        let run = cpu.allocate_at(range(BLOCK, 1), MOVABLE).unwrap();
        assert_eq!(frames.reserve(range(0, BLOCK)), Ok(BLOCK));
        assert_eq!(frames.reserve(range(10, 20)), Ok(0), "they are reserved already");
        let in_use = RangeError::InUse { frame: HostFrame::new(BLOCK), cached_frames_at_most: 0 };
        assert_eq!(frames.reserve(range(BLOCK - 1, 2)), Err(in_use));
        assert_eq!(frames.reserve(range(BLOCK + 1, 2)), Ok(2), "free frames beside one in use");
        assert_eq!(frames.report().total_frames, 3 * BLOCK - 2);
        let states: Vec<_> = frames.blocks().map(|block| block.state()).collect();
        assert_eq!(states, [BlockState::Reserved, BlockState::Partial, BlockState::Free, BlockState::Free]);
        give(&mut cpu, [run]);
    });
}

#[test]
fn what_one_cpu_keeps_another_gets_after_a_poll() {
    on_memory(range(0, BLOCK), |frames| {
        let (mut first, mut second) = (frames.cpu(), frames.cpu());
        let one = first.allocate(Order::FRAME, MOVABLE).unwrap();
        let rest = take(&mut second, (BLOCK - 1 - first.held_frames()) as usize, Order::FRAME, MOVABLE);
        let held = first.held_frames();
        assert!(held > 0);
        let exhausted = second.allocate(Order::FRAME, MOVABLE).unwrap_err();
        assert!(matches!(exhausted, AllocateError::Exhausted { wanted_frames: 1, .. }));
        assert!(exhausted.cached_frames_at_most() >= held);
        assert_eq!(first.held_frames(), held, "a handle is only ever touched by its own CPU");
        first.poll();
        assert_eq!(first.held_frames(), 0);
        let mut late = take(&mut second, held as usize, Order::FRAME, MOVABLE);
        let exhausted = AllocateError::Exhausted { wanted_frames: 1, cached_frames_at_most: 0 };
        assert_eq!(second.allocate(Order::FRAME, MOVABLE), Err(exhausted), "nobody keeps any now");
        late.push(one);
        give(&mut second, rest.into_iter().chain(late));
    });
}

#[test]
fn a_handle_keeps_only_so_much_at_hand() {
    on_memory(range(0, 64 * BLOCK), |frames| {
        let mut cpu = frames.cpu();
        let mut live: Vec<_> = Mobility::ALL
            .into_iter()
            .flat_map(|mobility| take(&mut cpu, 5000, Order::FRAME, mobility))
            .collect();
        let mut most = 0;
        while !live.is_empty() {
            // Frames far from each other, so that each waits in a word of its own, and then whole words.
            let at = if live.len() > 4000 { live.len() * 7 / 11 } else { live.len() - 1 };
            cpu.free(live.swap_remove(at)).unwrap();
            most = most.max(cpu.held_frames());
            assert!(cpu.held_frames() <= frames.cached_frames_at_most());
        }
        assert!(most >= 64, "frees are given back together");
        cpu.drain();
        assert_eq!((cpu.held_frames(), frames.cached_frames_at_most()), (0, 0));
    });
}

#[test]
fn a_mark_outlives_its_block_only_when_the_owner_sets_it() {
    on_memory(range(0, 2 * BLOCK), |frames| {
        let mut cpu = frames.cpu();
        let block = HostFrame::new(0);
        let content = || frames.content(block).unwrap();
        let take_block =
            |cpu: &mut godwit_frames::CpuFrames| cpu.allocate_at(range(0, BLOCK), MOVABLE).unwrap();
        assert_eq!(content(), Content::Dirty, "nothing is known at first");

        // The owner zeroes the block, says so, and gives it back.
        let run = take_block(&mut cpu);
        frames.set_content(block, Content::Clean).unwrap();
        give(&mut cpu, [run]);
        assert_eq!(content(), Content::Clean);

        // The next owner sees that it need not zero. It writes, says nothing, and gives it back.
        let run = take_block(&mut cpu);
        assert_eq!(content(), Content::Clean);
        give(&mut cpu, [run]);
        assert_eq!(content(), Content::Dirty, "what was handed out is dirty");

        // A guest leaves its content behind.
        let run = take_block(&mut cpu);
        frames.set_content(HostFrame::new(77), Content::Ghost).unwrap();
        let (first, second) = run.split_at(100).unwrap();
        give(&mut cpu, [first, second]);
        assert_eq!(content(), Content::Ghost, "it stays while nobody takes a frame of it");
        let frame = cpu.allocate_at(range(3, 1), MOVABLE).unwrap();
        assert_eq!(content(), Content::Dirty, "one frame taken out of it spoils it");
        give(&mut cpu, [frame]);
        assert_eq!(frames.content(HostFrame::new(2 * BLOCK)), None);
        assert_eq!(frames.set_content(HostFrame::new(2 * BLOCK), Content::Clean), Err(RangeError::Outside));
    });
}

#[test]
fn a_single_frame_spoils_a_mark_as_well() {
    on_memory(range(0, BLOCK), |frames| {
        let mut cpu = frames.cpu();
        for order in [0, 4] {
            frames.set_content(HostFrame::new(0), Content::Clean).unwrap();
            let run = cpu.allocate(Order::new(order).unwrap(), MOVABLE).unwrap();
            give(&mut cpu, [run]);
            assert_eq!(frames.content(HostFrame::new(0)), Some(Content::Dirty));
        }
    });
}

#[test]
fn the_unusable_free_space_index_says_what_share_is_too_scattered() {
    on_memory(range(0, 4 * BLOCK), |frames| {
        let mut cpu = frames.cpu();
        let index = |order| frames.report().unusable_free_permille(Order::new(order).unwrap());
        assert_eq!((index(0), index(11), index(12)), (0, 0, 1000));
        let pin = cpu.allocate_at(range(0, 256), MOVABLE).unwrap();
        // 1792 free frames: half a block, one block, and two.
        assert_eq!((index(8), index(9), index(10), index(11)), (0, 142, 428, 1000));
        let all = take(&mut cpu, 1792, Order::FRAME, MOVABLE);
        assert_eq!(index(0), 0, "nothing is free, so nothing is unusable");
        give(&mut cpu, all.into_iter().chain([pin]));
    });
}
