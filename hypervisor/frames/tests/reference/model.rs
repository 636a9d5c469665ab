//! A naive allocator to compare with: one state per unit of memory, and nothing clever.

use godwit_frames::{BlockState, BlockView, FrameRange, HostFrame, Order, Report};

/// What a unit is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Unit {
    Reserved,
    Free,
    Used,
}

/// Zones of units of `1 << unit_order` frames each.
pub(crate) struct Model {
    unit_order: u8,
    zones: Vec<Zone>,
}

/// The units of one span, and the number of the first.
struct Zone {
    first: u64,
    units: Vec<Unit>,
}

impl Model {
    /// All units of the spans, reserved.
    pub(crate) fn new(unit_order: u8, spans: &[FrameRange]) -> Self {
        let zone = |span: &FrameRange| Zone {
            first: span.start.number() >> unit_order,
            units: vec![Unit::Reserved; (span.frames >> unit_order) as usize],
        };
        Self { unit_order, zones: spans.iter().map(zone).collect() }
    }

    fn numbers(&self, range: FrameRange) -> std::ops::Range<u64> {
        let start = range.start.number();
        start >> self.unit_order..(start + range.frames) >> self.unit_order
    }

    fn state(&self, unit: u64) -> Option<Unit> {
        self.zones.iter().find_map(|zone| zone.units.get(unit.checked_sub(zone.first)? as usize).copied())
    }

    /// The state of every unit of a range, `None` outside all zones.
    pub(crate) fn states(&self, range: FrameRange) -> impl Iterator<Item = Option<Unit>> {
        self.numbers(range).map(|unit| self.state(unit))
    }

    /// Whether all of the range is in the given state.
    pub(crate) fn all(&self, range: FrameRange, state: Unit) -> bool {
        self.states(range).all(|unit| unit == Some(state))
    }

    /// Puts all units of the range that are in state `from` into state `to`; returns how many frames that was.
    pub(crate) fn turn(&mut self, range: FrameRange, from: Unit, to: Unit) -> u64 {
        let numbers = self.numbers(range);
        let mut turned = 0;
        for zone in &mut self.zones {
            for (number, unit) in (zone.first..).zip(&mut zone.units) {
                if numbers.contains(&number) && *unit == from {
                    *unit = to;
                    turned += 1 << self.unit_order;
                }
            }
        }
        turned
    }

    /// How many frames are in a state.
    pub(crate) fn count(&self, state: Unit) -> u64 {
        let units = self.zones.iter().flat_map(|zone| &zone.units);
        (units.filter(|unit| **unit == state).count() as u64) << self.unit_order
    }

    /// Lengths in frames of all maximal free spans.
    pub(crate) fn free_spans(&self) -> Vec<u64> {
        let spans = self.zones.iter().flat_map(|zone| zone.units.split(|unit| *unit != Unit::Free));
        spans.map(|span| (span.len() as u64) << self.unit_order).filter(|&frames| frames > 0).collect()
    }

    /// The report of this memory with nothing kept at hand.
    pub(crate) fn report(&self) -> Report {
        let free_frames = self.count(Unit::Free);
        let mut report = Report {
            total_frames: free_frames + self.count(Unit::Used),
            free_frames,
            largest_run_frames: self.free_spans().into_iter().max().unwrap_or(0),
            ..Report::default()
        };
        for zone in &self.zones {
            let free = |from: usize, units: usize| {
                zone.units.get(from..from + units).is_some_and(|units| units.iter().all(|u| *u == Unit::Free))
            };
            let mut next = 0;
            while next < zone.units.len() {
                let fits = |order: &Order| {
                    let units = order.frames() >> self.unit_order;
                    units > 0
                        && (zone.first + next as u64).is_multiple_of(units)
                        && free(next, units as usize)
                };
                next += match Order::all().rev().find(fits) {
                    Some(order) => {
                        report.free_runs[order.index()] += 1;
                        (order.frames() >> self.unit_order) as usize
                    }
                    None => 1,
                };
            }
        }
        report
    }

    /// Checks a block's picture, with nothing kept at hand. Only for units of one frame.
    pub(crate) fn check_block(&self, block: &BlockView) {
        assert_eq!(self.unit_order, 0);
        let states: Vec<_> = self.states(block.range()).collect();
        let count = |wanted: Unit| states.iter().filter(|unit| **unit == Some(wanted)).count() as u16;
        assert_eq!(block.free_frames, count(Unit::Free), "{block:?}");
        assert_eq!(block.used_frames(), count(Unit::Used), "{block:?}");
        let state = match (count(Unit::Free), count(Unit::Used)) {
            (0, 0) => BlockState::Reserved,
            (_, 0) => BlockState::Free,
            (0, _) => BlockState::Full,
            _ => BlockState::Partial,
        };
        assert_eq!(block.state(), state, "{block:?}");
    }
}

/// A range by numbers.
pub(crate) fn range(start: u64, frames: u64) -> FrameRange {
    FrameRange::new(HostFrame::new(start), frames)
}
