//! The heap keeps what it is given.

use alloc::{format, string::String, vec::Vec};

use super::{Check, CheckStep};
use crate::{split_mix::SplitMix64, state::HostState};

const BLOCKS: usize = 64;
const MAX_BYTES: u64 = 2048;

/// Fills blocks of many sizes, frees every other one, fills the gaps again, and looks at every byte.
pub(super) struct HeapCheck;

impl Check for HeapCheck {
    fn step(&mut self, _state: &mut HostState<'_, '_>) -> CheckStep {
        match verdict() {
            Ok(detail) => CheckStep::Passed(detail),
            Err(why) => CheckStep::Failed(why),
        }
    }
}

fn verdict() -> Result<String, String> {
    let mut generator = SplitMix64::new(1);
    let mut blocks: Vec<(u8, Vec<u8>)> = Vec::new();
    blocks.try_reserve_exact(BLOCKS).map_err(|_| String::from("no room for the list of blocks"))?;
    let mut most_bytes = 0;
    for round in 0..4u8 {
        while blocks.len() < BLOCKS {
            let fill = (blocks.len() as u8).wrapping_mul(4).wrapping_add(round);
            let bytes = 1 + generator.below(MAX_BYTES) as usize;
            let mut block = Vec::new();
            block.try_reserve_exact(bytes).map_err(|_| format!("no room for {bytes} bytes"))?;
            block.resize(bytes, fill);
            blocks.push((fill, block));
        }
        most_bytes = most_bytes.max(blocks.iter().map(|(_, block)| block.len()).sum::<usize>());
        // What the compiler knows to be there would not be read back.
        core::hint::black_box(&mut blocks);
        for (index, (fill, block)) in blocks.iter().enumerate() {
            if let Some(wrong) = block.iter().position(|byte| byte != fill) {
                return Err(format!("byte {wrong} of block {index} changed in round {round}"));
            }
        }
        let mut keep = round % 2 == 0;
        blocks.retain(|_| {
            keep = !keep;
            keep
        });
    }
    Ok(format!("{BLOCKS} blocks refilled 4 times, {} KiB held at most", most_bytes.div_ceil(1024)))
}
