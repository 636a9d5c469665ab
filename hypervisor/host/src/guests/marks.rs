//! Which guest frames were written.

use alloc::vec::Vec;
use core::{
    ops::Range,
    sync::atomic::{AtomicBool, Ordering, fence},
};

use spin::Mutex;

/// Frames of a word of marks.
const WORD: u64 = u64::BITS as u64;
/// Words that are taken at a time: others who mark wait no longer than that.
const WORDS_AT_A_TIME: usize = 64;

/// There is no memory for the marks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct NoMarks;

/// A mark for each guest frame that was written, while that is tracked.
///
/// Who writes marks *afterwards*: a mark that is taken stands for bytes that are there. What was written and not marked yet when marks
/// are taken is marked for the next time.
#[derive(Debug, Default)]
pub struct WriteMarks {
    is_kept: AtomicBool,
    words: Mutex<Vec<u64>>,
}

impl WriteMarks {
    /// Whether marks are kept.
    pub fn are_kept(&self) -> bool {
        self.is_kept.load(Ordering::Relaxed)
    }

    /// Keeps marks for guest frames below `end` from now on.
    ///
    /// # Errors
    /// [`NoMarks`]; none are kept.
    pub(super) fn begin(&self, end: u64) -> Result<(), NoMarks> {
        let mut words = Vec::new();
        let count = usize::try_from(end.div_ceil(WORD)).map_err(|_| NoMarks)?;
        words.try_reserve_exact(count).map_err(|_| NoMarks)?;
        words.resize(count, 0);
        *self.words.lock() = words;
        self.is_kept.store(true, Ordering::Relaxed);
        // With the one in `mark`: who wrote and found no marks kept wrote before whatever the caller reads from now on.
        fence(Ordering::SeqCst);
        Ok(())
    }

    /// Keeps no marks any more.
    pub(super) fn end(&self) {
        self.is_kept.store(false, Ordering::Relaxed);
        *self.words.lock() = Vec::new();
    }

    /// Says that these guest frames were written, after they were.
    pub(super) fn mark(&self, frames: Range<u64>) {
        fence(Ordering::SeqCst);
        if !self.are_kept() {
            return;
        }
        let mut words = self.words.lock();
        for frame in frames {
            if let Some(word) = words.get_mut((frame / WORD) as usize) {
                *word |= 1 << (frame % WORD);
            }
        }
    }

    /// Takes all marks, in the order of guest frames.
    pub(super) fn take(&self, found: &mut dyn FnMut(u64)) {
        let mut first = 0;
        loop {
            let mut taken = [0; WORDS_AT_A_TIME];
            {
                let mut words = self.words.lock();
                let Some(words) = words.get_mut(first..).filter(|words| !words.is_empty()) else { return };
                for (taken, word) in taken.iter_mut().zip(words) {
                    *taken = core::mem::take(word);
                }
            }
            for (word, mut bits) in (first as u64..).zip(taken) {
                while bits != 0 {
                    found(word * WORD + u64::from(bits.trailing_zeros()));
                    bits &= bits - 1;
                }
            }
            first += WORDS_AT_A_TIME;
        }
    }
}
