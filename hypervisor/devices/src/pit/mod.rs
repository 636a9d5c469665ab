//! The 8254 interval timer with port 0x61 (Intel data sheet 231164).
//!
//! Three counters run at [`HZ`]. Output 0 is ISA interrupt 0, counter 1 (memory refresh once) counts without
//! effect, counter 2 has its gate and output in port 0x61. A count that is written takes effect at once, as
//! in KVM, instead of at the end of the running period. Periods that were missed give one interrupt together,
//! and the grid they lie on stays; see [`MINIMUM_INTERVAL_NS`] for how often the host is asked to wake up.
//!
//! **How it migrates**: counters are saved with the tick of guest time at which they were started, so that
//! they have counted on by exactly the guest's time. What they read, the outputs and the next interrupt are
//! recomputed.

mod counter;
mod mode;
mod saved;
#[cfg(test)]
mod tests;

use crate::time::{GuestTime, Rate};
use counter::Counter;
use mode::Mode;

/// The ISA interrupt of counter 0.
pub(crate) const IRQ: u8 = 0;
/// Ticks a second.
pub(crate) const HZ: u32 = 1_193_182;
/// The host is not asked to wake up for counter 0 more often than this: a guest that programs a shorter
/// period would otherwise keep the host's timer busy. KVM uses the same bound.
const MINIMUM_INTERVAL_NS: u64 = 200_000;
/// Time between toggles of the refresh bit in port 0x61 on a PC.
const REFRESH_TOGGLE_NS: u64 = 15_085;

const CLOCK: Rate = Rate(HZ);
/// Port 0x61: gate of counter 2.
const GATE: u8 = 1 << 0;
/// Port 0x61: the loudspeaker follows output 2.
const SPEAKER: u8 = 1 << 1;
/// Port 0x61: toggles with memory refresh.
const REFRESH: u8 = 1 << 4;
/// Port 0x61: output 2.
const OUTPUT: u8 = 1 << 5;

/// The timer.
#[derive(Debug)]
pub(crate) struct Pit {
    counters: [Counter; 3],
    speaker: bool,
    /// Up to this tick the edges of output 0 have been reported.
    reported_tick: u64,
    /// When output 0 rises next, beyond `reported_tick`; derived from the rest.
    next_rise: Option<GuestTime>,
    last_interrupt: GuestTime,
}

/// What became of output 0 since it was last looked at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct TimerOutput {
    /// Whether it rose meanwhile, once or more.
    pub(crate) rose: bool,
    /// Its level now.
    pub(crate) level: bool,
}

impl Pit {
    /// Three counters that were never programmed and do not count.
    pub(crate) fn new() -> Self {
        Self {
            counters: [Counter::new(true), Counter::new(true), Counter::new(false)],
            speaker: false,
            reported_tick: 0,
            next_rise: None,
            last_interrupt: GuestTime(0),
        }
    }

    /// Reads port 0x40 + `offset` (0 to 3).
    pub(crate) fn read(&mut self, now: GuestTime, offset: u16) -> u8 {
        let tick = CLOCK.ticks_at(now);
        self.counters.get_mut(usize::from(offset)).map_or(u8::MAX, |counter| counter.read(tick))
    }

    /// Writes port 0x40 + `offset` (0 to 3).
    pub(crate) fn write(&mut self, now: GuestTime, offset: u16, value: u8) {
        let tick = CLOCK.ticks_at(now);
        match self.counters.get_mut(usize::from(offset)) {
            Some(counter) => counter.write(tick, value),
            None => self.command(tick, value),
        }
        self.reported_tick = self.reported_tick.max(tick);
        self.schedule();
    }

    /// Reads port 0x61.
    pub(crate) fn read_control(&self, now: GuestTime) -> u8 {
        let [_, _, speaker] = &self.counters;
        let mut value = 0;
        for (bit, on) in [
            (GATE, speaker.gate()),
            (SPEAKER, self.speaker),
            (REFRESH, (now.0 / REFRESH_TOGGLE_NS) & 1 != 0),
            (OUTPUT, speaker.output(CLOCK.ticks_at(now))),
        ] {
            value |= if on { bit } else { 0 };
        }
        value
    }

    /// Writes port 0x61.
    pub(crate) fn write_control(&mut self, now: GuestTime, value: u8) {
        let [_, _, speaker] = &mut self.counters;
        speaker.set_gate(CLOCK.ticks_at(now), value & GATE != 0);
        self.speaker = value & SPEAKER != 0;
    }

    /// Looks at output 0. However often it rose since the last look, that is one interrupt.
    pub(crate) fn look(&mut self, now: GuestTime) -> TimerOutput {
        let tick = CLOCK.ticks_at(now);
        let rose = self.next_rise.is_some_and(|rise| rise <= now);
        if rose {
            self.last_interrupt = now;
        }
        self.reported_tick = self.reported_tick.max(tick);
        if rose {
            self.schedule();
        }
        let [timer, ..] = &self.counters;
        TimerOutput { rose, level: timer.output(tick) }
    }

    /// When [`look`](Self::look) has something to report next.
    pub(crate) fn deadline(&self) -> Option<GuestTime> {
        let bound = self.last_interrupt.after(MINIMUM_INTERVAL_NS);
        let periodic = self.counters.first().is_some_and(Counter::is_periodic);
        self.next_rise.map(|rise| if periodic { rise.max(bound) } else { rise })
    }

    fn schedule(&mut self) {
        let [timer, ..] = &self.counters;
        self.next_rise = timer.next_rise(self.reported_tick).map(|tick| CLOCK.time_of(tick));
    }

    /// The control word register at port 0x43.
    fn command(&mut self, tick: u64, value: u8) {
        const READ_BACK: u8 = 3;
        let selected = value >> 6;
        if selected == READ_BACK {
            for (number, counter) in self.counters.iter_mut().enumerate() {
                if value & (2 << number) != 0 {
                    if value & 0x20 == 0 {
                        counter.latch_count(tick);
                    }
                    if value & 0x10 == 0 {
                        counter.latch_status(tick);
                    }
                }
            }
        } else if let Some(counter) = self.counters.get_mut(usize::from(selected)) {
            counter.control(tick, value);
        }
    }
}
