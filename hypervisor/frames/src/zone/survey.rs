//! Reports and pictures: counting without holding the lock for long.

use core::ops::Range;

use super::Zone;
use super::spans::SpanScan;
use crate::block::{BLOCK_FRAMES, BlockView};
use crate::buddies::{self, Bits};
use crate::frame::HostFrame;
use crate::order::Order;
use crate::report::Report;
use crate::vacancy::GIB_BLOCKS;

/// A report in the making: blocks go in from the lowest to the highest, zone by zone.
pub(crate) struct Survey {
    report: Report,
    /// Vacant blocks of the GiB that is being counted.
    gib: Bits,
    scan: SpanScan,
}

impl Survey {
    pub(crate) fn new() -> Self {
        Self { report: Report::default(), gib: buddies::NONE, scan: SpanScan::default() }
    }

    /// No block of this zone follows.
    pub(crate) fn end_zone(&mut self) {
        self.end_gib();
        let largest = &mut self.report.largest_run_frames;
        self.scan.end(&mut |_, frames| *largest = frames.max(*largest));
    }

    pub(crate) fn finish(self, cached_frames_at_most: u64) -> Report {
        Report { cached_frames_at_most, ..self.report }
    }

    fn end_gib(&mut self) {
        let mut levels = [0; 10];
        buddies::count_maximal(&self.gib, &mut levels);
        let orders = self.report.free_runs.iter_mut().skip(Order::LARGE.index());
        orders.zip(levels).for_each(|(runs, more)| *runs += more);
        self.gib = buddies::NONE;
    }
}

impl Zone<'_> {
    /// Counts some blocks.
    pub(crate) fn count(&self, blocks: Range<usize>, survey: &mut Survey) {
        for block in blocks {
            let place = self.place_of(block) % GIB_BLOCKS;
            if place == 0 {
                survey.end_gib();
            }
            let header = self.table.header(block);
            survey.report.total_frames += BLOCK_FRAMES - u64::from(header.reserved_frames());
            survey.report.free_frames += u64::from(header.free());
            if header.is_vacant() {
                survey.gib[place / 64] |= 1 << (place % 64);
            } else if header.free() > 0 {
                let mut levels = [0; 10];
                buddies::count_maximal(self.bits(block), &mut levels);
                survey.report.free_runs.iter_mut().zip(levels).for_each(|(runs, more)| *runs += more);
            }
            let largest = &mut survey.report.largest_run_frames;
            survey.scan.block(self.frame_of(block), self.bits(block), &mut |_, frames| {
                *largest = frames.max(*largest);
            });
        }
    }

    /// The block that holds `frame`, which lies in the zone, as a picture shows it.
    pub(crate) fn view_of(&self, frame: HostFrame) -> BlockView {
        self.view(self.block_of(frame.number()))
    }

    /// A block as a picture shows it.
    pub(crate) fn view(&self, block: usize) -> BlockView {
        let header = self.table.header(block);
        BlockView {
            start: HostFrame::new(self.frame_of(block)),
            free_frames: header.free() as u16,
            reserved_frames: header.reserved_frames() as u16,
            mobility: header.mobility(),
            content: header.content(),
        }
    }
}
