//! An entry of the redirection table (82093AA data sheet, 3.2.4).

use serde::{Deserialize, Serialize};

use crate::message::{Delivery, Destination, Message, MessageBus};

const LOGICAL: u64 = 1 << 11;
/// Sent and not ended yet; level-triggered entries only.
const REMOTE_IRR: u64 = 1 << 14;
const LEVEL: u64 = 1 << 15;
const MASK: u64 = 1 << 16;
/// What the guest can write: all but the delivery status (bit 12), the remote IRR and the reserved bits.
const WRITABLE: u64 = 0xff00_0000_0001_afff;

/// Where one pin's interrupt goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Redirection(u64);

impl Redirection {
    /// Masked, as after reset.
    pub(super) const MASKED: Self = Self(MASK);

    pub(super) const fn vector(self) -> u8 {
        self.0 as u8
    }

    pub(super) const fn is_level(self) -> bool {
        self.0 & LEVEL != 0
    }

    /// Whether no bit is set that cannot be.
    pub(super) const fn is_possible(self) -> bool {
        self.0 & !(WRITABLE | REMOTE_IRR) == 0 && (self.is_level() || self.0 & REMOTE_IRR == 0)
    }

    pub(super) const fn half(self, high: bool) -> u32 {
        if high { (self.0 >> 32) as u32 } else { self.0 as u32 }
    }

    pub(super) fn set_half(&mut self, high: bool, value: u32) {
        let shift = if high { 32 } else { 0 };
        let written = WRITABLE & (u64::from(u32::MAX) << shift);
        self.0 = self.0 & !written | (u64::from(value) << shift) & written;
        // Making an entry edge-triggered ends what it had under way: that is how systems clear a stuck one.
        if !self.is_level() {
            self.end();
        }
    }

    /// Ends what it had under way.
    pub(super) fn end(&mut self) {
        self.0 &= !REMOTE_IRR;
    }

    /// Sends where the level is active and nothing is under way.
    pub(super) fn send_level(&mut self, level: bool, bus: &mut dyn MessageBus) {
        if level && self.0 & (REMOTE_IRR | MASK) == 0 && self.send(bus) {
            self.0 |= REMOTE_IRR;
        }
    }

    /// Sends once.
    pub(super) fn send_edge(self, bus: &mut dyn MessageBus) {
        if self.0 & MASK == 0 {
            self.send(bus);
        }
    }

    fn send(self, bus: &mut dyn MessageBus) -> bool {
        let Some(delivery) = Delivery::from_bits(self.0 >> 8) else { return false };
        let to = (self.0 >> 56) as u32;
        let destination = match to {
            _ if self.0 & LOGICAL != 0 => Destination::Logical(to),
            // Eight bits here, so this is everybody even where local APICs have ids of 32 bits.
            0xff => Destination::All,
            id => Destination::Physical(id),
        };
        bus.deliver(Message { destination, delivery, vector: self.vector(), level: self.is_level() })
    }
}
