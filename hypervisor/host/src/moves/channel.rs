//! Messages over a control connection.

use alloc::vec::Vec;

use godwit_wire::{BoundError, Message, StreamDecoder, WireError};

use crate::network::{Connection, ConnectionState, Network};

/// Bytes that may wait for a peer that does not read: an offer, or a part of the machine state, is longer than any answer.
const MAX_UNSENT: usize = 32 << 10;
/// Bytes that are read at once.
const CHUNK: usize = 4096;

/// Why nothing more comes.
#[derive(Debug)]
pub(super) enum Broken {
    /// The connection is gone.
    Gone,
    /// What came is no message.
    Wire(WireError),
}

/// One control connection, as messages.
pub(super) struct Channel {
    pub(super) connection: Connection,
    decoder: StreamDecoder,
    unsent: Vec<u8>,
    /// Bytes that came and hold messages that were not taken yet.
    received: Vec<u8>,
}

impl Channel {
    pub(super) fn new(connection: Connection) -> Self {
        Self { connection, decoder: StreamDecoder::new(), unsent: Vec::new(), received: Vec::new() }
    }

    /// Whether both ends may send.
    pub(super) fn is_open(&self, network: &Network<'_>) -> bool {
        network.state(self.connection) == ConnectionState::Open
    }

    /// Whether all that was said is on its way.
    pub(super) fn is_flushed(&self) -> bool {
        self.unsent.is_empty()
    }

    /// Says `message`, as soon as there is room.
    ///
    /// # Errors
    /// [`BoundError`]: it cannot be said.
    pub(super) fn say(&mut self, message: &Message) -> Result<(), BoundError> {
        self.unsent.extend(message.encode()?);
        Ok(())
    }

    /// Whether the peer does not read what it is told: then nothing more is heard of it for now.
    pub(super) fn is_clogged(&self) -> bool {
        self.unsent.len() > MAX_UNSENT
    }

    /// Hands over what there is room for.
    pub(super) fn send(&mut self, network: &mut Network<'_>) {
        if !self.unsent.is_empty()
            && let Ok(sent) = network.send(self.connection, &self.unsent)
        {
            self.unsent.drain(..sent.min(self.unsent.len()));
        }
    }

    /// The next message that came.
    ///
    /// # Errors
    /// [`Broken`].
    pub(super) fn hear(&mut self, network: &mut Network<'_>) -> Result<Option<Message>, Broken> {
        loop {
            let mut rest = self.received.as_slice();
            let message = self.decoder.read(&mut rest).map_err(Broken::Wire)?;
            let used = self.received.len() - rest.len();
            self.received.drain(..used);
            if message.is_some() {
                return Ok(message);
            }
            let mut chunk = [0; CHUNK];
            match network.receive(self.connection, &mut chunk) {
                Ok(0) => return Ok(None),
                Ok(count) => self.received.extend_from_slice(chunk.get(..count).unwrap_or_default()),
                Err(_) => return Err(Broken::Gone),
            }
        }
    }
}
