//! The buddy allocator that takes the lowest address: free runs of an order are kept sorted.

use godwit_frames::{HostFrame, Order};

use crate::pool::Pool;

/// A sorted set of numbers: a tree of bits, 64 children per node.
struct SortedSet {
    /// Leaves first; each level has a bit for every word of the level below that is not zero.
    levels: Vec<Vec<u64>>,
}

impl SortedSet {
    /// An empty set of numbers below `bound`.
    fn new(bound: usize) -> Self {
        let mut levels = Vec::new();
        let mut words = bound;
        while words > 1 || levels.is_empty() {
            words = words.div_ceil(64);
            levels.push(vec![0; words]);
        }
        Self { levels }
    }

    fn contains(&self, number: usize) -> bool {
        self.levels[0][number / 64] >> (number % 64) & 1 == 1
    }

    fn insert(&mut self, number: usize) {
        let mut at = number;
        for level in &mut self.levels {
            level[at / 64] |= 1 << (at % 64);
            at /= 64;
        }
    }

    fn remove(&mut self, number: usize) {
        let mut at = number;
        for level in &mut self.levels {
            level[at / 64] &= !(1 << (at % 64));
            if level[at / 64] != 0 {
                break;
            }
            at /= 64;
        }
    }

    fn lowest(&self) -> Option<usize> {
        let mut at = 0;
        for level in self.levels.iter().rev() {
            let word = level[at];
            if word == 0 {
                return None;
            }
            at = at * 64 + word.trailing_zeros() as usize;
        }
        Some(at)
    }

    fn len(&self) -> u64 {
        self.levels[0].iter().map(|word| u64::from(word.count_ones())).sum()
    }
}

/// A buddy allocator over frames `0..frames`.
pub(crate) struct Ordered {
    /// Per order the free runs, by number (frame >> order).
    free: Vec<SortedSet>,
}

impl Ordered {
    /// A pool with all of `frames` free, which is a multiple of 1 GiB.
    pub(crate) fn new(frames: u32) -> Self {
        assert!(u64::from(frames).is_multiple_of(Order::HUGE.frames()));
        let mut free: Vec<_> =
            Order::all().map(|order| SortedSet::new(frames as usize >> order.get())).collect();
        let huge = &mut free[Order::HUGE.index()];
        (0..frames as usize >> Order::HUGE.get()).for_each(|number| huge.insert(number));
        Self { free }
    }
}

impl Pool for Ordered {
    type Run = HostFrame;

    #[inline]
    fn allocate(&mut self, order: Order) -> Option<HostFrame> {
        let order = order.index();
        let (from, number) =
            (order..Order::COUNT).find_map(|from| Some((from, self.free[from].lowest()?)))?;
        self.free[from].remove(number);
        let frame = number << from;
        for half in order..from {
            self.free[half].insert((frame >> half) + 1);
        }
        Some(HostFrame::new(frame as u64))
    }

    #[inline]
    fn free(&mut self, run: HostFrame, order: Order) {
        let mut order = order.index();
        let mut number = run.number() as usize >> order;
        while order < Order::HUGE.index() && self.free[order].contains(number ^ 1) {
            self.free[order].remove(number ^ 1);
            number /= 2;
            order += 1;
        }
        self.free[order].insert(number);
    }

    fn free_2m_runs(&mut self) -> u64 {
        let large = Order::all().skip(Order::LARGE.index());
        large.map(|order| self.free[order.index()].len() << (order.get() - Order::LARGE.get())).sum()
    }
}
