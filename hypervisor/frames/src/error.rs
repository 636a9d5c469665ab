//! What can go wrong, and what to do about it.

use core::fmt;

use crate::frame::HostFrame;
use crate::run::FrameRun;

/// Why a zone cannot be made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ZoneError {
    /// The span has no frames.
    Empty,
    /// The span ends above 2^52 bytes, where x86-64 has no memory.
    BeyondMemory,
    /// The span shares a 2 MiB block with an earlier zone.
    Overlap,
    /// There are [`MAX_ZONES`](crate::MAX_ZONES) zones already.
    TooMany,
    /// The metadata slice is too short.
    Metadata {
        /// Words that this span needs.
        needed_words: usize,
        /// Words that were given.
        given_words: usize,
    },
}

impl fmt::Display for ZoneError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => write!(f, "the zone has no frames"),
            Self::BeyondMemory => write!(f, "the zone ends above 2^52 bytes"),
            Self::Overlap => write!(f, "the zone shares a 2 MiB block with an earlier one"),
            Self::TooMany => write!(f, "there are {} zones already", crate::MAX_ZONES),
            Self::Metadata { needed_words, given_words } => {
                write!(f, "the zone needs {needed_words} words of metadata, {given_words} were given")
            }
        }
    }
}

impl core::error::Error for ZoneError {}

/// Why a named range of frames cannot be released, reserved or allocated.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RangeError {
    /// The range has no frames.
    Empty,
    /// The range does not lie in one zone.
    Outside,
    /// The range to release holds a frame that is free already.
    AlreadyFree {
        /// The first such frame.
        frame: HostFrame,
    },
    /// The range touches a frame that is in use, or may be.
    InUse {
        /// The first such frame, or the first frame of its 2 MiB block where the block does not tell which.
        frame: HostFrame,
        /// Free frames that CPU handles keep at hand, at most: drain them and try again.
        cached_frames_at_most: u64,
    },
}

impl RangeError {
    /// Completes an error of a zone, which does not know what CPU handles keep at hand.
    pub(crate) const fn with_cached(self, cached_frames_at_most: u64) -> Self {
        match self {
            Self::InUse { frame, .. } => Self::InUse { frame, cached_frames_at_most },
            other => other,
        }
    }
}

impl fmt::Display for RangeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => write!(f, "the range has no frames"),
            Self::Outside => write!(f, "the range does not lie in one zone"),
            Self::AlreadyFree { frame } => write!(f, "{frame:?} is free already"),
            Self::InUse { frame, cached_frames_at_most: 0 } => write!(f, "{frame:?} is in use"),
            Self::InUse { frame, cached_frames_at_most } => {
                write!(
                    f,
                    "{frame:?} is in use, or among the {cached_frames_at_most} or fewer that CPUs keep at hand"
                )
            }
        }
    }
}

impl core::error::Error for RangeError {}

/// Why an allocation failed; nothing was taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AllocateError {
    /// No free run is as large as this.
    Exhausted {
        /// Frames of the run that was asked for.
        wanted_frames: u64,
        /// Free frames that CPU handles keep at hand, at most: drain them and try again.
        cached_frames_at_most: u64,
    },
    /// The frames cannot be had in so few runs.
    Scattered {
        /// Frames asked for.
        wanted_frames: u64,
        /// Frames that the largest runs allowed would have held together.
        had_frames: u64,
        /// How many runs that would have been.
        had_runs: usize,
        /// Free frames that CPU handles keep at hand, at most: drain them and try again.
        cached_frames_at_most: u64,
    },
    /// The range asked for by name cannot be had.
    Range(RangeError),
}

impl AllocateError {
    /// Free frames that CPU handles keep at hand, at most: where this is not 0, drain them and try again.
    pub const fn cached_frames_at_most(&self) -> u64 {
        match self {
            Self::Exhausted { cached_frames_at_most, .. }
            | Self::Scattered { cached_frames_at_most, .. }
            | Self::Range(RangeError::InUse { cached_frames_at_most, .. }) => *cached_frames_at_most,
            Self::Range(_) => 0,
        }
    }
}

impl From<RangeError> for AllocateError {
    fn from(error: RangeError) -> Self {
        Self::Range(error)
    }
}

impl fmt::Display for AllocateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exhausted { wanted_frames, .. } => write!(f, "no free run of {wanted_frames} frames")?,
            Self::Scattered { wanted_frames, had_frames, had_runs, .. } => {
                write!(f, "{wanted_frames} frames wanted, {had_frames} to be had in {had_runs} runs")?;
            }
            Self::Range(error) => return error.fmt(f),
        }
        match self.cached_frames_at_most() {
            0 => Ok(()),
            cached => write!(f, "; CPUs keep up to {cached} more at hand"),
        }
    }
}

impl core::error::Error for AllocateError {}

/// A run that another allocator made: it is given back untouched.
#[derive(PartialEq, Eq, Debug)]
pub struct FreeError {
    /// The run.
    pub run: FrameRun,
}

impl fmt::Display for FreeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the {:?} belongs to another allocator", self.run)
    }
}

impl core::error::Error for FreeError {}
