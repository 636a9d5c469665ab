//! Lists of runs: best fit, alignment, and how few runs.

use crate::ground::{BLOCK, GIB, give, on_memory, range};
use godwit_frames::{AllocateError, CpuFrames, FrameRun, Frames, Mobility, Order};

const MOVABLE: Mobility = Mobility::Movable;

/// Takes everything but the given ranges (start and length), in order.
fn leave_only(cpu: &mut CpuFrames, whole: u64, free: &[(u64, u64)]) -> Vec<FrameRun> {
    let mut pins = Vec::new();
    let mut at = 0;
    for &(start, frames) in free.iter().chain(&[(whole, 0)]) {
        if start > at {
            pins.push(cpu.allocate_at(range(at, start - at), MOVABLE).unwrap());
        }
        at = start + frames;
    }
    pins
}

/// The runs as (first frame, frames).
fn runs(cpu: &mut CpuFrames, frames: u64, preferred: Order, max_runs: usize) -> Vec<(u64, u64)> {
    let runs = cpu.allocate_runs::<16>(frames, preferred, max_runs, MOVABLE).unwrap();
    let list = runs.iter().map(|run| (run.start().number(), run.frames())).collect();
    give(cpu, runs);
    list
}

#[test]
fn an_empty_host_gives_a_guest_one_aligned_run() {
    on_memory(range(0, 4 * GIB), |frames| {
        let mut cpu = frames.cpu();
        assert_eq!(runs(&mut cpu, 3 * GIB, Order::HUGE, 16), [(GIB, 3 * GIB)]);
        // 3.5 GiB keep their 1 GiB leaves, and what is left over lies at one end.
        assert_eq!(runs(&mut cpu, 7 * GIB / 2, Order::HUGE, 16), [(0, 7 * GIB / 2)]);
        let unmovable = cpu.allocate_runs::<1>(3 * GIB, Order::HUGE, 1, Mobility::Unmovable).unwrap();
        assert_eq!(unmovable[0].range(), range(0, 3 * GIB));
        give(&mut cpu, unmovable);
    });
}

#[test]
fn the_smallest_span_that_holds_all_is_taken() {
    on_memory(range(0, GIB), |frames| {
        let mut cpu = frames.cpu();
        let free =
            [(0, 40 * BLOCK), (60 * BLOCK, 12 * BLOCK), (80 * BLOCK, 11 * BLOCK), (100 * BLOCK, 9 * BLOCK)];
        let pins = leave_only(&mut cpu, GIB, &free);
        // Eleven blocks are no power of two: spans of any length count.
        assert_eq!(runs(&mut cpu, 11 * BLOCK, Order::LARGE, 4), [(80 * BLOCK, 11 * BLOCK)]);
        assert_eq!(runs(&mut cpu, 10 * BLOCK, Order::LARGE, 4), [(81 * BLOCK, 10 * BLOCK)]);
        give(&mut cpu, pins);
    });
}

#[test]
fn where_no_span_holds_all_the_largest_come_first() {
    on_memory(range(0, GIB), |frames| {
        let mut cpu = frames.cpu();
        let free =
            [(0, 10 * BLOCK), (60 * BLOCK, 40 * BLOCK), (200 * BLOCK, 20 * BLOCK), (400 * BLOCK, 5 * BLOCK)];
        let pins = leave_only(&mut cpu, GIB, &free);
        let expected = [(60 * BLOCK, 40 * BLOCK), (200 * BLOCK, 20 * BLOCK), (402 * BLOCK, 3 * BLOCK)];
        assert_eq!(runs(&mut cpu, 63 * BLOCK, Order::LARGE, 3), expected);
        give(&mut cpu, pins);
    });
}

#[test]
fn alignment_gives_way_to_the_limit_of_runs() {
    on_memory(range(0, 4 * GIB), |frames| {
        let mut cpu = frames.cpu();
        // One span of 1.5 GiB that holds no aligned GiB pair, and an aligned GiB elsewhere.
        let free = [(GIB / 2, 3 * GIB / 2), (3 * GIB, GIB / 2)];
        let pins = leave_only(&mut cpu, 4 * GIB, &free);
        let aligned = runs(&mut cpu, 3 * GIB / 2, Order::HUGE, 4);
        assert_eq!(aligned[0], (GIB, GIB), "the leaf of 1 GiB is kept");
        assert_eq!(runs(&mut cpu, 3 * GIB / 2, Order::HUGE, 1), [(GIB / 2, 3 * GIB / 2)]);
        give(&mut cpu, pins);
    });
}

#[test]
fn frames_beyond_whole_blocks_follow_on_or_fill_a_hole() {
    on_memory(range(0, 64 * BLOCK), |frames| {
        let mut cpu = frames.cpu();
        assert_eq!(runs(&mut cpu, 3 * BLOCK + 100, Order::LARGE, 4), [(60 * BLOCK, 3 * BLOCK + 100)]);
        // Three whole blocks, and a hole of 120 frames that is tighter than a fourth block.
        let free = [(10 * BLOCK, 3 * BLOCK), (20 * BLOCK + 7, 120), (30 * BLOCK, 2 * BLOCK)];
        let pins = leave_only(&mut cpu, 64 * BLOCK, &free);
        let expected = [(10 * BLOCK, 3 * BLOCK), (20 * BLOCK + 27, 100)];
        assert_eq!(runs(&mut cpu, 3 * BLOCK + 100, Order::LARGE, 4), expected);
        give(&mut cpu, pins);
    });
}

#[test]
fn a_refusal_takes_nothing_and_says_what_could_be_had() {
    on_memory(range(0, GIB), |frames| {
        let mut cpu = frames.cpu();
        let free = [(0, 8 * BLOCK), (20 * BLOCK, 4 * BLOCK), (40 * BLOCK, 2 * BLOCK)];
        let pins = leave_only(&mut cpu, GIB, &free);
        let before = frames.report();
        let refused = cpu.allocate_runs::<16>(14 * BLOCK, Order::LARGE, 2, MOVABLE);
        let scattered = AllocateError::Scattered {
            wanted_frames: 14 * BLOCK,
            had_frames: 12 * BLOCK,
            had_runs: 2,
            cached_frames_at_most: 0,
        };
        assert_eq!(refused, Err(scattered));
        assert_eq!(
            cpu.allocate_runs::<2>(14 * BLOCK, Order::LARGE, 9, MOVABLE),
            Err(scattered),
            "N counts too"
        );
        assert!(cpu.allocate_runs::<2>(1, Order::FRAME, 0, MOVABLE).is_err());
        assert_eq!(
            cpu.allocate_runs::<2>(u64::MAX, Order::HUGE, 2, MOVABLE).unwrap_err().cached_frames_at_most(),
            0
        );
        assert_eq!(frames.report(), before);
        assert!(cpu.allocate_runs::<0>(0, Order::HUGE, 0, MOVABLE).unwrap().is_empty());
        give(&mut cpu, pins);
    });
}

#[test]
fn a_second_zone_is_used_where_it_fits_better() {
    let spans = [range(0, 10 * BLOCK), range(GIB, 6 * BLOCK)];
    let mut metadata = spans.map(|span| vec![0; Frames::metadata_words(span.frames)]);
    let [first, second] = &mut metadata;
    let mut frames = Frames::new(spans[0], first).unwrap();
    frames.add_zone(spans[1], second).unwrap();
    for span in spans {
        assert_eq!(frames.release(span), Ok(span.frames));
    }
    let mut cpu = frames.cpu();
    assert_eq!(runs(&mut cpu, 5 * BLOCK, Order::LARGE, 1), [(GIB + BLOCK, 5 * BLOCK)]);
    assert_eq!(runs(&mut cpu, 7 * BLOCK, Order::LARGE, 1), [(3 * BLOCK, 7 * BLOCK)]);
    assert_eq!(runs(&mut cpu, 16 * BLOCK, Order::LARGE, 2), [(0, 10 * BLOCK), (GIB, 6 * BLOCK)]);
    drop(cpu);
    assert_eq!(frames.report().used_frames(), 0);
}
