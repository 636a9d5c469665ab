//! Free spans of any length.

use super::Zone;
use crate::block::{BLOCK_FRAMES, Mobility};
use crate::buddies::{self, Bits};

/// What is wanted of a free span.
#[derive(Clone, Copy)]
pub(crate) struct Wish {
    /// Frames that are still wanted, at least 1.
    pub(crate) frames: u64,
    /// The start's alignment in frames, a power of two; what cannot hold all is cut to a multiple of it.
    pub(crate) align: u64,
    /// Who the frames are for, which says the end of a span to take from.
    pub(crate) mobility: Mobility,
    /// Whether blocks that frames of the other class are in may be used.
    pub(crate) mixing: bool,
}

/// A place in a free span.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fit {
    /// The first frame's number.
    pub(crate) start: u64,
    /// Frames to take, as many as were wished for or as many as fit.
    pub(crate) frames: u64,
    /// Frames of the whole span.
    span: u64,
}

impl Fit {
    /// Whether this is better than `other`: holding all beats not, then the smaller span; else the more frames.
    pub(crate) fn beats(&self, other: &Self, wish: &Wish) -> bool {
        match (self.frames == wish.frames, other.frames == wish.frames) {
            (true, true) => self.span < other.span,
            (false, false) => self.frames > other.frames,
            (all, _) => all,
        }
    }
}

impl Wish {
    /// Where in the span the wish would be met, or `None` where no aligned part is left.
    fn place(&self, start: u64, length: u64) -> Option<Fit> {
        let aligned = start.next_multiple_of(self.align);
        let usable = length.checked_sub(aligned - start)?;
        if usable >= self.frames {
            let start = match self.mobility {
                Mobility::Unmovable => aligned,
                Mobility::Movable => (start + length - self.frames) & !(self.align - 1),
            };
            return Some(Fit { start, frames: self.frames, span: length });
        }
        let frames = usable & !(self.align - 1);
        (frames > 0).then_some(Fit { start: aligned, frames, span: length })
    }
}

impl Zone<'_> {
    /// The best place for a wish: in the smallest span that holds all of it, else in the one that holds most.
    ///
    /// Takes one look at every vacant block's bit; where the alignment is below 2 MiB, at every mixed block's
    /// bitmap as well.
    pub(crate) fn best_span(&self, wish: &Wish) -> Option<Fit> {
        let mut best: Option<Fit> = None;
        let mut consider = |start, length| {
            if let Some(fit) = wish.place(start, length)
                && best.as_ref().is_none_or(|best| fit.beats(best, wish))
            {
                best = Some(fit);
            }
        };
        let mut scan = SpanScan::default();
        if wish.align >= BLOCK_FRAMES {
            self.scan_blocks(&mut scan, &mut consider);
        } else {
            self.scan_frames(&mut scan, wish, &mut consider);
        }
        scan.end(&mut consider);
        best
    }

    fn scan_blocks(&self, scan: &mut SpanScan, visit: &mut impl FnMut(u64, u64)) {
        let mut frame = (self.first_block - self.first_place as u64) * BLOCK_FRAMES;
        for gib in 0..self.vacancy.gibs() {
            for &word in self.vacancy.bits(gib) {
                scan.word(frame, word, BLOCK_FRAMES, visit);
                frame += u64::from(u64::BITS) * BLOCK_FRAMES;
            }
        }
    }

    fn scan_frames(&self, scan: &mut SpanScan, wish: &Wish, visit: &mut impl FnMut(u64, u64)) {
        for block in 0..self.block_count() {
            let header = self.table.header(block);
            let usable = wish.mixing || header.is_vacant() || header.mobility() == wish.mobility;
            scan.block(self.frame_of(block), if usable { self.bits(block) } else { &buddies::NONE }, visit);
        }
    }
}

/// Joins free frames, fed in from the lowest to the highest, to maximal spans: `visit` is called with the first
/// frame's number and the length of each.
#[derive(Default)]
pub(crate) struct SpanScan {
    start: u64,
    length: u64,
}

impl SpanScan {
    /// Feeds the 512 frames from `frame` on.
    pub(crate) fn block(&mut self, frame: u64, bits: &Bits, visit: &mut impl FnMut(u64, u64)) {
        for (index, &word) in (0..).zip(bits) {
            self.word(frame + index * u64::from(u64::BITS), word, 1, visit);
        }
    }

    /// Ends the span that is open, if one is.
    pub(crate) fn end(&mut self, visit: &mut impl FnMut(u64, u64)) {
        if self.length > 0 {
            visit(self.start, self.length);
            self.length = 0;
        }
    }

    /// Feeds 64 units of `unit` frames each, the first at `frame`.
    fn word(&mut self, frame: u64, word: u64, unit: u64, visit: &mut impl FnMut(u64, u64)) {
        let mut bit = 0;
        while bit < u64::BITS {
            let rest = word >> bit;
            let free = rest.trailing_ones();
            if free == 0 {
                self.end(visit);
                bit += rest.trailing_zeros();
                continue;
            }
            if self.length == 0 {
                self.start = frame + u64::from(bit) * unit;
            }
            self.length += u64::from(free) * unit;
            bit += free;
        }
    }
}
