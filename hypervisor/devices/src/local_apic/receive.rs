//! What an APIC does with interrupts that reach it: messages, its pins, its own entries.

use super::registers::Local;
use super::{LocalApic, MASKED};
use crate::message::{Delivery, Destination, Message};

/// Error status: a message with a vector below 16 was sent.
pub(super) const SENT_ILLEGAL_VECTOR: u32 = 1 << 5;
/// Error status: an interrupt with a vector below 16 arrived.
const RECEIVED_ILLEGAL_VECTOR: u32 = 1 << 6;
/// Error status: a register that does not exist was accessed.
pub(super) const ILLEGAL_REGISTER: u32 = 1 << 7;
/// The lowest vector that an APIC delivers.
pub(super) const LOWEST_VECTOR: u8 = 16;

impl LocalApic {
    /// Sets the level of LINT0, to which the 8259A is wired. As an external interrupt it is passed through,
    /// not latched.
    pub(crate) fn set_pin0(&mut self, level: bool) {
        let rises = level && !self.pin0;
        self.pin0 = level;
        if rises {
            self.fire(Local::Pin0);
        }
        let external = level && self.passes_external();
        self.attention |= external && !self.external;
        self.external = external;
    }

    /// An entry of the vector table has an interrupt.
    pub(super) fn fire(&mut self, entry: Local) {
        let value = self.entry(entry);
        if value & MASKED != 0 || !self.is_enabled() {
            return;
        }
        // The timer's and the error's entries have no delivery mode: these bits are 0 there, which is fixed.
        match Delivery::from_bits(u64::from(value >> 8)) {
            Some(Delivery::Fixed) => {
                self.request(value as u8, false);
            }
            Some(Delivery::Nmi) => self.note_nmi(),
            _ => {}
        }
    }

    /// Notes an error, and interrupts where the guest wants to know.
    pub(super) fn note_error(&mut self, error: u32) {
        self.new_errors |= error;
        let entry = self.entry(Local::Error);
        // An illegal vector here must not lead to the same error again.
        if entry & MASKED == 0 && entry as u8 >= LOWEST_VECTOR {
            self.request(entry as u8, false);
        }
    }

    /// Whether a message is for this APIC, which sent it or did not. One that is off hears nothing.
    pub(super) fn is_addressed(&self, destination: Destination, is_sender: bool) -> bool {
        self.is_enabled()
            && match destination {
                Destination::Sender => is_sender,
                Destination::All => true,
                Destination::Others => !is_sender,
                Destination::Physical(id) => id == self.id,
                Destination::Logical(set) => self.matches_logically(set),
            }
    }

    /// Whether it takes interrupts by vector.
    pub(super) fn takes_vectors(&self) -> bool {
        self.is_enabled() && self.is_software_enabled()
    }

    fn matches_logically(&self, set: u32) -> bool {
        if self.is_x2apic() {
            let own = self.extended_logical_id();
            return set == u32::MAX || (set >> 16 == own >> 16 && set & own & 0xffff != 0);
        }
        let own = self.logical_destination >> 24;
        const CLUSTERS: u32 = 0;
        if self.destination_format >> 28 == CLUSTERS {
            set == 0xff || (set >> 4 == own >> 4 && set & own & 0xf != 0)
        } else {
            set & own != 0
        }
    }

    /// The logical id in x2APIC mode, which follows from the id (SDM vol. 3, 11.12.10.2).
    pub(super) fn extended_logical_id(&self) -> u32 {
        (self.id >> 4) << 16 | 1 << (self.id & 0xf)
    }

    /// Takes a message that is for this APIC; `false` where it cannot.
    pub(super) fn accept(&mut self, message: Message) -> bool {
        match message.delivery {
            Delivery::Fixed | Delivery::LowestPriority => {
                return self.takes_vectors() && self.request(message.vector, message.level);
            }
            Delivery::Nmi => self.note_nmi(),
            Delivery::External => self.external_pending = true,
            Delivery::Init => self.receive_init(),
            Delivery::StartUp => self.receive_start_up(message.vector),
            Delivery::SystemManagement => return false,
        }
        true
    }

    fn note_nmi(&mut self) {
        self.attention |= !self.nmi_pending;
        self.nmi_pending = true;
    }

    fn request(&mut self, vector: u8, level: bool) -> bool {
        if vector < LOWEST_VECTOR {
            self.note_error(RECEIVED_ILLEGAL_VECTOR);
            return false;
        }
        self.attention |= !self.requested.contains(vector);
        self.requested.insert(vector);
        if level {
            self.trigger_mode.insert(vector);
        } else {
            self.trigger_mode.remove(vector);
        }
        true
    }
}
