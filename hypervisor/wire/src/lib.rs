//! What hosts say to each other, byte by byte. `docs/PROTOCOL.md` is the document this crate implements.
//!
//! Two kinds of things cross the wire. [`Message`]s decide: they go over one connection, in order, each in an
//! [`envelope`] that says its kind and length. [`record`]s carry memory: one datagram each, in any order, lost or
//! doubled as the network likes, in fixed little-endian layouts.
//!
//! Whatever arrives is an error or a value that keeps every bound stated here; nothing in this crate can panic on it,
//! and nothing is allocated by a length that was announced but did not arrive.
#![forbid(unsafe_code)]
#![cfg_attr(not(test), no_std)]

extern crate alloc;

pub mod envelope;
mod error;
mod hello;
mod message;
mod offer;
pub mod record;
mod text;

pub use envelope::StreamDecoder;
pub use error::{BoundError, WireError};
pub use hello::{Hello, REVISION, RevisionMismatch};
pub use message::{Accept, Go, Message, Refusal, RefuseCode, Sent, StateChunk, Token};
pub use message::{MAX_STATE_BYTES, MAX_STATE_CHUNK_BYTES};
pub use offer::{Baseline, LeafRun, MAX_DESCRIPTION_BYTES, MAX_LEAF_RUNS, MAX_REGIONS};
pub use offer::{Offer, OfferError, PagePolicy, Region};
pub use text::{Name, Reason, Text};
