//! The records of the page stream: one a datagram, little-endian, without padding.
//!
//! Every record begins with the same 16 bytes:
//!
//! | offset | bytes | what |
//! |---|---|---|
//! | 0 | 2 | magic, `gw` |
//! | 2 | 1 | revision, 0 |
//! | 3 | 1 | kind: 0 pages, 1 zeros, 2 acknowledgement |
//! | 4 | 4 | sequence: each sender counts its datagrams from 0 on; what is sent again has a new number |
//! | 8 | 8 | the move's token |

mod ack;
mod pages;
mod zeros;

use arrayvec::ArrayVec;

use crate::{Token, WireError};

pub use ack::{Ack, WINDOW_PACKETS, WINDOW_WORDS};
pub use pages::{GRANULE_BYTES, MAX_BODY_BYTES, PAGES_HEADER_BYTES, Pages};
pub use zeros::{MAX_ZERO_RANGES, ZeroRange, ZeroRanges, Zeros};

/// Bytes of a frame.
pub const FRAME_BYTES: u64 = 4096;
/// Bytes of the prefix that all records share.
pub const PREFIX_BYTES: usize = 16;
/// Bytes of the longest record, the body of a page record left out.
pub const MAX_HEADER_BYTES: usize = 96;
/// What the first two bytes of every record are.
pub const MAGIC: [u8; 2] = *b"gw";

const REVISION: u8 = 0;
const KIND_PAGES: u8 = 0;
const KIND_ZEROS: u8 = 1;
const KIND_ACK: u8 = 2;

/// A record's bytes; page bytes follow them in the datagram, and are never held here.
pub type Header = ArrayVec<u8, MAX_HEADER_BYTES>;

/// What every record of the page stream says of its place in the stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Place {
    /// The datagram's number.
    pub sequence: u32,
    /// The move.
    pub token: Token,
    /// The sender waits for no number below this one any more; at most `sequence`.
    pub floor: u32,
    /// Which pass over the guest's memory it belongs to, from 0 on.
    pub round: u16,
    /// The sender wants an acknowledgement at once, because it cannot go on without.
    pub acknowledge_now: bool,
}

/// A datagram, parsed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Record<'d> {
    /// Bytes of guest memory.
    Pages(Pages, &'d [u8]),
    /// Frames that are all zero.
    Zeros(Zeros),
    /// What arrived.
    Ack(Ack),
}

impl<'d> Record<'d> {
    /// Parses one datagram.
    ///
    /// # Errors
    /// [`WireError::Record`] or [`WireError::RecordRevision`].
    pub fn decode(datagram: &'d [u8]) -> Result<Self, WireError> {
        let mut reader = Reader(datagram);
        if reader.take()? != MAGIC {
            return Err(WireError::Record("wrong magic"));
        }
        let [revision, kind] = reader.take()?;
        if revision != REVISION {
            return Err(WireError::RecordRevision { revision });
        }
        let sequence = u32::from_le_bytes(reader.take()?);
        let token = Token(u64::from_le_bytes(reader.take()?));
        match kind {
            KIND_PAGES => {
                let (pages, body) = Pages::decode(sequence, token, reader)?;
                Ok(Self::Pages(pages, body))
            }
            KIND_ZEROS => Zeros::decode(sequence, token, reader).map(Self::Zeros),
            KIND_ACK => Ack::decode(sequence, token, reader).map(Self::Ack),
            _ => Err(WireError::Record("unknown kind")),
        }
    }

    /// The move it belongs to.
    pub fn token(&self) -> Token {
        match self {
            Self::Pages(pages, _) => pages.place.token,
            Self::Zeros(zeros) => zeros.place.token,
            Self::Ack(ack) => ack.token,
        }
    }
}

/// Takes fixed-size fields off the front of a datagram.
struct Reader<'d>(&'d [u8]);

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], WireError> {
        let (field, rest) = self.0.split_first_chunk().ok_or(WireError::Record("too short"))?;
        self.0 = rest;
        Ok(*field)
    }
}

/// Puts fields one behind the other. The layouts are fixed and [`MAX_HEADER_BYTES`] is the longest of them.
struct Writer(Header);

impl Writer {
    fn new(kind: u8, sequence: u32, token: Token) -> Self {
        let mut writer = Self(Header::new());
        writer.put(&MAGIC);
        writer.put(&[REVISION, kind]);
        writer.put(&sequence.to_le_bytes());
        writer.put(&token.0.to_le_bytes());
        writer
    }

    fn put(&mut self, field: &[u8]) {
        let fits = self.0.try_extend_from_slice(field);
        debug_assert!(fits.is_ok(), "the longest layout is shorter than {MAX_HEADER_BYTES} bytes");
    }
}
