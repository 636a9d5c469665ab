//! Any sequence of operations, beside the naive model, seen by the independent walker.

use std::ops::Range;

use godwit_frames::{HostFrame, Order};
use godwit_nested::{
    Change, Ept, GUEST_FRAMES, MapError, Mark, MergeError, Npt, OrderHistogram, OutOfTables, Rights,
    SplitError,
};
use proptest::prelude::*;
use proptest::sample::Index;

use crate::fixture::{Fixture, HUGE, LARGE, touches};
use crate::model::{Model, State};
use crate::walker::{RawLeaf, Walked};

/// A guest frame.
#[derive(Clone, Debug)]
enum At {
    Frame(u64),
    /// So many frames behind the start of a leaf that is there: of this order where one is, as small ones are so many.
    Leaf(Order, Index, u64),
}

impl At {
    fn resolve(&self, leaves: &[RawLeaf]) -> u64 {
        let (order, leaf, frames) = match self {
            Self::Frame(frame) => return *frame,
            Self::Leaf(_, _, frames) if leaves.is_empty() => return *frames,
            Self::Leaf(order, leaf, frames) => (order, leaf, frames),
        };
        let of_order: Vec<_> = leaves.iter().filter(|leaf| leaf.order == order.get()).collect();
        let chosen = if of_order.is_empty() { leaf.get(leaves) } else { leaf.get(&of_order) };
        chosen.guest_frame + frames
    }
}

#[derive(Clone, Debug)]
enum Step {
    Map { at: u64, frames: u64, host: u64, rights: Rights },
    Unmap(Range<u64>),
    Protect(Range<u64>, Rights),
    Split(At, Order),
    Merge(At, Order),
    MergeRange(Range<u64>),
    Harvest(Range<u64>, Mark),
    Touch { at: At, write: bool },
}

/// Frames that an operation spans, or that lie before it, made of few values so that operations meet often.
///
/// Boxed, as the strategies made of it are: by value their trees would not fit the stack of a test.
fn distance() -> BoxedStrategy<u64> {
    let huge = prop_oneof![4 => Just(0u64), 2 => Just(1), 1 => Just(2)];
    let large = prop_oneof![3 => Just(0u64), 3 => 1u64..4, 1 => Just(511)];
    let frames = prop_oneof![12 => Just(0u64), 2 => 1u64..8, 1 => Just(511), 1 => 0u64..LARGE];
    (huge, large, frames).prop_map(|(huge, large, frames)| huge * HUGE + large * LARGE + frames).boxed()
}

/// Low memory, the boundary between two entries of the root, and the end of what can be mapped.
fn place() -> BoxedStrategy<u64> {
    let region = prop_oneof![4 => Just(0), 1 => Just(511 * HUGE), 1 => Just(GUEST_FRAMES - 2 * HUGE)];
    (region, distance()).prop_map(|(region, offset)| region + offset).boxed()
}

fn at() -> BoxedStrategy<At> {
    let near =
        (order(), any::<Index>(), 0..3u64).prop_map(|(order, leaf, frames)| At::Leaf(order, leaf, frames));
    prop_oneof![1 => place().prop_map(At::Frame), 3 => near].boxed()
}

fn range() -> BoxedStrategy<Range<u64>> {
    (place(), distance()).prop_map(|(start, frames)| start..start + frames).boxed()
}

/// Often everything, as it is when a migration begins or is cancelled.
fn wide() -> BoxedStrategy<Range<u64>> {
    prop_oneof![2 => range(), 1 => Just(0..GUEST_FRAMES)].boxed()
}

fn rights() -> impl Strategy<Value = Rights> {
    prop_oneof![6 => Just(Rights::all()), 2 => Just(Rights::EXECUTE), 1 => (0u8..4).prop_map(Rights::from_bits_truncate)]
}

fn order() -> impl Strategy<Value = Order> {
    prop_oneof![2 => Just(Order::FRAME), 4 => Just(Order::LARGE), 4 => Just(Order::HUGE)]
}

fn step() -> impl Strategy<Value = Step> {
    // Host frames lie as the guest's do, or as the 2 MiB blocks do, or anyhow.
    let host = prop_oneof![6 => Just(0u64), 2 => (0..4u64).prop_map(|block| block * LARGE), 1 => 0..LARGE];
    let smaller = prop_oneof![4 => Just(Order::FRAME), 4 => Just(Order::LARGE), 1 => Just(Order::HUGE)];
    let mark = prop_oneof![Just(Mark::Accessed), Just(Mark::Dirty)];
    prop_oneof![
        8 => (range(), host, rights()).prop_map(|(range, host, rights)| Step::Map {
            at: range.start, frames: range.end - range.start, host: 7 * HUGE + range.start % (2 * HUGE) + host, rights
        }),
        3 => range().prop_map(Step::Unmap),
        5 => (wide(), rights()).prop_map(|(range, rights)| Step::Protect(range, rights)),
        6 => (at(), smaller).prop_map(|(at, order)| Step::Split(at, order)),
        9 => (at(), order()).prop_map(|(at, order)| Step::Merge(at, order)),
        3 => wide().prop_map(Step::MergeRange),
        3 => (wide(), mark).prop_map(|(range, mark)| Step::Harvest(range, mark)),
        8 => (at(), any::<bool>()).prop_map(|(at, write)| Step::Touch { at, write }),
    ]
}

struct Pair<F> {
    fixture: Fixture<F>,
    model: Model,
}

impl<F: Walked> Pair<F> {
    /// Carries out an operation that may need tables with only `left` to be had. Where they do not suffice nothing
    /// changes, and with more it works.
    fn with_tables_left<T>(
        &mut self,
        left: usize,
        act: impl Fn(&mut Fixture<F>) -> Result<T, OutOfTables>,
    ) -> T {
        let before = self.fixture.memory.tables().clone();
        let allocated = self.fixture.memory.allocated;
        self.fixture.memory.left = left;
        let first = act(&mut self.fixture);
        self.fixture.memory.left = usize::MAX;
        first.unwrap_or_else(|OutOfTables| {
            assert_eq!(*self.fixture.memory.tables(), before);
            let refused = self.fixture.memory.allocated - allocated;
            assert_eq!(refused, left, "it failed for want of one more");
            let result = act(&mut self.fixture).expect("there are tables now");
            assert!(
                self.fixture.memory.allocated - allocated - refused > left,
                "it needed no more than there were"
            );
            result
        })
    }

    fn apply(&mut self, step: Step, left: usize) {
        let largest = self.fixture.tables.largest();
        let leaves = self.fixture.leaves();
        match step {
            Step::Map { at, frames, host, rights } => {
                // Hundreds of thousands of small leaves would only cost time.
                let small = largest == Order::FRAME || !(at ^ host).is_multiple_of(LARGE);
                self.map(at, host, if small { frames.min(1500) } else { frames }, rights, left);
            }
            Step::Unmap(range) => {
                let frames = self.model.mapped(&range);
                let change = self.with_tables_left(left, |fixture| {
                    fixture.tables.unmap(&mut fixture.memory, range.clone())
                });
                assert_eq!(change, Change { frames, flush: frames != 0 });
                self.model.edit(&range, |_| None);
                self.check_untouched(&leaves, &range, |_| true);
            }
            Step::Protect(range, rights) => self.protect(range, rights, left),
            Step::Split(at, to) => self.split(at.resolve(&leaves), to, left),
            Step::Merge(at, to) => self.merge(at.resolve(&leaves), to),
            Step::MergeRange(range) => self.merge_range(&range),
            Step::Harvest(range, mark) => self.harvest(&range, mark),
            Step::Touch { at, write } => {
                let frame = at.resolve(&leaves);
                let state =
                    self.model.get(frame).filter(|state| !write || state.rights.contains(Rights::WRITE));
                assert_eq!(self.fixture.touch(frame, write), state.map(|state| state.host(frame)));
                if state.is_some() {
                    let leaf = leaves.iter().find(|leaf| touches(leaf, &(frame..frame + 1))).unwrap();
                    self.model.edit(&(leaf.guest_frame..leaf.end()), |state| {
                        Some(State { accessed: true, dirty: state.dirty || write, ..state })
                    });
                }
            }
        }
        self.check();
    }

    fn map(&mut self, at: u64, host: u64, frames: u64, rights: Rights, left: usize) {
        let range = at..at + frames;
        let expected = if range.end > GUEST_FRAMES {
            Err(MapError::BeyondGuest { guest_frame: at, frames })
        } else {
            match self.model.within(&range).first() {
                Some((piece, _)) => Err(MapError::AlreadyMapped { guest_frame: piece.start }),
                None => Ok(()),
            }
        };
        let result = self.with_tables_left(left, |fixture| match fixture.map(at, host, frames, rights) {
            Err(MapError::OutOfTables(error)) => Err(error),
            other => Ok(other),
        });
        assert_eq!(result, expected);
        if result.is_ok() {
            let offset = host.wrapping_sub(at);
            self.model.insert(range.clone(), State { offset, rights, accessed: false, dirty: false });
            let largest = self.fixture.tables.largest();
            for leaf in self.fixture.leaves().iter().filter(|leaf| touches(leaf, &range)) {
                assert!(is_largest(leaf, &range, largest), "{leaf:?} in {range:?} could be larger");
            }
        }
    }

    fn protect(&mut self, range: Range<u64>, rights: Rights, left: usize) {
        let leaves = self.fixture.leaves();
        let others: Vec<_> =
            self.model.within(&range).into_iter().filter(|(_, state)| state.rights != rights).collect();
        let frames = others.iter().map(|(piece, _)| piece.end - piece.start).sum();
        let flush = others.iter().any(|(_, state)| !(state.rights - rights).is_empty());
        let change = self.with_tables_left(left, |fixture| {
            fixture.tables.protect(&mut fixture.memory, range.clone(), rights)
        });
        assert_eq!(change, Change { frames, flush });
        let model = self.model.clone();
        self.check_untouched(&leaves, &range, |leaf| {
            model.get(leaf.guest_frame).is_some_and(|state| state.rights != rights)
        });
        self.model.edit(&range, |state| Some(State { rights, ..state }));
    }

    fn split(&mut self, frame: u64, to: Order, left: usize) {
        let before = self.fixture.leaves().into_iter().find(|leaf| touches(leaf, &(frame..frame + 1)));
        let [small, large, huge] = self.fixture.counts();
        let result = self.with_tables_left(left, |fixture| {
            match fixture.tables.split(&mut fixture.memory, frame, to) {
                Err(SplitError::OutOfTables(error)) => Err(error),
                other => Ok(other),
            }
        });
        let Some(before) = before else {
            assert_eq!(result, Err(SplitError::NotMapped { guest_frame: frame }));
            return;
        };
        let split = before.order > to.get();
        let frames = if split { 1 << before.order } else { 0 };
        assert_eq!(result, Ok(Change { frames, flush: split }));
        assert_eq!(self.fixture.leaf(frame).unwrap().order, before.order.min(to.get()));
        let expected = match (before.order, to.get()) {
            (18, 9) => [small, large + 512, huge - 1],
            (18, 0) => [small + 512, large + 511, huge - 1],
            (9, 0) => [small + 512, large - 1, huge],
            _ => [small, large, huge],
        };
        assert_eq!(self.fixture.counts(), expected);
    }

    fn merge(&mut self, frame: u64, to: Order) {
        let span = aligned(frame, to);
        let before = self.fixture.memory.tables().clone();
        let leaf = self.fixture.leaves().into_iter().find(|leaf| touches(leaf, &(frame..frame + 1)));
        let result = self.fixture.tables.merge(&mut self.fixture.memory, frame, to);
        if to > self.fixture.tables.largest() {
            assert_eq!(result, Err(MergeError::NoSuchLeaf { order: to }));
        } else if leaf.is_some_and(|leaf| leaf.order >= to.get()) {
            assert_eq!(result, Ok(Change::default()));
        } else if self.model.is_uniform(&span) {
            assert_eq!(result, Ok(Change { frames: to.frames(), flush: true }));
            self.model.join_marks(&span);
            assert_eq!(self.fixture.leaf(frame).unwrap().order, to.get());
            return;
        } else {
            assert!(matches!(
                result,
                Err(MergeError::Incomplete { .. }
                    | MergeError::Misaligned { .. }
                    | MergeError::Scattered { .. }
                    | MergeError::MixedRights { .. })
            ));
        }
        assert_eq!(*self.fixture.memory.tables(), before);
    }

    fn merge_range(&mut self, range: &Range<u64>) {
        let leaves = self.fixture.leaves();
        let mut merged: Vec<Range<u64>> = Vec::new();
        for order in
            [Order::HUGE, Order::LARGE].into_iter().filter(|order| *order <= self.fixture.tables.largest())
        {
            // Only spans that begin with a smaller leaf can change.
            for leaf in leaves.iter().filter(|leaf| leaf.order < order.get()) {
                let span = aligned(leaf.guest_frame, order);
                let inside = range.start <= span.start && span.end <= range.end;
                let done = merged.iter().any(|done| done.contains(&span.start));
                if inside && !done && leaf.guest_frame == span.start && self.model.is_uniform(&span) {
                    self.model.join_marks(&span);
                    merged.push(span);
                }
            }
        }
        let frames = merged.iter().map(|span| span.end - span.start).sum();
        let change = self.fixture.tables.merge_range(&mut self.fixture.memory, range.clone());
        assert_eq!(change, Change { frames, flush: frames != 0 });
        let after = self.fixture.leaves();
        for span in merged {
            assert!(after.iter().any(|leaf| (leaf.guest_frame, leaf.end()) == (span.start, span.end)));
        }
    }

    fn harvest(&mut self, range: &Range<u64>, mark: Mark) {
        let marked: Vec<_> = self
            .fixture
            .leaves()
            .into_iter()
            .filter(|leaf| touches(leaf, range) && !range.is_empty())
            .filter(|leaf| if mark == Mark::Dirty { leaf.dirty } else { leaf.accessed })
            .collect();
        let mut found = Vec::new();
        let change =
            self.fixture.tables.harvest(&mut self.fixture.memory, range.clone(), mark, |frame, order| {
                found.push((frame, order.get()));
            });
        assert_eq!(found, marked.iter().map(|leaf| (leaf.guest_frame, leaf.order)).collect::<Vec<_>>());
        let frames = marked.iter().map(|leaf| 1 << leaf.order).sum();
        assert_eq!(change, Change { frames, flush: frames != 0 });
        for leaf in marked {
            self.model.edit(&(leaf.guest_frame..leaf.end()), |state| {
                Some(match mark {
                    Mark::Dirty => State { dirty: false, ..state },
                    Mark::Accessed => State { accessed: false, ..state },
                })
            });
        }
    }

    /// Of the leaves before, those that a range cuts and that `splits` picks are the only ones that were split.
    fn check_untouched(&self, before: &[RawLeaf], range: &Range<u64>, splits: impl Fn(&RawLeaf) -> bool) {
        let after: std::collections::BTreeSet<_> = self.fixture.layout().into_iter().collect();
        let cuts = |leaf: &RawLeaf, at| leaf.guest_frame < at && at < leaf.end();
        for leaf in before {
            let cut = !range.is_empty() && (cuts(leaf, range.start) || cuts(leaf, range.end)) && splits(leaf);
            let kept = after.contains(&(leaf.guest_frame, leaf.host, leaf.order));
            let gone = self.model.get(leaf.guest_frame).is_none();
            assert!(kept || cut || gone, "{leaf:?} was split by {range:?}");
        }
    }

    /// The walker sees what the model says, and every query answers what the walker sees.
    fn check(&self) {
        let leaves = self.fixture.leaves();
        assert_eq!(Model::of_leaves(&leaves).pieces(), self.model.pieces());
        self.fixture.check_counts();

        let Fixture { memory, tables } = &self.fixture;
        let all: Vec<_> = tables.leaves(memory, 0..u64::MAX).map(|leaf| raw(&leaf)).collect();
        assert_eq!(all, leaves);
        assert_eq!(tables.histogram_of(memory, 0..u64::MAX), tables.histogram());
        let half = LARGE + 3..HUGE + LARGE + 3;
        let histogram: OrderHistogram = tables.histogram_of(memory, half.clone());
        assert_eq!(histogram.bytes(), self.model.mapped(&half) * 4096);
        let touching = leaves.iter().filter(|leaf| touches(leaf, &half)).count() as u64;
        assert_eq!(histogram.by_order().iter().map(|(_, tally)| tally.leaves).sum::<u64>(), touching);

        for frame in
            [0, 1, LARGE, LARGE + 3, HUGE - 1, HUGE, 511 * HUGE, 512 * HUGE - 1, 512 * HUGE, GUEST_FRAMES - 1]
        {
            let host = tables.lookup(memory, frame).and_then(|leaf| leaf.translate(frame));
            assert_eq!(host.map(HostFrame::number), self.model.get(frame).map(|state| state.host(frame)));
        }
    }
}

/// The naturally aligned range of an order around a frame.
fn aligned(frame: u64, order: Order) -> Range<u64> {
    let start = frame / order.frames() * order.frames();
    start..start + order.frames()
}

/// Whether no larger leaf could stand where one in a mapped range does.
fn is_largest(leaf: &RawLeaf, range: &Range<u64>, largest: Order) -> bool {
    [Order::LARGE, Order::HUGE].into_iter().filter(|order| order.get() > leaf.order && *order <= largest).all(
        |order| {
            let span = aligned(leaf.guest_frame, order);
            let same_offset = leaf.host.abs_diff(leaf.guest_frame).is_multiple_of(order.frames());
            span.start < range.start || range.end < span.end || !same_offset
        },
    )
}

fn raw(leaf: &godwit_nested::Leaf) -> RawLeaf {
    RawLeaf {
        guest_frame: leaf.guest_frame,
        host: leaf.host.number(),
        order: leaf.order.get(),
        write: leaf.rights.contains(Rights::WRITE),
        execute: leaf.rights.contains(Rights::EXECUTE),
        accessed: leaf.accessed,
        dirty: leaf.dirty,
    }
}

fn run<F: Walked>(largest: Order, steps: Vec<(Step, usize)>) {
    let mut pair = Pair { fixture: Fixture::<F>::new(largest), model: Model::default() };
    // A guest has some RAM in one piece to begin with.
    let frames = if largest == Order::FRAME { LARGE + 3 } else { HUGE + 2 * LARGE + 3 };
    pair.apply(Step::Map { at: 0, frames, host: 5 * HUGE, rights: Rights::all() }, usize::MAX);
    for (step, left) in steps {
        pair.apply(step, left);
    }
    pair.fixture.destroy();
}

fn steps() -> impl Strategy<Value = Vec<(Step, usize)>> {
    // Often there is no table left, or just too few.
    prop::collection::vec((step(), prop_oneof![1 => 0usize..5, 2 => Just(usize::MAX)]), 1..40)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn npt(largest in order(), steps in steps()) {
        run::<Npt>(largest, steps);
    }

    #[test]
    fn ept(largest in order(), steps in steps()) {
        run::<Ept>(largest, steps);
    }
}
