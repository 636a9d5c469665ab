//! What is on the way, and what must go again.
//!
//! The window holds descriptors only; guest memory is the retransmit buffer. Numbers are never used twice: what is lost
//! is sent under a new one, so that each answer says which sending it answers.

use alloc::collections::VecDeque;

use godwit_wire::record::{Ack, FRAME_BYTES, WINDOW_PACKETS, ZeroRanges};

use super::rtt::RoundTrip;
use crate::outbox::GuestRange;

/// A datagram is lost when one sent this much later has arrived: networks reorder a little (RFC 9002, 6.1.1).
const REORDERING: u32 = 3;
/// Fewer than this on the way, and waiting for delayed acknowledgements would rule the pace.
const LEAST_PACKETS: usize = 2 * crate::destination::ACKNOWLEDGE_EVERY as usize;

/// What a datagram carries.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Load {
    /// Bytes of guest memory, and the order of the leaf they lie in.
    Pages(GuestRange, u8),
    /// Names of zero frames.
    Zeros(ZeroRanges),
}

impl Load {
    /// Bytes of guest memory that it stands for, named ones included.
    pub(super) fn memory_bytes(&self) -> u64 {
        match self {
            Self::Pages(range, _) => range.bytes.into(),
            Self::Zeros(ranges) => ranges.frames().saturating_mul(FRAME_BYTES),
        }
    }
}

#[derive(Debug)]
struct Slot {
    /// `None`: acknowledged, or given up for a newer number.
    load: Option<Load>,
    sent_ns: u64,
}

/// What an acknowledgement settled.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Settled {
    pub(super) datagrams: u64,
    pub(super) memory_bytes: u64,
    pub(super) zero_frames: u64,
}

/// An acknowledgement of what was never sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct NeverSent;

#[derive(Debug)]
pub(super) struct SendWindow {
    /// The slot of number `floor`, and those behind it.
    slots: VecDeque<Slot>,
    floor: u32,
    capacity: usize,
    in_flight: usize,
    lost: VecDeque<Load>,
    /// The next datagram asks for an answer at once, because a timer ran out.
    probe: bool,
    round_trip: RoundTrip,
}

impl SendWindow {
    /// A window of about `window_bytes`, where a datagram has at most `datagram_bytes`.
    pub(super) fn new(window_bytes: u32, datagram_bytes: u32) -> Self {
        let packets = usize::try_from(window_bytes / datagram_bytes.max(1)).unwrap_or(usize::MAX);
        let capacity = packets.clamp(LEAST_PACKETS, WINDOW_PACKETS);
        Self {
            slots: VecDeque::with_capacity(capacity),
            floor: 0,
            capacity,
            in_flight: 0,
            lost: VecDeque::new(),
            probe: false,
            round_trip: RoundTrip::new(),
        }
    }

    /// The destination needs not wait for a number below.
    pub(super) fn floor(&self) -> u32 {
        self.floor
    }

    /// Whether something that was not sent before may go.
    pub(super) fn has_room(&self) -> bool {
        self.slots.len() < self.capacity && self.in_flight + self.lost.len() < self.capacity
    }

    /// Whether everything that was sent has arrived.
    pub(super) fn is_settled(&self) -> bool {
        self.in_flight == 0 && self.lost.is_empty()
    }

    pub(super) fn has_lost(&self) -> bool {
        !self.lost.is_empty()
    }

    /// Something that must go again, where the window has a number for it.
    pub(super) fn take_lost(&mut self) -> Option<Load> {
        if self.slots.len() < self.capacity { self.lost.pop_front() } else { None }
    }

    /// Whether a timer ran out since the last call.
    pub(super) fn take_probe(&mut self) -> bool {
        core::mem::take(&mut self.probe)
    }

    /// Puts `load` on the way, and gives its number; `None` when numbers have run out.
    pub(super) fn launch(&mut self, now_ns: u64, load: Load) -> Option<u32> {
        let behind = u32::try_from(self.slots.len()).ok()?;
        // The last number is left unused, so that the number behind it can still be said.
        let sequence = self.floor.checked_add(behind).filter(|&sequence| sequence < u32::MAX)?;
        self.slots.push_back(Slot { load: Some(load), sent_ns: now_ns });
        self.in_flight += 1;
        Some(sequence)
    }

    /// Settles what arrived, and finds what is lost.
    pub(super) fn acknowledge(&mut self, now_ns: u64, ack: &Ack) -> Result<Settled, NeverSent> {
        let next = u64::from(self.floor) + self.slots.len() as u64;
        let newest = ack.newest();
        if u64::from(ack.base) > next || newest.is_some_and(|newest| u64::from(newest) >= next) {
            return Err(NeverSent);
        }
        let mut settled = Settled::default();
        let mut newest_sent_ns = None;
        for (slot, sequence) in self.slots.iter_mut().zip(self.floor..) {
            if !ack.covers(sequence) {
                continue;
            }
            if let Some(load) = slot.load.take() {
                self.in_flight -= 1;
                newest_sent_ns = Some(slot.sent_ns);
                settled.datagrams += 1;
                settled.memory_bytes += load.memory_bytes();
                settled.zero_frames += if let Load::Zeros(ranges) = &load { ranges.frames() } else { 0 };
            }
        }
        if let Some(sent_ns) = newest_sent_ns {
            self.round_trip.measured(now_ns.saturating_sub(sent_ns));
        }
        let lost_below = newest.map_or(0, |newest| newest.saturating_sub(REORDERING - 1));
        for (slot, sequence) in self.slots.iter_mut().zip(self.floor..) {
            if sequence >= lost_below {
                break;
            }
            if let Some(load) = slot.load.take() {
                self.in_flight -= 1;
                self.lost.push_back(load);
            }
        }
        self.drop_settled();
        Ok(settled)
    }

    /// When to look for an answer that did not come.
    pub(super) fn deadline_ns(&self) -> Option<u64> {
        // The first slot is never a settled one, and slots are in the order of sending.
        let oldest = self.slots.front()?;
        Some(oldest.sent_ns.saturating_add(self.round_trip.timeout_ns()))
    }

    /// Gives the oldest datagram up when its time is over. One is enough: the answer to it shows what else is missing.
    pub(super) fn expire(&mut self, now_ns: u64) {
        if self.deadline_ns().is_none_or(|deadline_ns| deadline_ns > now_ns) {
            return;
        }
        if let Some(load) = self.slots.front_mut().and_then(|slot| slot.load.take()) {
            self.in_flight -= 1;
            self.lost.push_front(load);
        }
        self.probe = true;
        self.round_trip.missed();
        self.drop_settled();
    }

    fn drop_settled(&mut self) {
        while self.slots.pop_front_if(|slot| slot.load.is_none()).is_some() {
            self.floor += 1; // stays below the numbers that `launch` gave
        }
    }
}

#[cfg(test)]
mod tests;
