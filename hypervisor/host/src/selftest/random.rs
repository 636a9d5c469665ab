//! Hardware randomness: there and not constant, or said to be missing.

use alloc::{format, string::String};

use super::{Check, CheckStep};
use crate::{machine::NoRandomness, state::HostState};

/// Blocks that are drawn and compared.
const BLOCKS: usize = 64;
const BLOCK_BYTES: usize = 16;

/// Draws blocks of 128 bits: two equal ones mean a broken generator, by chance they come once in 2^116 runs.
pub(super) struct RandomCheck;

impl Check for RandomCheck {
    fn step(&mut self, state: &mut HostState<'_, '_>) -> CheckStep {
        match verdict(state) {
            Ok(detail) => CheckStep::Passed(detail),
            Err(why) => CheckStep::Failed(why),
        }
    }
}

fn verdict(state: &HostState<'_, '_>) -> Result<String, String> {
    let mut blocks = [[0u8; BLOCK_BYTES]; BLOCKS];
    let has_incarnation = state.machine.incarnation().is_some();
    for (drawn, block) in blocks.iter_mut().enumerate() {
        if state.machine.random(block) == Err(NoRandomness) {
            return match (drawn, has_incarnation) {
                (0, false) => Ok("this machine has no hardware randomness, and says so".into()),
                (0, true) => Err("there is an incarnation but no randomness to have made it".into()),
                _ => Err(format!("the generator failed after {drawn} blocks")),
            };
        }
    }
    if !has_incarnation {
        return Err("there is randomness but no incarnation was drawn from it".into());
    }
    let ones: u32 = blocks.iter().flatten().map(|byte| byte.count_ones()).sum();
    blocks.sort_unstable();
    if blocks.windows(2).any(|pair| matches!(pair, [one, other] if one == other)) {
        return Err(format!("a block of {BLOCK_BYTES} bytes came twice among {BLOCKS}"));
    }
    // 8,192 fair bits have 4,096 ones with a deviation of 45; nine deviations off is no chance any more.
    if !(3690..=4502).contains(&ones) {
        return Err(format!("{ones} of {} bits are ones", BLOCKS * BLOCK_BYTES * 8));
    }
    Ok(format!(
        "{} bytes, no block twice, {ones} of {} bits set",
        BLOCKS * BLOCK_BYTES,
        BLOCKS * BLOCK_BYTES * 8
    ))
}
