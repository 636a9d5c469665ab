//! Fragmenting, and giving back, in steps.

use core::fmt::{self, Write};

use godwit_frames::{BlockState, BlockView, Blocks, FrameRange, HostFrame, Mobility, Order, Report};

use super::FragmentSetting;
use crate::{
    console::Console,
    job::{Job, Step},
    size::Size,
    split_mix::SplitMix64,
    state::HostState,
};

/// Blocks looked at in one step.
const BLOCKS_PER_STEP: usize = 64;
/// Frames given back in one step.
const FRAMES_PER_STEP: u64 = 256;
/// Frames of a 2 MiB block.
const BLOCK_FRAMES: u64 = Order::LARGE.frames();
/// Frames taken in one block at most.
const MAX_PINS_PER_BLOCK: u64 = 4;
/// One in this many broken blocks is unmovable.
const UNMOVABLE_SHARE: u64 = 4;

/// Breaks free blocks up.
pub(crate) struct FragmentJob<'a, 'm> {
    setting: FragmentSetting,
    generator: SplitMix64,
    blocks: Blocks<'a, 'm>,
    before: Report,
    /// Free blocks still to come, as far as was known at the start.
    candidates_left: u64,
    /// Blocks still to be chosen among them.
    wanted_left: u64,
    broken_blocks: u64,
    unmovable_blocks: u64,
    stopped: Option<&'static str>,
}

impl<'a, 'm> FragmentJob<'a, 'm> {
    /// Begins to fragment memory, which must not be fragmented by another setting already.
    pub(crate) fn new(state: &mut HostState<'a, 'm>, setting: FragmentSetting) -> Self {
        state.cpu.frames().drain();
        state.pins.setting = Some(setting);
        let before = state.frames.report();
        let free_blocks = before.free_2m_runs();
        Self {
            setting,
            generator: SplitMix64::new(setting.seed),
            blocks: state.frames.blocks(),
            candidates_left: free_blocks,
            wanted_left: (free_blocks * u64::from(setting.percent)).div_ceil(100),
            before,
            broken_blocks: 0,
            unmovable_blocks: 0,
            stopped: None,
        }
    }

    /// Decides about one block and breaks it up where it is chosen.
    fn visit(&mut self, state: &mut HostState<'a, 'm>, view: &BlockView) {
        let candidate = view.state() == BlockState::Free && view.reserved_frames == 0;
        if !candidate || self.candidates_left == 0 {
            return;
        }
        // Selection sampling: each of the blocks left is as likely, and exactly as many as wanted are taken.
        let chosen = self.generator.below(self.candidates_left) < self.wanted_left;
        self.candidates_left -= 1;
        if chosen {
            self.wanted_left -= 1;
            self.break_up(state, view.start);
        }
    }

    fn break_up(&mut self, state: &mut HostState<'a, 'm>, block: HostFrame) {
        let unmovable = self.generator.below(UNMOVABLE_SHARE) == 0;
        let mobility = if unmovable { Mobility::Unmovable } else { Mobility::Movable };
        let mut taken = 0;
        for _ in 0..=self.generator.below(MAX_PINS_PER_BLOCK) {
            let frame = HostFrame::new(block.number() + self.generator.below(BLOCK_FRAMES));
            if state.pins.make_room().is_err() {
                self.stopped = Some("the heap has no room to remember more frames");
                break;
            }
            // A place that was chosen twice, or that somebody took meanwhile, is passed over.
            if let Ok(run) = state.cpu.frames().allocate_at(FrameRange::new(frame, 1), mobility) {
                state.pins.keep(run);
                taken += 1;
            }
        }
        if taken > 0 {
            self.broken_blocks += 1;
            self.unmovable_blocks += u64::from(unmovable);
        }
    }

    fn say(&self, state: &HostState<'a, 'm>, out: &mut Console<'a>) -> fmt::Result {
        writeln!(
            out,
            "fragmented {}: {} of {} free 2 MiB blocks broken up by {} frames, {} of the blocks unmovable",
            self.setting,
            self.broken_blocks,
            self.before.free_2m_runs(),
            state.pins.count(),
            self.unmovable_blocks
        )?;
        say_change(out, &self.before, &state.frames.report())
    }
}

impl<'a, 'm> Job<'a, 'm> for FragmentJob<'a, 'm> {
    fn step(&mut self, state: &mut HostState<'a, 'm>, out: &mut Console<'a>) -> Result<Step, fmt::Error> {
        for _ in 0..BLOCKS_PER_STEP {
            if self.stopped.is_some() || self.wanted_left == 0 {
                break;
            }
            let Some(view) = self.blocks.next() else {
                self.wanted_left = 0;
                break;
            };
            self.visit(state, &view);
        }
        if self.stopped.is_none() && self.wanted_left > 0 {
            return Ok(Step::Again);
        }
        if let Some(why) = self.stopped {
            writeln!(out, "stopped early: {why}")?;
        }
        state.cpu.frames().drain();
        self.say(state, out)?;
        Ok(Step::Done)
    }

    fn cancel(&mut self, state: &mut HostState<'a, 'm>, out: &mut Console<'a>) -> fmt::Result {
        state.cpu.frames().drain();
        self.say(state, out)?;
        writeln!(out, "stopped early; \"defragment\" gives the frames back")
    }
}

/// Gives all pinned frames back.
pub(crate) struct GiveBackJob {
    before: Report,
    frames: u64,
}

impl GiveBackJob {
    pub(crate) fn new(state: &HostState<'_, '_>) -> Self {
        Self { before: state.frames.report(), frames: 0 }
    }
}

impl<'a, 'm> Job<'a, 'm> for GiveBackJob {
    fn step(&mut self, state: &mut HostState<'a, 'm>, out: &mut Console<'a>) -> Result<Step, fmt::Error> {
        self.frames += state.pins.give_back(state.cpu.frames(), FRAMES_PER_STEP);
        if state.pins.count() > 0 {
            return Ok(Step::Again);
        }
        state.pins.setting = None;
        state.cpu.frames().drain();
        writeln!(out, "gave {} frames back", self.frames)?;
        say_change(out, &self.before, &state.frames.report())?;
        Ok(Step::Done)
    }

    fn cancel(&mut self, state: &mut HostState<'a, 'm>, out: &mut Console<'a>) -> fmt::Result {
        state.cpu.frames().drain();
        writeln!(out, "stopped early: {} frames given back, {} still held", self.frames, state.pins.count())
    }
}

fn say_change(out: &mut Console<'_>, before: &Report, after: &Report) -> fmt::Result {
    writeln!(
        out,
        "free 2 MiB runs: {} before, {} after; largest free run: {} before, {} after",
        before.free_2m_runs(),
        after.free_2m_runs(),
        Size::from_frames(before.largest_run_frames),
        Size::from_frames(after.largest_run_frames)
    )
}
