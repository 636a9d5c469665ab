//! The baselines are right: a comparison with a broken allocator would say nothing.

use godwit_frames::{HostFrame, Order};
use proptest::prelude::*;

use super::{Lifo, Ordered, Published};
use crate::pool::Pool;

/// Two GiB.
const FRAMES: u32 = 2 << 18;

/// Where a run begins.
trait Start: Copy {
    fn start(self) -> usize;
}

impl Start for HostFrame {
    fn start(self) -> usize {
        self.number() as usize
    }
}

impl Start for usize {
    fn start(self) -> usize {
        self
    }
}

/// Runs a sequence of allocations (an order) and frees (any of what is live), and checks what every buddy
/// allocator promises: alignment, no overlap, memory whole again at the end, failure only when nothing fits.
fn check<P: Pool<Run: Start>>(pool: &mut P, steps: &[(Option<u8>, prop::sample::Index)]) {
    let mut used = vec![false; FRAMES as usize];
    let mut live: Vec<(P::Run, Order)> = Vec::new();
    for (order, which) in steps {
        let Some(order) = order.and_then(Order::new) else {
            if !live.is_empty() {
                let (run, order) = live.swap_remove(which.index(live.len()));
                used[run.start()..][..order.frames() as usize].fill(false);
                pool.free(run, order);
            }
            continue;
        };
        let frames = order.frames() as usize;
        match pool.allocate(order) {
            Some(run) => {
                assert!(run.start().is_multiple_of(frames));
                assert!(!used[run.start()..][..frames].contains(&true), "runs overlap");
                used[run.start()..][..frames].fill(true);
                live.push((run, order));
            }
            None => assert!(used.chunks(frames).all(|run| run.contains(&true)), "a free run was not found"),
        }
    }
    let large = used.chunks(512).filter(|run| !run.contains(&true)).count() as u64;
    assert_eq!(pool.free_2m_runs(), large);
    live.into_iter().for_each(|(run, order)| pool.free(run, order));
    let whole: Vec<_> = (0..2).filter_map(|_| pool.allocate(Order::HUGE)).map(Start::start).collect();
    assert_eq!(whole.iter().sum::<usize>(), 1 << 18, "memory is not whole again");
    assert!(pool.allocate(Order::FRAME).is_none());
}

fn steps() -> impl Strategy<Value = Vec<(Option<u8>, prop::sample::Index)>> {
    let order = prop_oneof![2 => Just(None), 3 => (0u8..=18).prop_map(Some)];
    prop::collection::vec((order, any::<prop::sample::Index>()), 1..120)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    #[test]
    fn every_baseline_is_a_buddy_allocator(steps in steps()) {
        check(&mut Lifo::new(FRAMES), &steps);
        check(&mut Ordered::new(FRAMES), &steps);
        check(&mut Published::new(FRAMES), &steps);
    }
}

#[test]
fn the_lifo_takes_what_was_freed_last_and_the_ordered_one_what_lies_lowest() {
    fn again(pool: &mut impl Pool<Run = HostFrame>) -> u64 {
        let runs: Vec<_> = (0..8).filter_map(|_| pool.allocate(Order::FRAME)).collect();
        // Not buddies of each other or of anything free, so that they are not merged.
        pool.free(runs[1], Order::FRAME);
        pool.free(runs[5], Order::FRAME);
        pool.allocate(Order::FRAME).unwrap().number()
    }
    assert_eq!(again(&mut Lifo::new(FRAMES)), 5);
    assert_eq!(again(&mut Ordered::new(FRAMES)), 1);
}
