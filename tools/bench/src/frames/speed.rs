//! Time per call, side by side: every allocator in turn, round after round, so that a slow moment of the
//! machine meets all of them. What counts is the median of the rounds' ratios.

use std::hint::black_box;
use std::time::Instant;

use godwit_frames::Order;

use super::{POOL_FRAMES, median, with_godwit};
use crate::baselines::{Lifo, Ordered, Published};
use crate::metrics::{Bound, Metrics};
use crate::pool::Pool;
use crate::random::Random;

/// Rounds, each with all allocators.
const ROUNDS: usize = 15;
/// Pairs in a round.
const PAIRS: usize = 200_000;
/// Random exchanges in a round: so many that they are not spent on filling the caches again after the others.
const EXCHANGES: usize = 4 * LIVE;
/// Frames that are live while random ones are freed.
const LIVE: usize = 1_000_000;

const NAMES: [&str; 4] = ["godwit", "lifo", "ordered", "buddy_system_allocator"];

/// Nanoseconds per operation of one round, in the order of [`NAMES`].
type Round = [f64; 4];

pub(super) fn run(metrics: &mut Metrics) {
    with_godwit(|mut godwit| {
        let mut lifo = Lifo::new(POOL_FRAMES);
        let mut ordered = Ordered::new(POOL_FRAMES);
        let mut published = Published::new(POOL_FRAMES);
        let mut pairs = |order| {
            rounds(|| {
                [
                    pair_ns(&mut godwit, order),
                    pair_ns(&mut lifo, order),
                    pair_ns(&mut ordered, order),
                    pair_ns(&mut published, order),
                ]
            })
        };
        let (frame, large) = (pairs(Order::FRAME), pairs(Order::LARGE));
        add(metrics, "frames.order0.pair", &frame, 0.2, "allocate and free one frame, empty pool");
        add(metrics, "frames.order9.pair", &large, 1.0 / 3.0, "allocate and free 2 MiB, empty pool");
        let bulk = rounds(|| {
            [bulk_ns(&mut godwit), bulk_ns(&mut lifo), bulk_ns(&mut ordered), bulk_ns(&mut published)]
        });
        add(metrics, "frames.order0.bulk", &bulk, 1.0, "allocate all frames, free all; per frame");
        let mut live = (
            Live::fill(&mut godwit),
            Live::fill(&mut lifo),
            Live::fill(&mut ordered),
            Live::fill(&mut published),
        );
        let shuffled = rounds(|| {
            [
                live.0.exchange_ns(&mut godwit),
                live.1.exchange_ns(&mut lifo),
                live.2.exchange_ns(&mut ordered),
                live.3.exchange_ns(&mut published),
            ]
        });
        add(metrics, "frames.order0.shuffled", &shuffled, 1.0, "free a random frame of 1 M and allocate one");
    });
}

/// One round to warm up, then those that count.
fn rounds(mut round: impl FnMut() -> Round) -> Vec<Round> {
    round();
    (0..ROUNDS).map(|_| round()).collect()
}

/// Adds the ratio to the LIFO under its bound, and every allocator's time for comparison.
fn add(metrics: &mut Metrics, id: &str, rounds: &[Round], most: f64, what: &str) {
    let ratio = median(rounds.iter().map(|[godwit, lifo, ..]| godwit / lifo).collect());
    metrics.bounded(&format!("{id}_ratio"), ratio, Bound::AtMost(most), &format!("to lifo: {what}"));
    for (index, name) in NAMES.into_iter().enumerate() {
        let ns = median(rounds.iter().map(|round| round[index]).collect());
        metrics.shown(format!("{id}_ns.{name}"), ns, "ns");
    }
}

fn ns_per(operations: usize, since: Instant) -> f64 {
    since.elapsed().as_nanos() as f64 / operations as f64
}

fn pair_ns<P: Pool>(pool: &mut P, order: Order) -> f64 {
    pool.settle();
    let start = Instant::now();
    for _ in 0..PAIRS {
        // Neither the order nor what the last pair left behind is known to the compiler.
        let (pool, order) = (black_box(&mut *pool), black_box(order));
        if let Some(run) = pool.allocate(order) {
            pool.free(run, order);
        }
    }
    ns_per(PAIRS, start)
}

fn bulk_ns<P: Pool>(pool: &mut P) -> f64 {
    let frames = POOL_FRAMES as usize;
    let mut live = Vec::with_capacity(frames);
    pool.settle();
    let start = Instant::now();
    live.extend(std::iter::from_fn(|| pool.allocate(Order::FRAME)));
    assert_eq!(black_box(&live).len(), frames, "the pool cannot be filled");
    live.into_iter().for_each(|run| pool.free(run, Order::FRAME));
    ns_per(frames, start)
}

/// Many live frames in random order.
struct Live<P: Pool> {
    runs: Vec<P::Run>,
    random: Random,
}

impl<P: Pool> Live<P> {
    fn fill(pool: &mut P) -> Self {
        let mut random = Random::new(1);
        let mut runs: Vec<_> = (0..LIVE).map_while(|_| pool.allocate(Order::FRAME)).collect();
        assert_eq!(runs.len(), LIVE, "the pool holds a million frames");
        random.shuffle(&mut runs);
        Self { runs, random }
    }

    fn exchange_ns(&mut self, pool: &mut P) -> f64 {
        let start = Instant::now();
        for _ in 0..EXCHANGES {
            let which = self.random.below(self.runs.len());
            pool.free(self.runs.swap_remove(which), Order::FRAME);
            self.runs.extend(pool.allocate(Order::FRAME));
        }
        ns_per(EXCHANGES, start)
    }
}
