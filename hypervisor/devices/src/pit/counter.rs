//! One counter: control word, latches, and how far it has counted.

use serde::{Deserialize, Serialize};

use super::Mode;

/// Which bytes of a count are read and written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) enum Access {
    /// The low byte only.
    Low,
    /// The high byte only.
    High,
    /// The low byte, then the high byte.
    Both,
}

/// Where the count stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) enum Progress {
    /// Not started.
    Idle,
    /// Counting since this tick of the timer's clock.
    Since(u64),
    /// Held by the gate after so many ticks.
    Held(u64),
}

/// One counter.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Counter {
    mode: Mode,
    decimal: bool,
    access: Access,
    gate: bool,
    /// The count as it was written: 0 stands for the largest.
    pub(super) count: u16,
    progress: Progress,
    /// A control word was written, and no count since.
    count_is_missing: bool,
    /// The low byte of a count whose high byte is still to come.
    written_low: Option<u8>,
    /// The next read gives the high byte.
    reads_high: bool,
    latched_count: Option<u16>,
    latched_status: Option<u8>,
}

impl Counter {
    pub(super) fn new(gate: bool) -> Self {
        Self {
            mode: Mode::InterruptOnTerminalCount,
            decimal: false,
            access: Access::Both,
            gate,
            count: 0,
            progress: Progress::Idle,
            count_is_missing: true,
            written_low: None,
            reads_high: false,
            latched_count: None,
            latched_status: None,
        }
    }

    pub(super) fn gate(&self) -> bool {
        self.gate
    }

    pub(super) fn is_periodic(&self) -> bool {
        self.mode.is_periodic()
    }

    /// A control word for this counter; with access bits 0 it is a latch command.
    pub(super) fn control(&mut self, tick: u64, value: u8) {
        self.access = match (value >> 4) & 3 {
            0 => return self.latch_count(tick),
            1 => Access::Low,
            2 => Access::High,
            _ => Access::Both,
        };
        self.mode = Mode::from_bits(value >> 1);
        self.decimal = value & 1 != 0;
        self.progress = Progress::Idle;
        self.count_is_missing = true;
        self.written_low = None;
        self.reads_high = false;
        self.latched_count = None;
        self.latched_status = None;
    }

    pub(super) fn latch_count(&mut self, tick: u64) {
        if self.latched_count.is_none() {
            self.latched_count = Some(self.value(tick));
        }
    }

    pub(super) fn latch_status(&mut self, tick: u64) {
        if self.latched_status.is_none() {
            let access = match self.access {
                Access::Low => 1,
                Access::High => 2,
                Access::Both => 3,
            };
            self.latched_status = Some(
                u8::from(self.output(tick)) << 7
                    | u8::from(self.count_is_missing) << 6
                    | access << 4
                    | self.mode.bits() << 1
                    | u8::from(self.decimal),
            );
        }
    }

    pub(super) fn read(&mut self, tick: u64) -> u8 {
        if let Some(status) = self.latched_status.take() {
            return status;
        }
        let value = self.latched_count.unwrap_or_else(|| self.value(tick));
        let [low, high] = value.to_le_bytes();
        let (byte, done) = match self.access {
            Access::Low => (low, true),
            Access::High => (high, true),
            Access::Both => {
                self.reads_high = !self.reads_high;
                if self.reads_high { (low, false) } else { (high, true) }
            }
        };
        if done {
            self.latched_count = None;
        }
        byte
    }

    pub(super) fn write(&mut self, tick: u64, value: u8) {
        match (self.access, self.written_low.take()) {
            (Access::Low, _) => self.load(tick, u16::from(value)),
            (Access::High, _) => self.load(tick, u16::from(value) << 8),
            (Access::Both, Some(low)) => self.load(tick, u16::from_le_bytes([low, value])),
            (Access::Both, None) => {
                self.written_low = Some(value);
                // In mode 0 the first byte stops the count (data sheet, "Mode 0").
                if self.mode == Mode::InterruptOnTerminalCount {
                    self.progress = Progress::Idle;
                }
            }
        }
    }

    pub(super) fn set_gate(&mut self, tick: u64, gate: bool) {
        let rises = gate && !self.gate;
        self.gate = gate;
        if self.count_is_missing {
            return;
        }
        if rises && !self.mode.is_held_by_gate() {
            self.progress = Progress::Since(tick);
        } else if self.mode.is_held_by_gate() {
            self.progress = match (gate, self.progress) {
                (true, Progress::Held(elapsed)) => Progress::Since(tick.wrapping_sub(elapsed)),
                (false, Progress::Since(start)) => Progress::Held(tick.wrapping_sub(start)),
                (_, progress) => progress,
            };
        } else if !gate && self.mode.is_periodic() {
            self.progress = Progress::Idle;
        }
    }

    pub(super) fn output(&self, tick: u64) -> bool {
        match self.elapsed(tick) {
            Some(elapsed) => self.mode.output(elapsed, self.period()),
            None => self.mode.idle_output(),
        }
    }

    /// The first tick after `tick` at which the output rises, as things stand.
    pub(super) fn next_rise(&self, tick: u64) -> Option<u64> {
        let Progress::Since(start) = self.progress else { return None };
        start.checked_add(self.mode.next_rise(tick.saturating_sub(start), self.period())?)
    }

    fn load(&mut self, tick: u64, count: u16) {
        self.count = count;
        self.count_is_missing = false;
        self.progress = match self.progress {
            // These wait for their gate, and a running one keeps running.
            progress if self.mode.starts_by_gate() => progress,
            _ if self.gate => Progress::Since(tick),
            _ if self.mode.is_held_by_gate() => Progress::Held(0),
            _ => Progress::Idle,
        };
    }

    fn elapsed(&self, tick: u64) -> Option<u64> {
        match self.progress {
            Progress::Idle => None,
            Progress::Since(start) => Some(tick.saturating_sub(start)),
            Progress::Held(elapsed) => Some(elapsed),
        }
    }

    fn modulus(&self) -> u64 {
        if self.decimal { 10_000 } else { 0x1_0000 }
    }

    /// Ticks that the count stands for, 1 to [`modulus`](Self::modulus).
    fn period(&self) -> u64 {
        let count = if self.decimal { from_decimal(self.count) } else { u64::from(self.count) };
        match count % self.modulus() {
            0 => self.modulus(),
            // Periods of one tick are not defined ("Mode 2", "Mode 3"); they would be an output that never
            // changes.
            1 if self.is_periodic() => 2,
            count => count,
        }
    }

    /// What the counting element holds, in the notation that was asked for.
    fn value(&self, tick: u64) -> u16 {
        let Some(elapsed) = self.elapsed(tick) else { return self.count };
        let value = self.mode.value(elapsed, self.period(), self.modulus());
        if self.decimal { to_decimal(value) } else { value as u16 }
    }
}

/// Four decimal digits, each in four bits, to a number; digits beyond 9 count as what they are.
fn from_decimal(digits: u16) -> u64 {
    (0..4).rev().fold(0, |sum, place| sum * 10 + u64::from((digits >> (4 * place)) & 0xf))
}

/// A number below 10000 as four decimal digits.
fn to_decimal(number: u64) -> u16 {
    (0..4)
        .fold((0, number), |(digits, rest), place| (digits | ((rest % 10) as u16) << (4 * place), rest / 10))
        .0
}
