//! A report in few bytes, as it goes from host to host.
//!
//! | part | bytes |
//! |---|---|
//! | revision, 1 | 1 |
//! | total frames, free frames, frames of the largest run, frames at hand at most | 1 to 10 each |
//! | free runs of each order from 0 to 18 | 1 to 10 each |
//!
//! Numbers are little-endian base 128: seven bits to a byte, the top bit set in all but the last, in the shortest
//! form. A host of 1 TiB fits in about 45 bytes.

use core::fmt;

use arrayvec::ArrayVec;

use crate::order::Order;
use crate::report::Report;
use crate::run::FRAME_NUMBER_BITS;

/// The first byte.
const REVISION: u8 = 1;
/// Bytes of the longest number.
const NUMBER_BYTES: usize = 10;

/// A report's compact form.
pub type CompactReport = ArrayVec<u8, { 1 + (4 + Order::COUNT) * NUMBER_BYTES }>;

/// Why bytes are not a compact report.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DecodeError {
    /// The bytes end before the report does.
    Short,
    /// Bytes follow the report.
    Long,
    /// The revision is not known.
    Revision {
        /// The revision that the bytes say.
        revision: u8,
    },
    /// A number is not in its shortest form, or does not fit 64 bits.
    Number,
    /// The numbers contradict each other, or no memory is as large.
    Inconsistent,
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Short => write!(f, "the report ends too early"),
            Self::Long => write!(f, "bytes follow the report"),
            Self::Revision { revision } => {
                write!(f, "the report has revision {revision}, only {REVISION} is known")
            }
            Self::Number => write!(f, "a number of the report is malformed"),
            Self::Inconsistent => write!(f, "the numbers of the report contradict each other"),
        }
    }
}

impl core::error::Error for DecodeError {}

impl Report {
    /// The report in its compact form.
    pub fn encode(&self) -> CompactReport {
        let mut bytes = CompactReport::new();
        bytes.push(REVISION);
        let numbers =
            [self.total_frames, self.free_frames, self.largest_run_frames, self.cached_frames_at_most];
        for number in numbers.into_iter().chain(self.free_runs) {
            let mut rest = number;
            while rest >= 0x80 {
                bytes.push(rest as u8 | 0x80);
                rest >>= 7;
            }
            bytes.push(rest as u8);
        }
        bytes
    }

    /// The report that `bytes` are the compact form of, and nothing else.
    ///
    /// # Errors
    /// [`DecodeError`], for whatever a peer may send: what decodes is a report that some memory could have.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let (&revision, mut rest) = bytes.split_first().ok_or(DecodeError::Short)?;
        if revision != REVISION {
            return Err(DecodeError::Revision { revision });
        }
        let mut report = Self {
            total_frames: number(&mut rest)?,
            free_frames: number(&mut rest)?,
            largest_run_frames: number(&mut rest)?,
            cached_frames_at_most: number(&mut rest)?,
            ..Self::default()
        };
        for runs in &mut report.free_runs {
            *runs = number(&mut rest)?;
        }
        if !rest.is_empty() {
            return Err(DecodeError::Long);
        }
        if report.is_plausible() { Ok(report) } else { Err(DecodeError::Inconsistent) }
    }

    /// Whether some memory could have this report.
    fn is_plausible(&self) -> bool {
        const MOST: u64 = 1 << FRAME_NUMBER_BITS;
        let in_runs = Order::all().try_fold(0u64, |sum, order| {
            let runs = self.free_runs[order.index()];
            sum.checked_add(runs.checked_mul(order.frames())?)
        });
        let largest_order = Order::all().rev().find(|order| self.free_runs[order.index()] > 0);
        self.total_frames <= MOST
            && self.cached_frames_at_most <= MOST
            && self.free_frames <= self.total_frames
            && in_runs == Some(self.free_frames)
            && self.largest_run_frames <= self.free_frames
            && self.largest_run_frames >= largest_order.map_or(0, Order::frames)
    }
}

/// Takes a number off the front of `bytes`.
fn number(bytes: &mut &[u8]) -> Result<u64, DecodeError> {
    let mut number = 0;
    for shift in (0..u64::BITS).step_by(7) {
        let (&byte, rest) = bytes.split_first().ok_or(DecodeError::Short)?;
        *bytes = rest;
        let part = u64::from(byte & 0x7f);
        if part << shift >> shift != part {
            return Err(DecodeError::Number);
        }
        number |= part << shift;
        if byte & 0x80 == 0 {
            return if byte == 0 && shift > 0 { Err(DecodeError::Number) } else { Ok(number) };
        }
    }
    Err(DecodeError::Number)
}
