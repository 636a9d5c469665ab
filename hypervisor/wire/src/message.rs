//! The messages of the control connection.

use alloc::{boxed::Box, vec::Vec};

use serde::{Deserialize, Serialize};

use crate::{BoundError, Hello, Offer, Reason};

/// Bytes of machine state in one message at most.
pub const MAX_STATE_CHUNK_BYTES: usize = 64 << 10;
/// Bytes of machine state in all at most.
pub const MAX_STATE_BYTES: usize = 1 << 20;

/// A move's name, minted by the destination, which owns the frames that were reserved. No two moves to one host share one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash, Serialize, Deserialize)]
pub struct Token(pub u64);

/// The destination has reserved what the offer needs.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Accept {
    /// The move's name from here on.
    pub token: Token,
    /// The UDP port at the destination that takes page records.
    pub page_port: u16,
    /// Bytes of UDP payload that reach the destination at most.
    pub datagram_bytes: u16,
    /// The key of the sums over frames.
    pub sum_key: u64,
}

/// Why a destination does not take a guest, for programs.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum RefuseCode {
    /// Not enough memory.
    Memory,
    /// A guest of that name is here already.
    NameTaken,
    /// The processor does not offer the guest's baseline.
    Baseline,
    /// The time stamp counters' frequencies differ too much.
    TscFrequency,
    /// The guest's description makes no sense here.
    Description,
    /// Not now: another move, or no CPU left.
    Busy,
}

/// The destination does not take the guest.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Refusal {
    /// For programs.
    pub code: RefuseCode,
    /// For people.
    pub reason: Reason,
}

/// A part of the machine state; parts come in order.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct StateChunk {
    /// Which, from 0 on.
    pub index: u16,
    /// How many there are.
    pub of: u16,
    /// 1 to [`MAX_STATE_CHUNK_BYTES`] bytes.
    pub bytes: Vec<u8>,
}

/// Everything was sent and acknowledged.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Sent {
    /// Datagrams with page or zero records, those sent again counted again.
    pub packets: u64,
    /// All frames of the guest's RAM, the zero ones too.
    pub frames: u64,
    /// The sum over all frames.
    pub root: u64,
    /// The sum over the machine state.
    pub state_sum: u64,
}

/// The destination may run the guest; from here on the source may not.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Go {
    /// The move, so that no other can be meant.
    pub token: Token,
    /// How long the guest stood still when this was said, in ns.
    pub paused_ns: u64,
}

/// One message of the control connection. Who may say what, when, and what it means: `docs/PROTOCOL.md`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Message {
    /// Both, first of all.
    Hello(Hello),
    /// Source: this guest wants to move.
    Offer(Box<Offer>),
    /// Destination: it may, the frames are reserved.
    Accept(Accept),
    /// Destination: it may not.
    Refuse(Refusal),
    /// Source: a part of the machine state.
    State(StateChunk),
    /// Source: everything was sent and acknowledged.
    Sent(Sent),
    /// Destination: everything arrived, was checked and is in place; this is the sum over all frames.
    Prepared {
        /// As the destination counted it.
        root: u64,
    },
    /// Source: run it.
    Go(Go),
    /// Destination: it runs here.
    Running {
        /// The move.
        token: Token,
    },
    /// Either: the move is off. A destination that says it has not run the guest and never will.
    Abort {
        /// The move, once it has a name. After GO nothing counts that does not name it: a connection that never was this
        /// move's can end for reasons of its own.
        token: Option<Token>,
        /// Why, for people.
        reason: Reason,
    },
    /// Source, on a new connection: does it run?
    Inquire {
        /// The move.
        token: Token,
    },
    /// Destination: it knows of no such move (for example because the host was started again).
    Unknown {
        /// The move that was asked for.
        token: Token,
    },
}

impl Message {
    /// Its name, as `docs/PROTOCOL.md` spells it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Hello(_) => "HELLO",
            Self::Offer(_) => "OFFER",
            Self::Accept(_) => "ACCEPT",
            Self::Refuse(_) => "REFUSE",
            Self::State(_) => "STATE",
            Self::Sent(_) => "SENT",
            Self::Prepared { .. } => "PREPARED",
            Self::Go(_) => "GO",
            Self::Running { .. } => "RUNNING",
            Self::Abort { .. } => "ABORT",
            Self::Inquire { .. } => "INQUIRE",
            Self::Unknown { .. } => "UNKNOWN",
        }
    }

    /// Checks the bounds that its type does not keep already.
    ///
    /// # Errors
    /// [`BoundError`].
    pub fn check(&self) -> Result<(), BoundError> {
        match self {
            Self::Offer(offer) => Ok(offer.check()?),
            Self::State(chunk) => chunk.check(),
            _ => Ok(()),
        }
    }
}

impl StateChunk {
    fn check(&self) -> Result<(), BoundError> {
        let bytes_fit = (1..=MAX_STATE_CHUNK_BYTES).contains(&self.bytes.len());
        // Chunks may be shorter than the largest, but no chunk is empty, so their count is bounded by the bytes.
        if bytes_fit && self.index < self.of { Ok(()) } else { Err(BoundError::StateChunk) }
    }
}
