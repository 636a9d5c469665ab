//! The frame allocator gives out what it says and takes all of it back.

use alloc::{format, string::String, vec::Vec};

use arrayvec::ArrayVec;
use godwit_frames::{FrameRun, Mobility, Order, Report};

use super::{
    Check, CheckStep,
    mailbox::{Answers, answers},
};
use crate::{
    round::{CpuSet, Question},
    split_mix::SplitMix64,
    state::HostState,
};

/// Runs held at once at most.
const RUNS: usize = 256;
/// Orders that are asked for, one frame to 2 MiB and a little beyond.
const ORDERS: u64 = 11;
/// Allocations and frees in one step.
const OPERATIONS_PER_STEP: usize = 128;
/// Operations of the whole check.
const OPERATIONS: usize = 2048;
/// Runs that one request may be answered with.
const MAX_RUNS: usize = 16;

/// Allocates and frees at random, in both classes, then compares the report with the one before.
#[derive(Default)]
pub(super) struct FramesCheck {
    /// `None` until every CPU has given back what it kept at hand.
    before: Option<Report>,
    asked: bool,
    held: Vec<FrameRun>,
    done: usize,
    allocated_frames: u64,
    refused: usize,
}

impl Check for FramesCheck {
    fn step(&mut self, state: &mut HostState<'_, '_>) -> CheckStep {
        if !self.asked {
            self.asked = true;
            if self.held.try_reserve_exact(RUNS + MAX_RUNS).is_err() {
                return CheckStep::Failed("no room for the list of runs".into());
            }
            state.ask(CpuSet::running(state.machine), Question::DrainFrames);
        }
        if self.before.is_none() {
            if let Answers::Waiting(step) = answers(state) {
                return step;
            }
            state.cpu.frames().drain();
            self.before = Some(state.frames.report());
        }
        match self.work(state) {
            Ok(true) => self.compare(state),
            Ok(false) => CheckStep::Again,
            Err(why) => CheckStep::Failed(why),
        }
    }

    fn clean_up(&mut self, state: &mut HostState<'_, '_>) {
        state.round = None;
        for run in self.held.drain(..) {
            // A run that is refused is lost: the comparison says so, or the check has failed already.
            let _ = state.cpu.frames().free(run);
        }
        state.cpu.frames().drain();
    }
}

impl FramesCheck {
    /// Does a share of the operations; answers whether that was the last.
    fn work(&mut self, state: &mut HostState<'_, '_>) -> Result<bool, String> {
        let mut generator = SplitMix64::new(self.done as u64);
        for _ in 0..OPERATIONS_PER_STEP {
            if self.held.len() < RUNS && generator.below(3) > 0 {
                self.allocate(state, &mut generator)?;
            } else if !self.held.is_empty() {
                let index = generator.below(self.held.len() as u64) as usize;
                let run = self.held.swap_remove(index);
                self.free(state, run, generator.below(4) == 0)?;
            }
        }
        self.check_apart()?;
        self.done += OPERATIONS_PER_STEP;
        Ok(self.done >= OPERATIONS)
    }

    fn allocate(&mut self, state: &mut HostState<'_, '_>, generator: &mut SplitMix64) -> Result<(), String> {
        let mobility = if generator.below(2) == 0 { Mobility::Movable } else { Mobility::Unmovable };
        let order = Order::new(generator.below(ORDERS) as u8).unwrap_or(Order::FRAME);
        if generator.below(8) == 0 {
            let frames = 1 + generator.below(4 * Order::LARGE.frames());
            let runs: Result<ArrayVec<FrameRun, MAX_RUNS>, _> =
                state.cpu.frames().allocate_runs(frames, Order::LARGE, MAX_RUNS, mobility);
            let Ok(runs) = runs else {
                self.refused += 1;
                return Ok(());
            };
            let had: u64 = runs.iter().map(FrameRun::frames).sum();
            self.held.extend(runs);
            if had != frames {
                return Err(format!("{frames} frames were asked for in runs, {had} came"));
            }
            self.allocated_frames += frames;
            return Ok(());
        }
        let Ok(run) = state.cpu.frames().allocate(order, mobility) else {
            self.refused += 1;
            return Ok(());
        };
        let got = run.order();
        self.allocated_frames += run.frames();
        self.held.push(run);
        if got != Some(order) {
            return Err(format!("a run of order {} was asked for, {got:?} came", order.get()));
        }
        Ok(())
    }

    /// Frees a run, in two halves where it is to be split and can be.
    fn free(&mut self, state: &mut HostState<'_, '_>, run: FrameRun, split: bool) -> Result<(), String> {
        let half = run.frames() / 2;
        let pieces = match if split { run.split_at(half) } else { Err(run) } {
            Ok((low, high)) => [Some(low), Some(high)],
            Err(whole) => [Some(whole), None],
        };
        for piece in pieces.into_iter().flatten() {
            state.cpu.frames().free(piece).map_err(|error| format!("{error}"))?;
        }
        Ok(())
    }

    /// No two runs share a frame.
    fn check_apart(&mut self) -> Result<(), String> {
        self.held.sort_unstable_by_key(FrameRun::start);
        for pair in self.held.windows(2) {
            if let [one, next] = pair
                && one.range().end().is_none_or(|end| end > next.start().number())
            {
                return Err(format!("{one:?} and {next:?} overlap"));
            }
        }
        Ok(())
    }

    /// Gives everything back and compares the reports.
    fn compare(&mut self, state: &mut HostState<'_, '_>) -> CheckStep {
        self.clean_up(state);
        let after = state.frames.report();
        match &self.before {
            Some(before) if *before == after => CheckStep::Passed(format!(
                "{OPERATIONS} operations, {} frames out and back, {} requests refused",
                self.allocated_frames, self.refused
            )),
            Some(before) => CheckStep::Failed(format!(
                "{} frames were free before, {} after; runs per order {:?} before, {:?} after",
                before.free_frames, after.free_frames, before.free_runs, after.free_runs
            )),
            None => CheckStep::Failed("there is no report to compare with".into()),
        }
    }
}
