//! What a state machine wants done.

use alloc::collections::VecDeque;

use godwit_guest::GuestAddress;
use godwit_wire::{Message, record::Header};

/// Bytes of guest memory, by address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct GuestRange {
    /// The first.
    pub at: GuestAddress,
    /// How many, at most 15 frames; no frame boundary inside unless whole frames are meant.
    pub bytes: u32,
}

/// A datagram to the peer's port for page records: `header`, then the bytes of `body`, which the network device reads from guest memory.
///
/// A datagram that cannot be sent now may be kept or dropped: what does not arrive is asked for again.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Datagram {
    /// The record's own bytes.
    pub header: Header,
    /// Guest memory that follows them.
    pub body: Option<GuestRange>,
}

/// What is to be done, oldest first in each queue. The caller empties it.
#[derive(Debug)]
pub struct Outbox<E> {
    /// For the control connection, in this order.
    pub messages: VecDeque<Message>,
    /// For the peer's page port, in any order.
    pub datagrams: VecDeque<Datagram>,
    /// For the host, in this order.
    pub events: VecDeque<E>,
}

impl<E> Outbox<E> {
    /// An empty outbox.
    pub const fn new() -> Self {
        Self { messages: VecDeque::new(), datagrams: VecDeque::new(), events: VecDeque::new() }
    }

    /// Whether nothing is to be done.
    pub fn is_empty(&self) -> bool {
        self.messages.is_empty() && self.datagrams.is_empty() && self.events.is_empty()
    }
}

impl<E> Default for Outbox<E> {
    fn default() -> Self {
        Self::new()
    }
}
