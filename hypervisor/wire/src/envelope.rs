//! The envelope of a message: its kind, its length, its body.
//!
//! | offset | bytes | what |
//! |---|---|---|
//! | 0 | 2 | kind, little-endian; bit 15 is the critical bit |
//! | 2 | 4 | bytes of the body, little-endian |
//! | 6 | | the body: postcard, frozen per revision |
//!
//! A message of unknown kind with the critical bit fails; one without it is skipped, so that a later revision can add
//! what an earlier one may ignore.

use alloc::{boxed::Box, vec::Vec};

use postcard::{take_from_bytes, to_allocvec};
use serde::{Deserialize, Serialize};

use crate::{BoundError, Message, Reason, Token, WireError};

/// Bytes before the body.
pub const HEADER_BYTES: usize = 6;
/// Bytes of a body at most.
pub const MAX_BODY_BYTES: usize = 256 << 10;
/// The bit of a kind that forbids skipping.
pub const CRITICAL: u16 = 1 << 15;

const HELLO: u16 = CRITICAL | 1;
const OFFER: u16 = CRITICAL | 2;
const ACCEPT: u16 = CRITICAL | 3;
const REFUSE: u16 = CRITICAL | 4;
const STATE: u16 = CRITICAL | 5;
const SENT: u16 = CRITICAL | 6;
const PREPARED: u16 = CRITICAL | 7;
const GO: u16 = CRITICAL | 8;
const RUNNING: u16 = CRITICAL | 9;
const ABORT: u16 = CRITICAL | 10;
const INQUIRE: u16 = CRITICAL | 11;
const UNKNOWN: u16 = CRITICAL | 12;

fn is_known(kind: u16) -> bool {
    (HELLO..=UNKNOWN).contains(&kind)
}

impl Message {
    /// The message in its envelope, as it goes over the connection.
    ///
    /// # Errors
    /// [`BoundError`] where a field is outside its bounds; a peer would refuse it.
    pub fn encode(&self) -> Result<Vec<u8>, BoundError> {
        self.check()?;
        let (kind, body) = match self {
            Self::Hello(hello) => (HELLO, to_allocvec(hello)),
            Self::Offer(offer) => (OFFER, to_allocvec(offer)),
            Self::Accept(accept) => (ACCEPT, to_allocvec(accept)),
            Self::Refuse(refusal) => (REFUSE, to_allocvec(refusal)),
            Self::State(chunk) => (STATE, to_allocvec(chunk)),
            Self::Sent(sent) => (SENT, to_allocvec(sent)),
            Self::Prepared { root } => (PREPARED, to_allocvec(root)),
            Self::Go(go) => (GO, to_allocvec(go)),
            Self::Running { token } => (RUNNING, to_allocvec(token)),
            Self::Abort { token, reason } => (ABORT, to_allocvec(&(token, reason))),
            Self::Inquire { token } => (INQUIRE, to_allocvec(token)),
            Self::Unknown { token } => (UNKNOWN, to_allocvec(token)),
        };
        // Writing into a growing vector, postcard fails for no type of this crate; the bound is what can be missed.
        let body = body.map_err(|_| BoundError::Message)?;
        let length = u32::try_from(body.len()).ok().filter(|_| body.len() <= MAX_BODY_BYTES);
        let length = length.ok_or(BoundError::Message)?;
        let mut bytes = Vec::with_capacity(HEADER_BYTES + body.len());
        bytes.extend_from_slice(&kind.to_le_bytes());
        bytes.extend_from_slice(&length.to_le_bytes());
        bytes.extend_from_slice(&body);
        Ok(bytes)
    }
}

fn decode(kind: u16, body: &[u8]) -> Result<Message, WireError> {
    let message = match kind {
        // A later revision may add fields behind these: what is left over is its business.
        HELLO => {
            take_from_bytes(body).map(|(hello, _)| Message::Hello(hello)).map_err(|_| failed("HELLO"))?
        }
        OFFER => Message::Offer(Box::new(whole("OFFER", body)?)),
        ACCEPT => Message::Accept(whole("ACCEPT", body)?),
        REFUSE => Message::Refuse(whole("REFUSE", body)?),
        STATE => Message::State(whole("STATE", body)?),
        SENT => Message::Sent(whole("SENT", body)?),
        PREPARED => Message::Prepared { root: whole("PREPARED", body)? },
        GO => Message::Go(whole("GO", body)?),
        RUNNING => Message::Running { token: whole::<Token>("RUNNING", body)? },
        ABORT => {
            let (token, reason) = whole::<(Option<Token>, Reason)>("ABORT", body)?;
            Message::Abort { token, reason }
        }
        INQUIRE => Message::Inquire { token: whole::<Token>("INQUIRE", body)? },
        UNKNOWN => Message::Unknown { token: whole::<Token>("UNKNOWN", body)? },
        kind => return Err(WireError::UnknownCritical { kind }),
    };
    message.check()?;
    Ok(message)
}

fn failed(message: &'static str) -> WireError {
    WireError::Body { message }
}

/// A body that is one value of its type and nothing else.
fn whole<'b, T: Deserialize<'b> + Serialize>(message: &'static str, body: &'b [u8]) -> Result<T, WireError> {
    match take_from_bytes(body) {
        Ok((value, [])) => Ok(value),
        _ => Err(failed(message)),
    }
}

/// Makes messages of the bytes of a connection, in whatever pieces they come.
///
/// It holds one message's bytes at most. An error is final: where the next message would begin is then unknown.
#[derive(Debug, Default)]
pub struct StreamDecoder {
    /// Header and body of the message that is under way.
    held: Vec<u8>,
    /// Bytes still to be passed over of a message that may be skipped.
    skip: usize,
    broken: Option<WireError>,
}

impl StreamDecoder {
    /// A decoder at the beginning of a connection.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes bytes off the front of `bytes` up to the end of one message; `None` where they end before it does.
    ///
    /// # Errors
    /// [`WireError`], and the same one again in every later call.
    pub fn read(&mut self, bytes: &mut &[u8]) -> Result<Option<Message>, WireError> {
        if let Some(error) = self.broken {
            return Err(error);
        }
        let result = self.advance(bytes);
        self.broken = result.as_ref().err().copied();
        result
    }

    /// Whether a message is half here: a connection that ends now was cut.
    pub fn is_inside_message(&self) -> bool {
        !self.held.is_empty() || self.skip > 0
    }

    fn advance(&mut self, bytes: &mut &[u8]) -> Result<Option<Message>, WireError> {
        loop {
            let skipped = self.skip.min(bytes.len());
            take(bytes, skipped);
            self.skip -= skipped;
            self.hold(bytes, HEADER_BYTES);
            let Some((kind, length)) = self.header() else { return Ok(None) };
            let body_bytes = usize::try_from(length).unwrap_or(usize::MAX);
            if body_bytes > MAX_BODY_BYTES {
                return Err(WireError::TooLong { bytes: length });
            }
            if !is_known(kind) {
                if kind & CRITICAL != 0 {
                    return Err(WireError::UnknownCritical { kind });
                }
                self.held.clear();
                self.skip = body_bytes;
                continue;
            }
            self.hold(bytes, HEADER_BYTES + body_bytes);
            if self.held.len() < HEADER_BYTES + body_bytes {
                return Ok(None);
            }
            let message = decode(kind, self.held.get(HEADER_BYTES..).unwrap_or_default());
            // A long message must not keep its memory for the rest of the connection.
            self.held = Vec::new();
            return message.map(Some);
        }
    }

    /// Moves bytes in until `target` are held.
    fn hold(&mut self, bytes: &mut &[u8], target: usize) {
        let wanted = target.saturating_sub(self.held.len()).min(bytes.len());
        self.held.extend_from_slice(take(bytes, wanted));
    }

    fn header(&self) -> Option<(u16, u32)> {
        let (kind, rest) = self.held.split_first_chunk()?;
        let length = rest.first_chunk()?;
        Some((u16::from_le_bytes(*kind), u32::from_le_bytes(*length)))
    }
}

/// Splits `count` bytes (or all, where there are fewer) off the front.
fn take<'b>(bytes: &mut &'b [u8], count: usize) -> &'b [u8] {
    let (front, rest) = bytes.split_at_checked(count).unwrap_or((bytes, &[]));
    *bytes = rest;
    front
}
