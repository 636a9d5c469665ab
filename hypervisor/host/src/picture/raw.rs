//! The same for programs: short lines of words, each complete in itself.
//!
//! ```text
//! frames raw 1 report total=262016 free=261490 cached=64 largest=130048 runs=3,1,0,…
//! frames raw 1 blocks at=0x0 rle=x1u1f509m1
//! frames raw 1 end blocks=512
//! ```
//!
//! `runs` counts the maximal free buddies of orders 0 to 18. `rle` is a letter and a count for each stretch of equal 2 MiB
//! blocks from physical address `at` on: `f` free, `m` partly and `M` fully used by movable frames, `u` partly and `U`
//! fully used by unmovable ones, `x` reserved. Other lines may stand between these.

use core::fmt::{self, Write};

use godwit_frames::{BlockState, BlockView, HostFrame, Mobility, Report};

use super::BLOCK_FRAMES;

/// Stretches on one line.
const MAX_STRETCHES: usize = 24;

fn letter(view: &BlockView) -> char {
    match (view.state(), view.mobility) {
        (BlockState::Reserved, _) => 'x',
        (BlockState::Free, _) => 'f',
        (BlockState::Partial, Mobility::Movable) => 'm',
        (BlockState::Full, Mobility::Movable) => 'M',
        (BlockState::Partial, Mobility::Unmovable) => 'u',
        (BlockState::Full, Mobility::Unmovable) => 'U',
    }
}

/// A line of stretches that is being written.
#[derive(Default)]
struct Line {
    stretches: usize,
    letter: char,
    length: u64,
    next: u64,
}

impl Line {
    fn end_stretch(&mut self, out: &mut impl Write) -> fmt::Result {
        if self.length > 0 {
            write!(out, "{}{}", self.letter, self.length)?;
            self.length = 0;
        }
        Ok(())
    }

    fn end(&mut self, out: &mut impl Write) -> fmt::Result {
        if self.stretches == 0 {
            return Ok(());
        }
        self.end_stretch(out)?;
        self.stretches = 0;
        out.write_char('\n')
    }
}

/// Writes the report and the blocks as the module's head describes.
///
/// # Errors
/// Those of `out`.
pub fn write_raw(
    out: &mut impl Write,
    report: &Report,
    blocks: impl Iterator<Item = BlockView>,
) -> fmt::Result {
    let Report { total_frames, free_frames, cached_frames_at_most, largest_run_frames, .. } = report;
    write!(
        out,
        "frames raw 1 report total={total_frames} free={free_frames} cached={cached_frames_at_most} \
         largest={largest_run_frames} runs="
    )?;
    for (order, runs) in report.free_runs.iter().enumerate() {
        write!(out, "{}{runs}", if order > 0 { "," } else { "" })?;
    }
    out.write_char('\n')?;
    let mut line = Line::default();
    let mut count = 0u64;
    for view in blocks {
        let (block, letter) = (view.start.number() / BLOCK_FRAMES, letter(&view));
        if line.stretches > 0 && block != line.next {
            line.end(out)?;
        }
        if line.length > 0 && letter != line.letter {
            line.end_stretch(out)?;
            if line.stretches == MAX_STRETCHES {
                line.end(out)?;
            }
        }
        if line.length == 0 {
            if line.stretches == 0 {
                let at = HostFrame::new(block.saturating_mul(BLOCK_FRAMES)).address();
                write!(out, "frames raw 1 blocks at={at:#x} rle=")?;
            }
            line.stretches += 1;
            line.letter = letter;
        }
        line.length += 1;
        line.next = block + 1;
        count += 1;
    }
    line.end(out)?;
    writeln!(out, "frames raw 1 end blocks={count}")
}
