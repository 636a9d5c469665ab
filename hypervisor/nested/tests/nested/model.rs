//! What is mapped where, said naively: one state per guest frame, with equal neighbours written down together.

use std::collections::BTreeMap;
use std::ops::Range;

use godwit_nested::Rights;

use crate::walker::RawLeaf;

/// What a guest frame is to the guest.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct State {
    /// Host frame minus guest frame, wrapping: the same all along what is mapped in one piece.
    pub(crate) offset: u64,
    pub(crate) rights: Rights,
    pub(crate) accessed: bool,
    pub(crate) dirty: bool,
}

impl State {
    pub(crate) fn host(&self, guest_frame: u64) -> u64 {
        guest_frame.wrapping_add(self.offset)
    }
}

/// Guest frames by the first of each piece; a piece ends before its second number.
#[derive(Clone, Default, Debug)]
pub(crate) struct Model(BTreeMap<u64, (u64, State)>);

impl Model {
    /// What leaves that a processor sees come to.
    pub(crate) fn of_leaves(leaves: &[RawLeaf]) -> Self {
        let pieces = leaves.iter().map(|leaf| {
            let mut rights = Rights::empty();
            rights.set(Rights::WRITE, leaf.write);
            rights.set(Rights::EXECUTE, leaf.execute);
            let offset = leaf.host.wrapping_sub(leaf.guest_frame);
            let state = State { offset, rights, accessed: leaf.accessed, dirty: leaf.dirty };
            (leaf.guest_frame, (leaf.end(), state))
        });
        Self(pieces.collect())
    }

    /// The same with equal neighbours joined, so that equal memories are equal lists.
    pub(crate) fn pieces(&self) -> Vec<(u64, u64, State)> {
        let mut joined: Vec<(u64, u64, State)> = Vec::new();
        for (start, (end, state)) in &self.0 {
            match joined.last_mut() {
                Some((_, last, before)) if *last == *start && before == state => *last = *end,
                _ => joined.push((*start, *end, *state)),
            }
        }
        joined
    }

    pub(crate) fn get(&self, frame: u64) -> Option<State> {
        let (_, (end, state)) = self.0.range(..=frame).next_back()?;
        (frame < *end).then_some(*state)
    }

    pub(crate) fn insert(&mut self, range: Range<u64>, state: State) {
        if !range.is_empty() {
            self.0.insert(range.start, (range.end, state));
        }
    }

    /// The pieces of a range, cut to it.
    pub(crate) fn within(&self, range: &Range<u64>) -> Vec<(Range<u64>, State)> {
        let start = self.0.range(..=range.start).next_back().map_or(range.start, |(start, _)| *start);
        let touching = self.0.range(start..range.end.max(start));
        let cut = touching.map(|(from, (to, state))| (*from.max(&range.start)..*to.min(&range.end), *state));
        cut.filter(|(piece, _)| !piece.is_empty()).collect()
    }

    /// Guest frames of a range that are mapped.
    pub(crate) fn mapped(&self, range: &Range<u64>) -> u64 {
        self.within(range).iter().map(|(piece, _)| piece.end - piece.start).sum()
    }

    /// Changes each frame of a range, or takes it away.
    pub(crate) fn edit(&mut self, range: &Range<u64>, change: impl Fn(State) -> Option<State>) {
        self.cut(range.start);
        self.cut(range.end);
        for (piece, state) in self.within(range) {
            match change(state) {
                Some(state) => self.0.insert(piece.start, (piece.end, state)),
                None => self.0.remove(&piece.start),
            };
        }
    }

    /// Makes a piece begin at `at`, if one holds it.
    fn cut(&mut self, at: u64) {
        if let Some(state) = self.get(at) {
            let (_, (end, _)) = self.0.range_mut(..=at).next_back().unwrap();
            let end = std::mem::replace(end, at);
            self.0.retain(|start, (end, _)| start < end);
            self.0.insert(at, (end, state));
        }
    }

    /// Whether one leaf could map all of a naturally aligned range.
    pub(crate) fn is_uniform(&self, range: &Range<u64>) -> bool {
        let pieces = self.within(range);
        let Some((_, first)) = pieces.first() else { return false };
        self.mapped(range) == range.end - range.start
            && first.host(range.start).is_multiple_of(range.end - range.start)
            && pieces.iter().all(|(_, state)| (state.offset, state.rights) == (first.offset, first.rights))
    }

    /// Gives every frame of a range the marks that any of them has.
    pub(crate) fn join_marks(&mut self, range: &Range<u64>) {
        let pieces = self.within(range);
        let accessed = pieces.iter().any(|(_, state)| state.accessed);
        let dirty = pieces.iter().any(|(_, state)| state.dirty);
        self.edit(range, |state| Some(State { accessed, dirty, ..state }));
    }
}
