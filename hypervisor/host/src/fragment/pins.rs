//! The frames that are held so that memory stays fragmented.

use alloc::vec::Vec;

use godwit_frames::{CpuFrames, FrameRun};

use super::FragmentSetting;

/// Runs in one piece of the list: small pieces, so that the list grows without ever asking the heap for much at once.
const CHUNK_RUNS: usize = 256;
/// Heap that the list leaves to everybody else: an allocation elsewhere that fails would halt the host.
const SPARE_BYTES: usize = 256 << 10;

/// The heap has no room to remember another frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct NoRoom;

/// Single frames that are in use for nothing but being in the way.
#[derive(Default)]
pub struct Pins {
    chunks: Vec<Vec<FrameRun>>,
    count: u64,
    /// What they were made by; `None` where none were ever made, or all were given back.
    pub(super) setting: Option<FragmentSetting>,
}

impl Pins {
    /// How many frames are held.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// What memory was fragmented by, where it is.
    pub fn setting(&self) -> Option<FragmentSetting> {
        self.setting
    }

    /// Makes room for one more run, before it is allocated: a run that finds no room would be lost.
    pub(super) fn make_room(&mut self) -> Result<(), NoRoom> {
        if self.chunks.last().is_some_and(|chunk| chunk.len() < CHUNK_RUNS) {
            return Ok(());
        }
        // Asked for and given straight back: it only shows that this much is still there.
        let mut spare = Vec::<u8>::new();
        spare.try_reserve_exact(SPARE_BYTES).map_err(|_| NoRoom)?;
        // An allocation that nobody looks at would be optimized away.
        core::hint::black_box(&spare);
        drop(spare);
        let mut chunk = Vec::new();
        chunk.try_reserve_exact(CHUNK_RUNS).map_err(|_| NoRoom)?;
        self.chunks.try_reserve(1).map_err(|_| NoRoom)?;
        self.chunks.push(chunk);
        Ok(())
    }

    /// Keeps a run for which [`make_room`](Self::make_room) made room.
    pub(super) fn keep(&mut self, run: FrameRun) {
        if let Some(chunk) = self.chunks.last_mut() {
            chunk.push(run);
            self.count += 1;
        }
    }

    /// Gives up to `most` frames back, the latest first; answers how many.
    pub(super) fn give_back(&mut self, frames: &mut CpuFrames<'_, '_>, most: u64) -> u64 {
        let mut given = 0;
        while given < most {
            let Some(chunk) = self.chunks.last_mut() else { break };
            let Some(run) = chunk.pop() else {
                self.chunks.pop();
                continue;
            };
            self.count -= 1;
            given += 1;
            if let Err(error) = frames.free(run) {
                log::error!("a pinned frame cannot be given back: {error}");
            }
        }
        given
    }
}
