//! Bytes of guest memory.
//!
//! | offset | bytes | what |
//! |---|---|---|
//! | 0 | 16 | prefix, kind 0 |
//! | 16 | 4 | floor |
//! | 20 | 2 | round |
//! | 22 | 1 | order of the leaf that maps these frames at the source |
//! | 23 | 1 | flags: bit 0 acknowledge now, the others 0 |
//! | 24 | 8 | guest-physical address of the first byte |
//! | 32 | | the bytes: whole frames, or a piece of one frame |
//!
//! Address and length of a piece are multiples of [`GRANULE_BYTES`], so that 64 bits say what of a frame has arrived.

use godwit_guest::GuestAddress;

use super::{FRAME_BYTES, Header, KIND_PAGES, Place, Reader, Writer};
use crate::{Token, WireError};

/// Bytes of a page record before guest memory.
pub const PAGES_HEADER_BYTES: usize = 32;
/// Bytes of guest memory in one record at most: 15 frames, what fits a UDP datagram of 65,507 bytes.
pub const MAX_BODY_BYTES: usize = 15 * FRAME_BYTES as usize;
/// What address and length of a piece are multiples of.
pub const GRANULE_BYTES: u64 = 64;

const ACKNOWLEDGE_NOW: u8 = 1;

/// The header of a page record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pages {
    /// Its place in the stream.
    pub place: Place,
    /// The order of the leaf that maps these frames at the source, 0 to 18.
    pub order: u8,
    /// Where the bytes belong.
    pub at: GuestAddress,
}

impl Pages {
    /// The record's bytes before guest memory.
    pub fn encode(&self) -> Header {
        let mut writer = Writer::new(KIND_PAGES, self.place.sequence, self.place.token);
        writer.put(&self.place.floor.to_le_bytes());
        writer.put(&self.place.round.to_le_bytes());
        writer.put(&[self.order, encode_flags(&self.place)]);
        writer.put(&self.at.0.to_le_bytes());
        writer.0
    }

    pub(super) fn decode<'d>(
        sequence: u32,
        token: Token,
        mut reader: Reader<'d>,
    ) -> Result<(Self, &'d [u8]), WireError> {
        let floor = u32::from_le_bytes(reader.take()?);
        let round = u16::from_le_bytes(reader.take()?);
        let [order, flags] = reader.take()?;
        let at = GuestAddress(u64::from_le_bytes(reader.take()?));
        let place = decode_place(sequence, token, floor, round, flags)?;
        if order > 18 {
            return Err(WireError::Record("order above 18"));
        }
        let body = reader.0;
        check_body(at, body.len())?;
        Ok((Self { place, order, at }, body))
    }
}

fn check_body(at: GuestAddress, length: usize) -> Result<(), WireError> {
    if length == 0 || length > MAX_BODY_BYTES {
        return Err(WireError::Record("no page bytes, or more than 15 frames"));
    }
    let bytes = length as u64;
    if at.0.checked_add(bytes).is_none() {
        return Err(WireError::Record("page bytes beyond the last address"));
    }
    let whole_frames = at.offset() == 0 && bytes.is_multiple_of(FRAME_BYTES);
    let granules = at.offset().is_multiple_of(GRANULE_BYTES) && bytes.is_multiple_of(GRANULE_BYTES);
    let in_one_frame = granules && at.offset() + bytes <= FRAME_BYTES;
    if whole_frames || in_one_frame {
        Ok(())
    } else {
        Err(WireError::Record("page bytes are neither whole frames nor a piece of one"))
    }
}

pub(super) fn encode_flags(place: &Place) -> u8 {
    if place.acknowledge_now { ACKNOWLEDGE_NOW } else { 0 }
}

pub(super) fn decode_place(
    sequence: u32,
    token: Token,
    floor: u32,
    round: u16,
    flags: u8,
) -> Result<Place, WireError> {
    if floor > sequence {
        return Err(WireError::Record("floor above its own sequence"));
    }
    if flags & !ACKNOWLEDGE_NOW != 0 {
        return Err(WireError::Record("unknown flags"));
    }
    Ok(Place { sequence, token, floor, round, acknowledge_now: flags == ACKNOWLEDGE_NOW })
}
