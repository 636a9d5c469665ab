//! One zone's state: a bit per frame says free, another reserved.

use crate::block::{BLOCK_FRAMES, BlockView, Content, Mobility};
use crate::error::{RangeError, ZoneError};
use crate::frame::{FrameRange, HostFrame};
use crate::order::Order;
use crate::report::Report;

/// Words per 2 MiB block: free bits, reserved bits, class and mark.
const WORDS: usize = 17;

pub(crate) struct Zone<'m> {
    first: u64,
    blocks: usize,
    words: &'m mut [u64],
}

impl<'m> Zone<'m> {
    pub(crate) const fn metadata_words(frames: u64) -> usize {
        (frames / BLOCK_FRAMES) as usize * WORDS + 2 * WORDS
    }

    pub(crate) fn new(span: FrameRange, metadata: &'m mut [u64]) -> Result<Self, ZoneError> {
        let needed_words = Self::metadata_words(span.frames);
        if metadata.len() < needed_words {
            return Err(ZoneError::Metadata { needed_words, given_words: metadata.len() });
        }
        let start = span.start.number();
        let first = start / BLOCK_FRAMES * BLOCK_FRAMES;
        let blocks = (start + span.frames).div_ceil(BLOCK_FRAMES) - first / BLOCK_FRAMES;
        let words = &mut metadata[..needed_words];
        for block in words.chunks_mut(WORDS) {
            block[..8].fill(0);
            block[8..16].fill(u64::MAX);
            block[16] = 0;
        }
        Ok(Self { first, blocks: blocks as usize, words })
    }

    fn word(&self, frame: u64, base: usize) -> (usize, u64) {
        let offset = frame - self.first;
        let block = (offset / BLOCK_FRAMES) as usize;
        (block * WORDS + base + (offset % BLOCK_FRAMES / 64) as usize, 1 << (offset % 64))
    }

    fn is(&self, frame: u64, base: usize) -> bool {
        let (word, bit) = self.word(frame, base);
        self.words[word] & bit != 0
    }

    fn set(&mut self, frame: u64, base: usize, value: bool) {
        let (word, bit) = self.word(frame, base);
        if value {
            self.words[word] |= bit;
        } else {
            self.words[word] &= !bit;
        }
    }

    fn all(&self) -> core::ops::Range<u64> {
        self.first..self.first + self.blocks as u64 * BLOCK_FRAMES
    }

    pub(crate) fn release(&mut self, range: FrameRange) -> Result<u64, RangeError> {
        let frames = range.start.number()..range.start.number() + range.frames;
        for frame in frames.clone() {
            if self.is(frame, 0) {
                return Err(RangeError::AlreadyFree { frame: HostFrame::new(frame) });
            }
            if !self.is(frame, 8) {
                return Err(RangeError::InUse { frame: HostFrame::new(frame), cached_frames_at_most: 0 });
            }
        }
        for frame in frames {
            self.set(frame, 0, true);
            self.set(frame, 8, false);
        }
        Ok(range.frames)
    }

    pub(crate) fn reserve(&mut self, range: FrameRange) -> Result<u64, RangeError> {
        let frames = range.start.number()..range.start.number() + range.frames;
        if let Some(used) = frames.clone().find(|&frame| !self.is(frame, 0) && !self.is(frame, 8)) {
            return Err(RangeError::InUse { frame: HostFrame::new(used), cached_frames_at_most: 0 });
        }
        let mut taken = 0;
        for frame in frames {
            taken += u64::from(self.is(frame, 0));
            self.set(frame, 0, false);
            self.set(frame, 8, true);
        }
        Ok(taken)
    }

    pub(crate) fn allocate(&mut self, order: Order, mobility: Mobility) -> Option<u64> {
        let length = order.frames();
        let mut start = self.first.next_multiple_of(length);
        while start + length <= self.all().end {
            if let Some(used) = (start..start + length).rev().find(|&frame| !self.is(frame, 0)) {
                start = (used + 1).next_multiple_of(length);
                continue;
            }
            let range = FrameRange::new(HostFrame::new(start), length);
            return self.allocate_at(range, mobility).ok().map(|()| start);
        }
        None
    }

    pub(crate) fn allocate_at(&mut self, range: FrameRange, mobility: Mobility) -> Result<(), RangeError> {
        let frames = range.start.number()..range.start.number() + range.frames;
        if let Some(used) = frames.clone().find(|&frame| !self.is(frame, 0)) {
            return Err(RangeError::InUse { frame: HostFrame::new(used), cached_frames_at_most: 0 });
        }
        for frame in frames {
            self.set(frame, 0, false);
            let (word, _) = self.word(frame / BLOCK_FRAMES * BLOCK_FRAMES, 16);
            self.words[word] = mobility as u64;
        }
        Ok(())
    }

    pub(crate) fn free(&mut self, start: u64, frames: u64) {
        for frame in start..start + frames {
            self.set(frame, 0, true);
        }
    }

    pub(crate) fn block_count(&self) -> usize {
        self.blocks
    }

    pub(crate) fn view_of(&self, frame: HostFrame) -> BlockView {
        self.view(((frame.number() - self.first) / BLOCK_FRAMES) as usize)
    }

    pub(crate) fn view(&self, block: usize) -> BlockView {
        let words = &self.words[block * WORDS..(block + 1) * WORDS];
        let count = |words: &[u64]| words.iter().map(|word| word.count_ones() as u16).sum();
        BlockView {
            start: HostFrame::new(self.first + block as u64 * BLOCK_FRAMES),
            free_frames: count(&words[..8]),
            reserved_frames: count(&words[8..16]),
            mobility: Mobility::ALL[(words[16] & 1) as usize],
            content: [Content::Dirty, Content::Clean, Content::Ghost][(words[16] >> 1 & 3) as usize % 3],
        }
    }

    pub(crate) fn set_content(&mut self, frame: HostFrame, content: Content) {
        let (word, _) = self.word(frame.number() / BLOCK_FRAMES * BLOCK_FRAMES, 16);
        let mark = match content {
            Content::Dirty => 0,
            Content::Clean => 1,
            Content::Ghost => 2,
        };
        self.words[word] = self.words[word] & 1 | mark << 1;
    }

    pub(crate) fn add_to_report(&self, report: &mut Report) {
        let mut run = 0;
        for frame in self.all() {
            report.total_frames += u64::from(!self.is(frame, 8));
            run = if self.is(frame, 0) { run + 1 } else { 0 };
            report.largest_run_frames = report.largest_run_frames.max(run);
            report.free_frames += u64::from(run > 0);
        }
        let free = |start: u64, order: Order| {
            start + order.frames() <= self.all().end
                && (start..start + order.frames()).all(|frame| frame >= self.first && self.is(frame, 0))
        };
        let mut frame = self.first;
        while frame < self.all().end {
            let fits = |order: &Order| frame.is_multiple_of(order.frames()) && free(frame, *order);
            match Order::all().rev().find(fits) {
                Some(order) => {
                    report.free_runs[order.index()] += 1;
                    frame += order.frames();
                }
                None => frame += 1,
            }
        }
    }
}
