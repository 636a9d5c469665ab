//! The interrupt command register (SDM vol. 3, 11.6.1).

use super::receive::{LOWEST_VECTOR, SENT_ILLEGAL_VECTOR};
use super::{Effect, LocalApic};
use crate::message::{Delivery, Destination, Message};

/// Destination mode: logical.
const LOGICAL: u64 = 1 << 11;
/// Sending goes on: never here.
const PENDING: u64 = 1 << 12;
/// Asserted, rather than de-asserted.
const ASSERT: u64 = 1 << 14;
/// Level-triggered. Processors since the Pentium 4 treat all but INIT as edges.
const LEVEL: u64 = 1 << 15;

impl LocalApic {
    /// Sends what the command register says.
    pub(super) fn send(&mut self, command: u64) -> Effect {
        self.command = command & !PENDING;
        let Some(delivery) = Delivery::from_bits(command >> 8) else { return Effect::None };
        let vector = command as u8;
        if matches!(delivery, Delivery::Fixed | Delivery::LowestPriority) && vector < LOWEST_VECTOR {
            self.note_error(SENT_ILLEGAL_VECTOR);
            return Effect::None;
        }
        // External interrupts do not come from CPUs: the mode is reserved here.
        if delivery == Delivery::External {
            return Effect::None;
        }
        // INIT level de-assert synchronized arbitration ids once. Systems still send it, and nothing happens (SDM vol. 3, 11.6.1).
        if delivery == Delivery::Init && command & (LEVEL | ASSERT) == LEVEL {
            return Effect::None;
        }
        Effect::Send(Message { destination: self.destination(command), delivery, vector, level: false })
    }

    /// The self-interrupt register of x2APIC mode.
    pub(super) fn send_to_self(&mut self, vector: u8) -> Effect {
        const TO_SELF: u64 = 0b01 << 18;
        let command = self.command;
        let effect = self.send(TO_SELF | u64::from(vector));
        self.command = command;
        effect
    }

    fn destination(&self, command: u64) -> Destination {
        let to = (command >> 32) as u32;
        let (to, everybody) = if self.is_x2apic() { (to, u32::MAX) } else { (to >> 24, 0xff) };
        let is_logical = command & LOGICAL != 0;
        match (command >> 18) & 3 {
            // In xAPIC mode what a logical destination means is up to who receives it.
            0 if to == everybody && (!is_logical || self.is_x2apic()) => Destination::All,
            0 if is_logical => Destination::Logical(to),
            0 => Destination::Physical(to),
            1 => Destination::Sender,
            2 => Destination::All,
            _ => Destination::Others,
        }
    }
}
