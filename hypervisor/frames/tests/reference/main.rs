//! Any sequence of operations, beside a naive model: no overlap, alignment, conservation, exact reports.
#![cfg(not(loom))]

mod model;

use godwit_frames::{CpuFrames, FrameRange, FrameRun, Frames, Mobility, Order, RangeError};
use model::{Model, Unit, range};
use proptest::prelude::*;

/// Handles that share one allocator.
const CPUS: usize = 3;

#[derive(Clone, Debug)]
enum Step {
    Allocate { cpu: usize, order: u8, mobility: Mobility, times: usize },
    AllocateAt { cpu: usize, place: prop::sample::Index, units: u64, mobility: Mobility },
    AllocateRuns { cpu: usize, units: u64, preferred: u8, max_runs: usize, mobility: Mobility },
    Free { cpu: usize, run: prop::sample::Index, times: usize },
    Split { run: prop::sample::Index, at: prop::sample::Index },
    Reserve { place: prop::sample::Index, units: u64 },
    Release { place: prop::sample::Index, units: u64 },
    Drain { cpu: usize },
    Poll { cpu: usize },
}

fn step(top_order: u8, most_units: u64) -> impl Strategy<Value = Step> {
    use prop::sample::Index;
    let cpu = || 0..CPUS;
    let mobility = || prop_oneof![Just(Mobility::Movable), Just(Mobility::Unmovable)];
    let order = move || prop_oneof![2 => Just(0), 3 => 0..=top_order];
    let place = any::<Index>;
    prop_oneof![
        12 => (cpu(), order(), mobility(), 1usize..40)
            .prop_map(|(cpu, order, mobility, times)| Step::Allocate { cpu, order, mobility, times }),
        2 => (cpu(), place(), 1..most_units, mobility())
            .prop_map(|(cpu, place, units, mobility)| Step::AllocateAt { cpu, place, units, mobility }),
        3 => (cpu(), 1..most_units, order(), 1usize..12, mobility()).prop_map(
            |(cpu, units, preferred, max_runs, mobility)| Step::AllocateRuns {
                cpu, units, preferred, max_runs, mobility
            }
        ),
        14 => (cpu(), any::<Index>(), 1usize..40).prop_map(|(cpu, run, times)| Step::Free { cpu, run, times }),
        3 => (any::<Index>(), any::<Index>()).prop_map(|(run, at)| Step::Split { run, at }),
        1 => (place(), 1..most_units).prop_map(|(place, units)| Step::Reserve { place, units }),
        1 => (place(), 1..most_units).prop_map(|(place, units)| Step::Release { place, units }),
        1 => cpu().prop_map(|cpu| Step::Drain { cpu }),
        1 => cpu().prop_map(|cpu| Step::Poll { cpu }),
    ]
}

/// The allocator under test, the model, and everything allocated from both.
struct Pair<'f, 'm> {
    frames: &'f Frames<'m>,
    cpus: Vec<CpuFrames<'f, 'm>>,
    spans: &'f [FrameRange],
    model: Model,
    /// One unit is `1 << unit_order` frames.
    unit_order: u8,
    live: Vec<FrameRun>,
}

impl Pair<'_, '_> {
    fn taken(&mut self, run: FrameRun) {
        let taken = self.model.turn(run.range(), Unit::Free, Unit::Used);
        assert_eq!(taken, run.frames(), "{run:?} overlaps what is in use or reserved");
        self.live.push(run);
    }

    fn drain(&mut self) {
        self.cpus.iter_mut().for_each(CpuFrames::drain);
    }

    /// A range of whole units, mostly inside the zones.
    fn named(&self, place: prop::sample::Index, units: u64) -> FrameRange {
        let span = self.spans[place.index(self.spans.len())];
        let first = place.index((span.frames >> self.unit_order) as usize + 2) as u64;
        range(span.start.number() + (first << self.unit_order), units << self.unit_order)
    }

    fn run(&mut self, step: &Step) {
        match *step {
            Step::Allocate { cpu, order, mobility, times } => {
                (0..times).for_each(|_| self.allocate(cpu, order, mobility));
            }
            Step::AllocateAt { cpu, place, units, mobility } => {
                let wanted = self.named(place, units);
                self.drain();
                match self.cpus[cpu].allocate_at(wanted, mobility) {
                    Ok(run) => {
                        assert_eq!(run.range(), wanted);
                        self.taken(run);
                    }
                    Err(error) => {
                        assert_eq!(error.cached_frames_at_most(), 0, "all handles are drained");
                        assert!(!self.model.all(wanted, Unit::Free), "{wanted:?} is free, yet: {error}");
                    }
                }
            }
            Step::AllocateRuns { cpu, units, preferred, max_runs, mobility } => {
                self.allocate_runs(cpu, units << self.unit_order, preferred, max_runs, mobility);
            }
            Step::Free { cpu, run, times } => {
                for _ in 0..times.min(self.live.len()) {
                    let run = self.live.swap_remove(run.index(self.live.len()));
                    self.model.turn(run.range(), Unit::Used, Unit::Free);
                    self.cpus[cpu].free(run).expect("the run is of this allocator");
                }
            }
            Step::Split { run, at } if !self.live.is_empty() => {
                let run = self.live.swap_remove(run.index(self.live.len()));
                let units = at.index((run.frames() >> self.unit_order) as usize + 1) as u64;
                let (before, start) = (run.frames(), run.start());
                match run.split_at(units << self.unit_order) {
                    Ok((first, second)) => {
                        assert_eq!(first.start(), start);
                        assert_eq!(first.frames() + second.frames(), before);
                        assert_eq!(second.start().number(), start.number() + first.frames());
                        self.live.extend([first, second]);
                    }
                    Err(whole) => {
                        assert_eq!((whole.start(), whole.frames()), (start, before));
                        self.live.push(whole);
                    }
                }
            }
            Step::Split { .. } => {}
            Step::Reserve { place, units } => self.reserve(self.named(place, units)),
            Step::Release { place, units } => self.release(self.named(place, units)),
            Step::Drain { cpu } => self.cpus[cpu].drain(),
            Step::Poll { cpu } => self.cpus[cpu].poll(),
        }
        self.check();
    }

    fn allocate(&mut self, cpu: usize, order: u8, mobility: Mobility) {
        let order = Order::new(order + self.unit_order).expect("orders are up to 18");
        match self.cpus[cpu].allocate(order, mobility) {
            Ok(run) => {
                assert_eq!(run.order(), Some(order));
                self.taken(run);
            }
            Err(error) => {
                let report = self.frames.report();
                assert_eq!(report.free_runs_of(order), 0, "{order:?} is free outside handles, yet: {error}");
                let others: u64 = self.cpus.iter().map(CpuFrames::held_frames).sum();
                assert!(error.cached_frames_at_most() >= others);
                assert!(others > 0 || self.model.report().free_runs_of(order) == 0);
                // What fails with every handle empty fails for good.
                self.cpus.iter_mut().for_each(CpuFrames::poll);
                let kept: Vec<_> = self.cpus.iter().map(CpuFrames::held_frames).collect();
                assert_eq!(kept, [0; CPUS], "pressure makes every CPU drain");
                let again = self.cpus[cpu].allocate(order, mobility);
                let free = self.model.report().free_runs_of(order);
                assert_eq!(again.is_ok(), free > 0);
                again.into_iter().for_each(|run| self.taken(run));
            }
        }
    }

    fn allocate_runs(&mut self, cpu: usize, frames: u64, preferred: u8, max_runs: usize, mobility: Mobility) {
        let preferred = Order::new(preferred + self.unit_order).expect("orders are up to 18");
        self.drain();
        let mut spans = self.model.free_spans();
        spans.sort_unstable_by(|a, b| b.cmp(a));
        let most: u64 = spans.iter().take(max_runs.min(8)).sum();
        match self.cpus[cpu].allocate_runs::<8>(frames, preferred, max_runs, mobility) {
            Ok(runs) => {
                assert_eq!(runs.iter().map(FrameRun::frames).sum::<u64>(), frames);
                assert!(runs.len() <= max_runs);
                runs.into_iter().for_each(|run| self.taken(run));
            }
            Err(error) => assert!(most < frames, "{frames} frames fit into {most}, yet: {error}"),
        }
    }

    fn reserve(&mut self, range: FrameRange) {
        let used = self.model.states(range).any(|unit| matches!(unit, Some(Unit::Used) | None));
        match self.frames.reserve(range) {
            Ok(frames) => {
                assert!(!used, "frames in use were reserved");
                assert_eq!(frames, self.model.turn(range, Unit::Free, Unit::Reserved));
            }
            // A block with frames in use does not tell which of its other frames are reserved.
            Err(RangeError::InUse { .. } | RangeError::Outside) => {
                assert!(!self.model.all(range, Unit::Free) || self.cached() > 0);
            }
            Err(error) => panic!("{error}"),
        }
    }

    fn release(&mut self, range: FrameRange) {
        match self.frames.release(range) {
            Ok(frames) => {
                assert!(self.model.all(range, Unit::Reserved));
                assert_eq!(frames, self.model.turn(range, Unit::Reserved, Unit::Free));
            }
            Err(RangeError::AlreadyFree { frame }) => {
                assert!(self.model.all(FrameRange::new(frame, 1 << self.unit_order), Unit::Free));
            }
            Err(RangeError::InUse { frame, .. }) => {
                let start = frame.number() & !511;
                let block = FrameRange::new(godwit_frames::HostFrame::new(start), 512);
                let used = self.model.states(block).any(|unit| unit == Some(Unit::Used));
                assert!(used || self.cached() > 0, "nothing is used in the block of {frame:?}");
            }
            Err(RangeError::Outside) => assert!(self.model.states(range).any(|unit| unit.is_none())),
            Err(error) => panic!("{error}"),
        }
    }

    fn cached(&self) -> u64 {
        self.cpus.iter().map(CpuFrames::held_frames).sum()
    }

    /// What must hold at any time, with frames at hand.
    fn check(&self) {
        self.frames.audit().unwrap_or_else(|unsound| panic!("{unsound}"));
        let report = self.frames.report();
        let (free, used) = (self.model.count(Unit::Free), self.model.count(Unit::Used));
        assert_eq!(report.total_frames, free + used);
        assert_eq!(report.free_frames + self.cached(), free, "frames are lost or found");
        assert!(self.cached() <= report.cached_frames_at_most);
    }

    /// What must hold with every handle drained.
    fn check_drained(&mut self) {
        self.drain();
        self.check();
        let exact = self.model.report();
        assert_eq!(self.frames.report(), exact);
        if self.unit_order == 0 {
            self.frames.blocks().for_each(|block| self.model.check_block(&block));
        }
    }
}

fn compare(unit_order: u8, spans: &[FrameRange], steps: &[Step]) {
    let words = |span: &FrameRange| vec![u64::MAX; Frames::metadata_words(span.frames)];
    let mut metadata: Vec<_> = spans.iter().map(words).collect();
    let mut slices = metadata.iter_mut();
    let mut frames = Frames::new(spans[0], slices.next().unwrap()).unwrap();
    for &span in &spans[1..] {
        frames.add_zone(span, slices.next().unwrap()).unwrap();
    }
    let mut model = Model::new(unit_order, spans);
    for &span in spans {
        assert_eq!(frames.release(span), Ok(span.frames));
        model.turn(span, Unit::Reserved, Unit::Free);
    }
    let cpus = (0..CPUS).map(|_| frames.cpu()).collect();
    let mut pair = Pair { frames: &frames, cpus, spans, model, unit_order, live: Vec::new() };
    pair.check_drained();
    for (index, step) in steps.iter().enumerate() {
        pair.run(step);
        if index % 8 == 7 {
            pair.check_drained();
        }
    }
    pair.check_drained();
    for run in std::mem::take(&mut pair.live) {
        pair.model.turn(run.range(), Unit::Used, Unit::Free);
        pair.cpus[0].free(run).unwrap();
    }
    pair.check_drained();
    assert_eq!(frames.report().used_frames(), 0, "frames leaked");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    /// Two zones, cut inside blocks and words, the first across a GiB boundary.
    #[test]
    fn frames_agree_with_the_model(steps in prop::collection::vec(step(10, 1500), 1..80)) {
        compare(0, &[range(0x3_fd03, 2222), range(0x10_0200, 1100)], &steps);
    }

    /// Four GiB and a bit in whole blocks: every order from 2 MiB to 1 GiB.
    #[test]
    fn blocks_agree_with_the_model(steps in prop::collection::vec(step(9, 1800), 1..80)) {
        compare(9, &[range(0x1_fe00, 1100 << 9), range(0x20_0000, 1300 << 9)], &steps);
    }
}
