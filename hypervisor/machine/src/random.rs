//! Hardware randomness that is checked before it is believed.
//!
//! Processors have shipped whose RDRAND reports success and gives all ones for ever: AMD families 15h and 16h
//! after resume, 17h with early firmware. No test can prove a generator good; these find the ones that were
//! sold broken, and a true generator fails them less than once in 2^59 samples.
#![forbid(unsafe_code)]

use arrayvec::ArrayVec;
use godwit_host::machine::NoRandomness;

#[cfg(test)]
mod tests;

/// How often the instruction may fail in a row: a tenth try that fails means a broken generator (Intel
/// Digital Random Number Generator Software Implementation Guide, 5.2.1).
const TRIES: usize = 10;
/// Samples drawn and thrown away first. Every one of them must differ from all others.
const START_UP_SAMPLES: usize = 8;
/// Samples that a new one is compared with: no 64-bit value comes back so soon.
const REMEMBERED: usize = 16;

/// Fills `out` from `source`, one try of RDRAND: `None` where the instruction said that it had nothing.
///
/// RDSEED may run dry in good health: a source that prefers it falls back to RDRAND in the same try.
///
/// # Errors
/// [`NoRandomness`] where the source has nothing ten times in a row, gives all zeros or all ones, or repeats
/// itself; `out` is then zeroed.
pub fn fill(mut source: impl FnMut() -> Option<u64>, out: &mut [u8]) -> Result<(), NoRandomness> {
    let filled = try_fill(&mut source, out);
    if filled.is_err() {
        out.fill(0);
    }
    filled
}

fn try_fill(source: &mut impl FnMut() -> Option<u64>, out: &mut [u8]) -> Result<(), NoRandomness> {
    let mut checked = Checked { source, recent: ArrayVec::new() };
    for _ in 0..START_UP_SAMPLES {
        checked.sample()?;
    }
    for chunk in out.chunks_mut(size_of::<u64>()) {
        let sample = checked.sample()?.to_le_bytes();
        for (byte, random) in chunk.iter_mut().zip(sample) {
            *byte = random;
        }
    }
    Ok(())
}

/// A source with the last samples it gave.
struct Checked<'a, S> {
    source: &'a mut S,
    recent: ArrayVec<u64, REMEMBERED>,
}

impl<S: FnMut() -> Option<u64>> Checked<'_, S> {
    fn sample(&mut self) -> Result<u64, NoRandomness> {
        let sample = (0..TRIES).find_map(|_| (self.source)()).ok_or(NoRandomness)?;
        if matches!(sample, 0 | u64::MAX) || self.recent.contains(&sample) {
            return Err(NoRandomness);
        }
        if self.recent.is_full() {
            self.recent.remove(0);
        }
        self.recent.push(sample);
        Ok(sample)
    }
}
