//! When to say what arrived: rarely, but before anybody waits for it.

use godwit_wire::Token;
use godwit_wire::record::Ack;

use super::window::ReceiveWindow;
use crate::outbox::Datagram;

/// Datagrams for one acknowledgement while nothing is missing.
pub(crate) const ACKNOWLEDGE_EVERY: u32 = 16;
/// The longest that an arrival goes without an acknowledgement.
pub(crate) const ACKNOWLEDGE_DELAY_NS: u64 = 2_000_000;

#[derive(Debug)]
pub(super) struct Acknowledger {
    token: Token,
    next_sequence: u32,
    unsaid: u32,
    due_ns: Option<u64>,
}

impl Acknowledger {
    pub(super) fn new(token: Token) -> Self {
        Self { token, next_sequence: 0, unsaid: 0, due_ns: None }
    }

    pub(super) fn due_ns(&self) -> Option<u64> {
        self.due_ns
    }

    /// How many were said.
    pub(super) fn said(&self) -> u64 {
        self.next_sequence.into()
    }

    /// A datagram arrived; `at_once` where somebody waits, or something is missing. Gives the acknowledgement where it is time.
    pub(super) fn arrived(&mut self, now_ns: u64, at_once: bool, window: &ReceiveWindow) -> Option<Datagram> {
        self.unsaid = self.unsaid.saturating_add(1);
        if at_once || self.unsaid >= ACKNOWLEDGE_EVERY {
            return Some(self.say(window));
        }
        self.due_ns.get_or_insert(now_ns.saturating_add(ACKNOWLEDGE_DELAY_NS));
        None
    }

    /// The acknowledgement that waited long enough.
    pub(super) fn on_tick(&mut self, now_ns: u64, window: &ReceiveWindow) -> Option<Datagram> {
        self.due_ns.is_some_and(|due_ns| due_ns <= now_ns).then(|| self.say(window))
    }

    fn say(&mut self, window: &ReceiveWindow) -> Datagram {
        let (base, arrived) = window.state();
        let ack = Ack { sequence: self.next_sequence, token: self.token, base, arrived };
        self.next_sequence = self.next_sequence.wrapping_add(1);
        self.unsaid = 0;
        self.due_ns = None;
        Datagram { header: ack.encode(), body: None }
    }
}
