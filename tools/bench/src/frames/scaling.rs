//! What a second CPU adds: throughput of two threads against one, beside that of a loop that shares nothing.

use std::hint::black_box;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use godwit_frames::Order;
use spin::mutex::SpinMutex;

use super::{POOL_FRAMES, median, with_godwit};
use crate::baselines::Lifo;
use crate::metrics::{Bound, Metrics};
use crate::pool::{Godwit, Pool};
use crate::random::Random;

/// Rounds, each with every load on one thread and on two.
const ROUNDS: usize = 45;
/// How long each load runs in a round.
const WINDOW: Duration = Duration::from_millis(10);
/// Frames per burst.
const BURST: usize = 256;
/// Frames that each thread holds while it exchanges random ones.
const LIVE: usize = 100_000;

pub(super) fn run(metrics: &mut Metrics) {
    with_godwit(|pool| {
        let shared = pool.shared;
        let handle = || Godwit { shared, cpu: shared.cpu() };
        let lifo = SpinMutex::new(Lifo::new(POOL_FRAMES));
        let loads: [&(dyn Fn(usize) -> f64 + Sync); 5] = [
            &|threads| throughput(threads, || 0u64, |turns| *turns = black_box(*turns) + 1),
            &|threads| throughput(threads, handle, pairs),
            &|threads| throughput(threads, || (handle(), Vec::with_capacity(BURST)), bursts),
            &|threads| throughput(threads, || held(handle()), exchanges),
            &|threads| throughput(threads, || &lifo, locked_pairs),
        ];
        let round = || loads.map(|load| load(2) / load(1));
        round();
        let rounds: Vec<_> = (0..ROUNDS).map(|_| round()).collect();
        let ratio = |load: usize| median(rounds.iter().map(|round| round[load] / round[0]).collect());
        let what = "pairs on two threads / on one / what an empty loop gains";
        metrics.bounded("frames.smp2.scaling", ratio(1), Bound::AtLeast(0.85), what);
        metrics.shown("frames.smp2.bursts_scaling", ratio(2), "the same: 256 allocations, 256 frees");
        metrics.shown("frames.smp2.shuffled_scaling", ratio(3), "the same: random exchanges among 100,000");
        metrics.shown("frames.smp2.lifo_scaling", ratio(4), "the same: pairs on a lifo behind a spin lock");
        let empty = median(rounds.iter().map(|round| round[0]).collect());
        metrics.shown("frames.smp2.empty_loop", empty, "what an empty loop gains from a second thread");
    });
}

/// Turns per second of all threads together.
fn throughput<S>(threads: usize, prepare: impl Fn() -> S + Sync, turn: impl Fn(&mut S) + Sync) -> f64 {
    let barrier = Barrier::new(threads);
    thread::scope(|scope| {
        let run = || {
            let mut state = prepare();
            barrier.wait();
            let start = Instant::now();
            let mut turns = 0u64;
            while start.elapsed() < WINDOW {
                // Reading the clock takes as long as many turns.
                (0..64).for_each(|_| turn(&mut state));
                turns += 64;
            }
            turns as f64 / start.elapsed().as_secs_f64()
        };
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(run)).collect();
        threads.into_iter().map(|thread| thread.join().expect("the load does not panic")).sum()
    })
}

fn pairs(pool: &mut Godwit<'_, '_>) {
    let pool = black_box(pool);
    if let Some(run) = pool.allocate(Order::FRAME) {
        pool.free(run, Order::FRAME);
    }
}

fn bursts<P: Pool>((pool, runs): &mut (P, Vec<P::Run>)) {
    runs.extend((0..BURST).map_while(|_| pool.allocate(Order::FRAME)));
    runs.drain(..).for_each(|run| pool.free(run, Order::FRAME));
}

/// A handle with live frames in random order.
struct Held<'f, 'm> {
    pool: Godwit<'f, 'm>,
    runs: Vec<<Godwit<'f, 'm> as Pool>::Run>,
    random: Random,
}

fn held<'f, 'm>(mut pool: Godwit<'f, 'm>) -> Held<'f, 'm> {
    let mut random = Random::new(1);
    let mut runs: Vec<_> = (0..LIVE).map_while(|_| pool.allocate(Order::FRAME)).collect();
    random.shuffle(&mut runs);
    Held { pool, runs, random }
}

fn exchanges(held: &mut Held<'_, '_>) {
    let run = held.runs.swap_remove(held.random.below(held.runs.len()));
    held.pool.free(run, Order::FRAME);
    held.runs.extend(held.pool.allocate(Order::FRAME));
}

impl Drop for Held<'_, '_> {
    fn drop(&mut self) {
        self.runs.drain(..).for_each(|run| self.pool.free(run, Order::FRAME));
    }
}

fn locked_pairs(pool: &mut &SpinMutex<Lifo>) {
    let run = pool.lock().allocate(Order::FRAME);
    if let Some(run) = run {
        pool.lock().free(run, Order::FRAME);
    }
}
