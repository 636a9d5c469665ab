//! The local APIC's timer (SDM vol. 3, 11.5.4): one-shot, periodic, TSC deadline.

use crate::time::{GuestTime, NANOSECONDS_PER_SECOND, Now};

/// Nanoseconds of one tick before the divider: the bus clock is 1 GHz, as KVM's.
const TICK_NS: u64 = 1;
/// A periodic timer does not fire more often than this, as in KVM.
const MINIMUM_PERIOD_NS: u64 = 200_000;

/// What the vector table's timer entry says of the mode (bits 17 and 18).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Mode {
    OneShot,
    Periodic,
    TscDeadline,
    Reserved,
}

impl Mode {
    pub(super) const fn of(entry: u32) -> Self {
        match (entry >> 17) & 3 {
            0 => Self::OneShot,
            1 => Self::Periodic,
            2 => Self::TscDeadline,
            _ => Self::Reserved,
        }
    }
}

/// The timer's state. Periods that were missed fire once together, and the grid they lie on stays.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Timer {
    pub(super) initial_count: u32,
    /// As in the divide configuration register.
    pub(super) divide: u8,
    /// When the count runs out.
    pub(super) expiry: Option<GuestTime>,
    /// The guest's TSC at which the timer fires in TSC-deadline mode; 0 is off.
    pub(super) tsc_deadline: u64,
}

impl Timer {
    /// The divider, 1 to 128.
    fn divider(&self) -> u64 {
        let bits = (self.divide >> 1) & 0b100 | self.divide & 0b011;
        if bits == 0b111 { 1 } else { 2 << bits }
    }

    fn ticks_ns(&self, ticks: u32) -> u64 {
        u64::from(ticks) * self.divider() * TICK_NS
    }

    fn period_ns(&self) -> u64 {
        self.ticks_ns(self.initial_count).max(MINIMUM_PERIOD_NS)
    }

    /// A write to the initial count starts over; 0 stops. Without effect in TSC-deadline mode.
    pub(super) fn set_initial_count(&mut self, now: GuestTime, mode: Mode, count: u32) {
        if mode == Mode::TscDeadline {
            return;
        }
        self.initial_count = count;
        let first = if mode == Mode::Periodic { self.period_ns() } else { self.ticks_ns(count) };
        self.expiry = (count != 0).then(|| now.after(first));
    }

    /// What is left of the count goes on at the new pace.
    pub(super) fn set_divide(&mut self, now: GuestTime, mode: Mode, divide: u8) {
        let left = self.current_count(now, mode);
        self.divide = divide & 0b1011;
        if self.expiry.is_some() {
            self.expiry = Some(now.after(self.ticks_ns(left)));
        }
    }

    /// Changing to or from TSC-deadline mode disarms (SDM vol. 3, 11.5.4.1).
    pub(super) fn change_mode(&mut self, old: Mode, new: Mode) {
        if (old == Mode::TscDeadline) != (new == Mode::TscDeadline) {
            self.expiry = None;
            self.tsc_deadline = 0;
            self.initial_count = 0;
        }
    }

    pub(super) fn current_count(&self, now: GuestTime, mode: Mode) -> u32 {
        let Some(expiry) = self.expiry else { return 0 };
        let mut left_ns = expiry.since(now);
        if left_ns == 0 && mode == Mode::Periodic {
            left_ns = self.period_ns() - now.since(expiry) % self.period_ns();
        }
        let left = left_ns.div_ceil(self.divider() * TICK_NS);
        u32::try_from(left).unwrap_or(u32::MAX).min(self.initial_count)
    }

    /// Whether the timer ran out since the last look; what was due is then over.
    pub(super) fn expires(&mut self, now: Now, mode: Mode) -> bool {
        if mode == Mode::TscDeadline {
            let due = self.tsc_deadline != 0 && self.tsc_deadline <= now.tsc;
            if due {
                self.tsc_deadline = 0;
            }
            return due;
        }
        let Some(expiry) = self.expiry.filter(|expiry| *expiry <= now.time) else { return false };
        self.expiry = if mode == Mode::Periodic {
            let period_ns = self.period_ns();
            let missed = now.time.since(expiry) / period_ns;
            Some(expiry.after(period_ns.saturating_mul(missed.saturating_add(1))))
        } else {
            None
        };
        true
    }

    /// When [`expires`](Self::expires) will say so; `tsc_hz` is not 0.
    pub(super) fn deadline(&self, now: Now, mode: Mode, tsc_hz: u64) -> Option<GuestTime> {
        if mode != Mode::TscDeadline {
            return self.expiry;
        }
        if self.tsc_deadline == 0 {
            return None;
        }
        let ticks = u128::from(self.tsc_deadline.saturating_sub(now.tsc));
        let nanoseconds = (ticks * u128::from(NANOSECONDS_PER_SECOND)).div_ceil(u128::from(tsc_hz.max(1)));
        Some(now.time.after(u64::try_from(nanoseconds).unwrap_or(u64::MAX)))
    }
}
