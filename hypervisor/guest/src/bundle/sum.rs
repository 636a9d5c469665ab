//! Sums the files of a bundle in bounded steps.

use alloc::string::String;
use core::fmt;

use xxhash_rust::xxh3::Xxh3;

use super::FileRange;
use crate::file::{File, Truncated};

/// Bytes that are read at once.
const CHUNK_BYTES: usize = 4096;

/// A file is not the one that was packed.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum SumError {
    /// The bundle ends before the file does.
    #[error("`{name}` is truncated")]
    Truncated {
        /// The file.
        name: String,
    },
    /// The sum differs.
    #[error("`{name}` is damaged: its sum is {found:#018x}, and {expected:#018x} was packed")]
    Damaged {
        /// The file.
        name: String,
        /// The sum of what is there.
        found: u64,
        /// The sum of what was packed.
        expected: u64,
    },
}

/// A file of a bundle that is being summed.
pub struct FileSum {
    file: FileRange,
    at: u64,
    sum: Xxh3,
}

impl FileSum {
    /// Begins with `file`.
    pub fn new(file: FileRange) -> Self {
        Self { file, at: 0, sum: Xxh3::new() }
    }

    /// Sums about `budget_bytes` more of the file, at least one chunk of 4 KiB; `true` when all of it was summed and is
    /// right.
    ///
    /// # Errors
    /// [`SumError`]: do not boot from it.
    pub fn step(&mut self, bundle: &dyn File, budget_bytes: u64) -> Result<bool, SumError> {
        let mut chunk = [0; CHUNK_BYTES];
        let stop = self.at.saturating_add(budget_bytes.max(1));
        while self.at < self.file.bytes && self.at < stop {
            let left = usize::try_from(self.file.bytes - self.at).unwrap_or(CHUNK_BYTES);
            let part = &mut chunk[..left.min(CHUNK_BYTES)];
            let truncated = |Truncated| SumError::Truncated { name: self.file.name.clone() };
            self.file.within(bundle).read(self.at, part).map_err(truncated)?;
            self.sum.update(part);
            self.at += part.len() as u64;
        }
        if self.at < self.file.bytes {
            return Ok(false);
        }
        let (found, expected) = (self.sum.digest(), self.file.sum);
        if found != expected {
            return Err(SumError::Damaged { name: self.file.name.clone(), found, expected });
        }
        Ok(true)
    }
}

impl fmt::Debug for FileSum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileSum").field("file", &self.file).field("at", &self.at).finish_non_exhaustive()
    }
}
