//! Where runs are put, and what that does to memory in the long run.

use std::collections::HashSet;

use crate::ground::{BLOCK, GIB, give, on_memory, range, take};
use godwit_frames::{FrameRun, Frames, Mobility, Order};

const MOVABLE: Mobility = Mobility::Movable;
const UNMOVABLE: Mobility = Mobility::Unmovable;

/// The numbers of the blocks that some runs touch.
fn blocks_of<'r>(runs: impl IntoIterator<Item = &'r FrameRun>) -> HashSet<u64> {
    let numbers = |run: &FrameRun| {
        let start = run.start().number();
        start / BLOCK..(start + run.frames()).div_ceil(BLOCK)
    };
    runs.into_iter().flat_map(numbers).collect()
}

fn order(order: u8) -> Order {
    Order::new(order).unwrap()
}

/// A small generator (xorshift): tests are the same every time.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound as u64) as usize
    }
}

#[test]
fn the_classes_grow_from_opposite_ends() {
    on_memory(range(0, 100 * BLOCK), |frames| {
        let mut cpu = frames.cpu();
        let movable = take(&mut cpu, 700, Order::FRAME, MOVABLE);
        let unmovable = take(&mut cpu, 700, Order::FRAME, UNMOVABLE);
        assert_eq!(blocks_of(&movable), [99, 98].into());
        assert_eq!(blocks_of(&unmovable), [0, 1].into());
        assert!(movable.iter().all(|run| run.mobility() == MOVABLE));
        let large = [take(&mut cpu, 1, Order::LARGE, MOVABLE), take(&mut cpu, 1, Order::LARGE, UNMOVABLE)];
        assert_eq!(blocks_of(large.iter().flatten()), [97, 2].into());
        give(&mut cpu, movable.into_iter().chain(unmovable).chain(large.into_iter().flatten()));
    });
}

#[test]
fn the_fullest_block_is_filled_first() {
    on_memory(range(0, 8 * BLOCK), |frames| {
        let mut cpu = frames.cpu();
        let runs = take(&mut cpu, 3 * BLOCK as usize, Order::FRAME, MOVABLE);
        // Of blocks 7, 6 and 5 free 40, 10 and 20 frames.
        let freed = |run: &FrameRun| {
            let (block, frame) = (run.start().number() / BLOCK, run.start().number() % BLOCK);
            frame < [20, 10, 40][block as usize - 5]
        };
        let (holes, mut kept): (Vec<_>, Vec<_>) = runs.into_iter().partition(freed);
        give(&mut cpu, holes);
        for (count, block) in [(10, 6), (20, 5), (40, 7), (1, 4)] {
            let runs = take(&mut cpu, count, Order::FRAME, MOVABLE);
            assert_eq!(blocks_of(&runs), [block].into());
            kept.extend(runs);
        }
        give(&mut cpu, kept);
    });
}

#[test]
fn a_class_opens_no_block_while_one_of_its_own_fits() {
    on_memory(range(0, 64 * BLOCK), |frames| {
        let mut cpu = frames.cpu();
        // Forty blocks with holes of one frame, where a run of eight fits nowhere, and one with room for it.
        let runs = take(&mut cpu, 40 * BLOCK as usize, Order::FRAME, MOVABLE);
        let (holes, mut kept): (Vec<_>, Vec<_>) =
            runs.into_iter().partition(|run| run.start().number().is_multiple_of(16));
        give(&mut cpu, holes);
        let before = frames.report().free_2m_runs();
        kept.extend(take(&mut cpu, 64, order(3), MOVABLE));
        assert_eq!(frames.report().free_2m_runs(), before - 1, "64 runs of 8 frames are one block");
        kept.extend(take(&mut cpu, 1, order(3), MOVABLE));
        assert_eq!(frames.report().free_2m_runs(), before - 2, "the 65th opens the next");
        give(&mut cpu, kept);
    });
}

#[test]
fn classes_share_a_block_only_when_nothing_else_is_free() {
    on_memory(range(0, 4 * BLOCK), |frames| {
        let mut cpu = frames.cpu();
        let mut kept = take(&mut cpu, 1, Order::FRAME, UNMOVABLE);
        kept.extend(take(&mut cpu, 3, Order::LARGE, UNMOVABLE));
        let movable = cpu.allocate(Order::FRAME, MOVABLE).unwrap();
        assert_eq!(blocks_of([&movable]), [0].into(), "better beside unmovable ones than not at all");
        cpu.free(kept.pop().unwrap()).unwrap();
        cpu.drain();
        let next = take(&mut cpu, 2, order(4), MOVABLE);
        assert_eq!(blocks_of(&next).len(), 1);
        assert!(!blocks_of(&next).contains(&0), "there is a vacant block again");
        kept.extend(next);
        kept.push(movable);
        give(&mut cpu, kept);
    });
}

#[test]
fn a_block_with_an_unmovable_frame_counts_as_unmovable() {
    on_memory(range(0, BLOCK), |frames| {
        let mut cpu = frames.cpu();
        let movable = take(&mut cpu, 1, Order::FRAME, MOVABLE);
        cpu.drain();
        assert_eq!(frames.blocks().next().unwrap().mobility, MOVABLE);
        let unmovable = take(&mut cpu, 1, Order::FRAME, UNMOVABLE);
        assert_eq!(frames.blocks().next().unwrap().mobility, UNMOVABLE);
        give(&mut cpu, movable.into_iter().chain(unmovable));
    });
}

#[test]
fn a_block_that_is_cut_by_reserved_frames_is_for_what_cannot_be_moved() {
    on_memory(range(0, 3 * BLOCK), |frames| {
        let mut cpu = frames.cpu();
        // Whatever used the block before: with a hole in it, it can never serve a large run.
        let runs = take(&mut cpu, 3, Order::LARGE, MOVABLE);
        give(&mut cpu, runs);
        assert_eq!(frames.reserve(range(2 * BLOCK + 7, 1)), Ok(1));
        let (movable, unmovable) =
            (take(&mut cpu, 1, Order::FRAME, MOVABLE), take(&mut cpu, 1, Order::FRAME, UNMOVABLE));
        assert_eq!((blocks_of(&movable), blocks_of(&unmovable)), ([1].into(), [2].into()));
        give(&mut cpu, movable.into_iter().chain(unmovable));
    });
}

#[test]
fn a_block_of_which_all_frames_came_back_serves_large_runs_whoever_owns_it() {
    on_memory(range(0, BLOCK), |frames| {
        let (mut owner, mut other) = (frames.cpu(), frames.cpu());
        // The owner uses up a claimed word to the last frame, and another CPU frees all of it.
        let word = take(&mut owner, 64, Order::FRAME, MOVABLE);
        assert_eq!(owner.held_frames(), 0);
        give(&mut other, word);
        assert_eq!(frames.report().free_2m_runs(), 1);
        let whole = other.allocate(Order::LARGE, MOVABLE).unwrap();
        assert!(owner.allocate(Order::FRAME, MOVABLE).is_err(), "what it owned is somebody else's now");
        give(&mut other, [whole]);
        let again = owner.allocate(Order::FRAME, MOVABLE).unwrap();
        give(&mut owner, [again]);
    });
}

#[test]
fn frames_of_a_block_that_another_cpu_owns_are_not_out_of_reach() {
    on_memory(range(0, BLOCK), |frames| {
        let (mut owner, mut other) = (frames.cpu(), frames.cpu());
        for (theirs, mine) in [(MOVABLE, MOVABLE), (MOVABLE, UNMOVABLE), (UNMOVABLE, MOVABLE)] {
            let first = take(&mut owner, 1, Order::FRAME, theirs);
            let rest = take(&mut other, BLOCK as usize - 64, Order::FRAME, mine);
            assert!(other.allocate(Order::FRAME, mine).is_err(), "the others are in the owner's hand");
            give(&mut owner, first);
            give(&mut other, rest);
        }
    });
}

#[test]
fn large_runs_come_out_of_the_smallest_buddy_that_fits() {
    on_memory(range(0, 2 * GIB), |frames| {
        let mut cpu = frames.cpu();
        // A hole of 8 MiB at 1 GiB + 512 MiB, and one of 4 MiB right at the top.
        let pins = [(GIB, GIB / 2), (3 * GIB / 2 + 4 * BLOCK, GIB / 2 - 6 * BLOCK)];
        let pins = pins.map(|(start, frames)| cpu.allocate_at(range(start, frames), MOVABLE).unwrap());
        let two = cpu.allocate(order(10), MOVABLE).unwrap();
        assert_eq!(two.start().number(), 2 * GIB - 2 * BLOCK);
        let four = cpu.allocate(order(11), MOVABLE).unwrap();
        assert_eq!(four.start().number(), 3 * GIB / 2);
        assert_eq!(frames.report().free_runs_of(Order::HUGE), 1);
        // What cannot be moved lies low, though it splits the whole GiB there.
        let low = cpu.allocate(Order::LARGE, UNMOVABLE).unwrap();
        assert_eq!(low.start().number(), 0);
        give(&mut cpu, pins.into_iter().chain([two, four, low]));
    });
}

#[test]
fn a_run_inside_a_block_is_found_however_it_is_hidden() {
    on_memory(range(0, 16 * BLOCK), |frames| {
        let mut cpu = frames.cpu();
        let runs = take(&mut cpu, 16 * BLOCK as usize, Order::FRAME, MOVABLE);
        // Every second frame everywhere, and one aligned run of 32 in a block in the middle.
        let hidden = 9 * BLOCK + 96..9 * BLOCK + 128;
        let freed =
            |run: &FrameRun| run.start().number().is_multiple_of(2) || hidden.contains(&run.start().number());
        let (holes, kept): (Vec<_>, Vec<_>) = runs.into_iter().partition(freed);
        give(&mut cpu, holes);
        assert!(cpu.allocate(order(6), UNMOVABLE).is_err());
        let run = cpu.allocate(order(5), UNMOVABLE).unwrap();
        assert_eq!(run.start().number(), 9 * BLOCK + 96);
        give(&mut cpu, kept.into_iter().chain([run]));
    });
}

/// Fills memory with single frames and frees half of them at random.
fn half_of(cpu: &mut godwit_frames::CpuFrames, frames: &Frames<'_>, random: &mut Random) -> Vec<FrameRun> {
    let count = frames.report().free_frames as usize;
    let mut live = take(cpu, count, Order::FRAME, MOVABLE);
    for _ in 0..count / 2 {
        cpu.free(live.swap_remove(random.below(live.len()))).unwrap();
    }
    cpu.drain();
    live
}

#[test]
fn memory_heals_under_churn() {
    on_memory(range(0, 64 * BLOCK), |frames| {
        let (mut cpu, mut random) = (frames.cpu(), Random(7));
        let mut live = half_of(&mut cpu, frames, &mut random);
        assert_eq!(frames.report().free_2m_runs(), 0);
        for _ in 0..200 {
            let tenth = live.len() / 10;
            for _ in 0..tenth {
                cpu.free(live.swap_remove(random.below(live.len()))).unwrap();
            }
            live.extend(take(&mut cpu, tenth, Order::FRAME, MOVABLE));
        }
        cpu.drain();
        let free = frames.report().free_2m_runs();
        assert!(free >= 30, "{free} of at most 32 blocks are free again");
        give(&mut cpu, live);
    });
}

#[test]
fn memory_heals_even_where_an_allocation_follows_each_free() {
    on_memory(range(0, 8 * BLOCK), |frames| {
        let (mut cpu, mut random) = (frames.cpu(), Random(7));
        let mut live = half_of(&mut cpu, frames, &mut random);
        for _ in 0..live.len() * 32 * 50 {
            cpu.free(live.swap_remove(random.below(live.len()))).unwrap();
            live.extend(cpu.allocate(Order::FRAME, MOVABLE));
        }
        cpu.drain();
        let free = frames.report().free_2m_runs();
        assert!(free >= 3, "{free} of at most 4 blocks are free again");
        give(&mut cpu, live);
    });
}
