//! Fragmentation under churn: how many 2 MiB runs are free after random frees and allocations.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;

use godwit_frames::Order;

use super::{POOL_FRAMES, with_godwit};
use crate::baselines::{Lifo, Ordered, Published};
use crate::metrics::{Bound, Metrics};
use crate::pool::Pool;
use crate::random::Random;

/// Seeds for Godwit; the worst counts.
const SEEDS: u64 = 20;
/// Seeds for each baseline, which are slow and all alike: 0 or nearly 0.
const BASELINE_SEEDS: u64 = 2;
/// The rounds after which free runs are counted.
const ROUNDS: [usize; 2] = [100, 200];

pub(super) fn run(only_counts: bool, metrics: &mut Metrics) {
    let [at_100, at_200] = worst(SEEDS, |seed| with_godwit(|mut pool| churn(&mut pool, seed)));
    let what = "free 2 MiB runs of 1024, worst of 20 seeds";
    metrics.bounded("frames.churn.free_2m_at_100", at_100, Bound::AtLeast(950.0), what);
    metrics.bounded("frames.churn.free_2m_at_200", at_200, Bound::AtLeast(1020.0), what);
    if only_counts {
        return;
    }
    let lifo = worst(BASELINE_SEEDS, |seed| churn(&mut Lifo::new(POOL_FRAMES), seed));
    let ordered = worst(BASELINE_SEEDS, |seed| churn(&mut Ordered::new(POOL_FRAMES), seed));
    let published = worst(BASELINE_SEEDS, |seed| churn(&mut Published::new(POOL_FRAMES), seed));
    let baselines = [("lifo", lifo), ("ordered", ordered), ("buddy_system_allocator", published)];
    for (name, [at_100, at_200]) in baselines {
        metrics.shown(format!("frames.churn.{name}.free_2m_at_100"), at_100, "the same, worst of 2 seeds");
        metrics.shown(format!("frames.churn.{name}.free_2m_at_200"), at_200, "the same, worst of 2 seeds");
    }
}

/// The worst of all seeds, taken on all CPUs at once: counts do not mind.
fn worst(seeds: u64, churn: impl Fn(u64) -> [u64; 2] + Sync) -> [f64; 2] {
    let next = AtomicU64::new(0);
    let worst = [const { AtomicU64::new(u64::MAX) }; 2];
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Relaxed);
                    if seed >= seeds {
                        break;
                    }
                    for (worst, count) in worst.iter().zip(churn(seed)) {
                        worst.fetch_min(count, Relaxed);
                    }
                }
            });
        }
    });
    worst.map(|count| count.into_inner() as f64)
}

/// Fills the pool with single frames, frees a random half, then in every round frees a random tenth of what
/// is allocated and allocates as many again.
fn churn<P: Pool>(pool: &mut P, seed: u64) -> [u64; 2] {
    let mut random = Random::new(seed);
    let mut live: Vec<_> = std::iter::from_fn(|| pool.allocate(Order::FRAME)).collect();
    assert_eq!(live.len(), POOL_FRAMES as usize, "the pool cannot be filled");
    random.shuffle(&mut live);
    live.drain(POOL_FRAMES as usize / 2..).for_each(|run| pool.free(run, Order::FRAME));
    let mut counts = [0; 2];
    for round in 1..=200 {
        let tenth = live.len() / 10;
        for _ in 0..tenth {
            pool.free(live.swap_remove(random.below(live.len())), Order::FRAME);
        }
        live.extend((0..tenth).map_while(|_| pool.allocate(Order::FRAME)));
        assert_eq!(live.len(), POOL_FRAMES as usize / 2, "a frame that was freed cannot be allocated");
        for (count, at) in counts.iter_mut().zip(ROUNDS) {
            if round == at {
                *count = pool.free_2m_runs();
            }
        }
    }
    counts
}
