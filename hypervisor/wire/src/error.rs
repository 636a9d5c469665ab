//! What can be wrong with bytes from a peer.

use crate::offer::OfferError;

/// Why bytes are no message or record of this revision.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum WireError {
    /// A message of a kind that this host does not know and must not skip.
    #[error("message of unknown kind {kind:#06x}, which must not be skipped")]
    UnknownCritical {
        /// The kind with its critical bit.
        kind: u16,
    },
    /// A message says it is longer than any may be.
    #[error("a message of {bytes} bytes is announced: too long")]
    TooLong {
        /// Bytes of its body, as announced.
        bytes: u32,
    },
    /// A message's body is not what its kind says.
    #[error("the body of {message} cannot be decoded")]
    Body {
        /// The message's name.
        message: &'static str,
    },
    /// A field is outside its bounds.
    #[error(transparent)]
    Bound(#[from] BoundError),
    /// A datagram that is no record: too short, wrong magic, unknown kind, or fields that contradict each other.
    #[error("no record: {0}")]
    Record(&'static str),
    /// A record of another revision.
    #[error("a record of revision {revision}")]
    RecordRevision {
        /// As it says.
        revision: u8,
    },
}

/// A field of a message is outside its bounds; the same bounds hold for sending and receiving.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum BoundError {
    /// A chunk of machine state.
    #[error("a chunk of machine state is empty, longer than 64 KiB, or not one of its count")]
    StateChunk,
    /// What a guest's offer says of its memory.
    #[error("the offer: {0}")]
    Offer(#[from] OfferError),
    /// The message with all its fields is longer than any may be.
    #[error("the message is longer than any may be")]
    Message,
}
