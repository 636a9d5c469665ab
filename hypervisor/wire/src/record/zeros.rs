//! Frames that are all zero: named, not sent.
//!
//! | offset | bytes | what |
//! |---|---|---|
//! | 0 | 16 | prefix, kind 1 |
//! | 16 | 4 | floor |
//! | 20 | 2 | round |
//! | 22 | 1 | how many ranges, 1 to 8 |
//! | 23 | 1 | flags: bit 0 acknowledge now, the others 0 |
//! | 24 | 8 | guest frame that the first range begins with |
//! | 32 | 8 each | gap (4): frames between the end of the range before and this one, 0 for the first only; count (4): frames, not 0 |

use arrayvec::ArrayVec;
use godwit_guest::GuestFrame;

use super::pages::{decode_place, encode_flags};
use super::{Header, KIND_ZEROS, Place, Reader, Writer};
use crate::{Token, WireError};

/// Ranges in one record at most.
pub const MAX_ZERO_RANGES: usize = 8;

/// Frames one behind the other that are all zero.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ZeroRange {
    /// The first.
    pub start: GuestFrame,
    /// How many, not 0.
    pub frames: u32,
}

impl ZeroRange {
    /// The first frame behind it; saturates.
    pub fn end(&self) -> GuestFrame {
        GuestFrame(self.start.0.saturating_add(self.frames.into()))
    }
}

/// Ranges in ascending order that fit one record.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ZeroRanges(ArrayVec<ZeroRange, MAX_ZERO_RANGES>);

impl ZeroRanges {
    /// No range.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds `frame`, by making the last range longer where that is possible; `false` where it does not fit this record.
    pub fn push(&mut self, frame: GuestFrame) -> bool {
        if let Some(last) = self.0.last_mut() {
            if last.end() == frame && last.frames < u32::MAX {
                last.frames += 1;
                return true;
            }
            let gap = frame.0.checked_sub(last.end().0);
            if gap.is_none_or(|gap| u32::try_from(gap).is_err()) {
                return false;
            }
        }
        self.0.try_push(ZeroRange { start: frame, frames: 1 }).is_ok()
    }

    /// The ranges, ascending and apart from each other.
    pub fn as_slice(&self) -> &[ZeroRange] {
        &self.0
    }

    /// All frames in all ranges.
    pub fn frames(&self) -> u64 {
        self.0.iter().map(|range| u64::from(range.frames)).sum()
    }

    /// Whether there is no range.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// A zero record.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Zeros {
    /// Its place in the stream.
    pub place: Place,
    /// The frames.
    pub ranges: ZeroRanges,
}

impl Zeros {
    /// The record's bytes, all of them.
    pub fn encode(&self) -> Header {
        let ranges = self.ranges.as_slice();
        let base = ranges.first().map_or(GuestFrame(0), |first| first.start);
        let mut writer = Writer::new(KIND_ZEROS, self.place.sequence, self.place.token);
        writer.put(&self.place.floor.to_le_bytes());
        writer.put(&self.place.round.to_le_bytes());
        writer.put(&[ranges.len() as u8, encode_flags(&self.place)]); // at most MAX_ZERO_RANGES
        writer.put(&base.0.to_le_bytes());
        let mut end = base.0;
        for range in ranges {
            let gap = range.start.0.saturating_sub(end) as u32; // `push` lets no larger gap in
            writer.put(&gap.to_le_bytes());
            writer.put(&range.frames.to_le_bytes());
            end = range.end().0;
        }
        writer.0
    }

    pub(super) fn decode(sequence: u32, token: Token, mut reader: Reader<'_>) -> Result<Self, WireError> {
        let floor = u32::from_le_bytes(reader.take()?);
        let round = u16::from_le_bytes(reader.take()?);
        let [count, flags] = reader.take()?;
        let mut end = u64::from_le_bytes(reader.take()?);
        let place = decode_place(sequence, token, floor, round, flags)?;
        if !(1..=MAX_ZERO_RANGES).contains(&count.into()) {
            return Err(WireError::Record("no zero range, or more than 8"));
        }
        let mut ranges = ArrayVec::new();
        for index in 0..count {
            let gap = u32::from_le_bytes(reader.take()?);
            let frames = u32::from_le_bytes(reader.take()?);
            let start =
                end.checked_add(gap.into()).ok_or(WireError::Record("zero frames beyond the last"))?;
            end = start.checked_add(frames.into()).ok_or(WireError::Record("zero frames beyond the last"))?;
            if frames == 0 || (index == 0) != (gap == 0) {
                return Err(WireError::Record("a zero range is empty, or not apart from the one before"));
            }
            ranges.push(ZeroRange { start: GuestFrame(start), frames });
        }
        if !reader.0.is_empty() {
            return Err(WireError::Record("bytes behind the last zero range"));
        }
        Ok(Self { place, ranges: ZeroRanges(ranges) })
    }
}
