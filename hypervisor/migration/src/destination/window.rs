//! Which numbers arrived.

use godwit_wire::record::{WINDOW_PACKETS, WINDOW_WORDS};

/// Numbers below `base` are done with; bit i of word w says whether `base + 64 w + i` arrived. Bit 0 of word 0 is never set.
#[derive(Debug, Default)]
pub(super) struct ReceiveWindow {
    base: u32,
    arrived: [u64; WINDOW_WORDS],
    /// The number behind the newest that arrived.
    newest_end: u64,
}

/// What a number is, against those that arrived.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Standing {
    New,
    /// It arrived already, or the sender gave it up for another.
    Past,
    /// Further ahead than a sender may be.
    TooFar,
}

impl ReceiveWindow {
    /// The base and the bits behind it, as an acknowledgement says them.
    pub(super) fn state(&self) -> (u32, [u64; WINDOW_WORDS]) {
        (self.base, self.arrived)
    }

    pub(super) fn standing(&self, sequence: u32) -> Standing {
        let Some(ahead) = sequence.checked_sub(self.base).map(|ahead| ahead as usize) else {
            return Standing::Past;
        };
        match self.arrived.get(ahead / 64) {
            None => Standing::TooFar,
            Some(word) if word >> (ahead % 64) & 1 == 1 => Standing::Past,
            Some(_) => Standing::New,
        }
    }

    /// The sender waits for nothing below `floor` any more.
    pub(super) fn raise(&mut self, floor: u32) {
        if let Some(count) = floor.checked_sub(self.base) {
            self.shift(count);
            self.settle();
        }
    }

    /// Notes an arrival; answers whether something before it is missing that was not known to be.
    pub(super) fn mark(&mut self, sequence: u32) -> bool {
        let Some(ahead) = sequence.checked_sub(self.base).map(|ahead| ahead as usize) else { return false };
        if let Some(word) = self.arrived.get_mut(ahead / 64) {
            *word |= 1 << (ahead % 64);
        }
        let opens_gap = u64::from(sequence) > self.newest_end.max(self.base.into());
        self.newest_end = self.newest_end.max(u64::from(sequence) + 1);
        self.settle();
        opens_gap
    }

    /// Moves the base over what arrived without a gap.
    fn settle(&mut self) {
        while let run @ 1.. = self.arrived.first().map_or(0, |word| word.trailing_ones()) {
            self.shift(run);
        }
    }

    /// Moves the base up by `count`.
    fn shift(&mut self, count: u32) {
        self.base = self.base.saturating_add(count);
        if count as usize >= WINDOW_PACKETS {
            self.arrived = [0; WINDOW_WORDS];
            return;
        }
        let (words, bits) = (count as usize / 64, count % 64);
        let old = self.arrived;
        let word = |index: usize| old.get(index).copied().unwrap_or(0);
        for (index, new) in self.arrived.iter_mut().enumerate() {
            let (low, high) = (word(index + words), word(index + words + 1));
            *new = if bits == 0 { low } else { low >> bits | high << (64 - bits) };
        }
    }
}

#[cfg(test)]
mod tests;
