//! What the clock's interrupts are about: updates, alarms, periods.

use super::format::{Alarm, Format};
use super::registers::{Control, Flags};
use super::{CRYSTAL, Rtc};
use crate::time::{GuestTime, NANOSECONDS_PER_SECOND, earliest};

impl Rtc {
    /// Raises the flags of interrupts that are due. Those that nobody asked for are worked out when the flags
    /// are read.
    pub(crate) fn advance(&mut self, now: GuestTime) {
        const ANY: Control =
            Control::UPDATE_INTERRUPT.union(Control::ALARM_INTERRUPT).union(Control::PERIODIC_INTERRUPT);
        if self.control.intersects(ANY) {
            self.catch_up(now);
        }
    }

    /// When the next interrupt is due that is enabled and not pending yet.
    pub(crate) fn deadline(&self) -> Option<GuestTime> {
        let wanted =
            |enable: Control, flag: Flags| self.control.contains(enable) && !self.flags.contains(flag);
        let mut deadline = None;
        if wanted(Control::PERIODIC_INTERRUPT, Flags::PERIODIC) {
            deadline = self.next_period_tick().map(|tick| CRYSTAL.time_of(tick));
        }
        if self.runs() && wanted(Control::UPDATE_INTERRUPT, Flags::UPDATED) {
            deadline = earliest(deadline, self.time_of(self.seen_unix_s.saturating_add(1)));
        }
        if self.runs() && wanted(Control::ALARM_INTERRUPT, Flags::ALARM) {
            let alarm = self.alarm().next_after(self.seen_unix_s);
            deadline = earliest(deadline, alarm.and_then(|unix_s| self.time_of(unix_s)));
        }
        deadline
    }

    /// Works out what happened since the last time.
    pub(super) fn catch_up(&mut self, now: GuestTime) {
        let tick = CRYSTAL.ticks_at(now);
        if self.next_period_tick().is_some_and(|due| due <= tick) {
            self.flags |= Flags::PERIODIC;
        }
        self.seen_tick = self.seen_tick.max(tick);
        if !self.runs() {
            return;
        }
        let unix_s = self.unix_s(now);
        if unix_s > self.seen_unix_s {
            self.flags |= Flags::UPDATED;
            if self.alarm().next_after(self.seen_unix_s).is_some_and(|alarm| alarm <= unix_s) {
                self.flags |= Flags::ALARM;
            }
            self.seen_unix_s = unix_s;
        }
    }

    /// Reads and clears register C.
    pub(super) fn take_flags(&mut self) -> u8 {
        let interrupt = if self.has_interrupt() { Flags::INTERRUPT } else { Flags::empty() };
        let flags = self.flags | interrupt;
        self.flags = Flags::empty();
        flags.bits()
    }

    fn alarm(&self) -> Alarm {
        Format::of(self.control).alarm(|number| self.memory_at(number))
    }

    /// The tick of the next period's end; periods lie on a grid from the guest's start on.
    fn next_period_tick(&self) -> Option<u64> {
        let period = self.rate.period_ticks().filter(|_| self.rate.counts())?;
        (self.seen_tick / period + 1).checked_mul(period)
    }

    /// When a second begins, while the clock runs.
    fn time_of(&self, unix_s: i64) -> Option<GuestTime> {
        let seconds = i128::from(unix_s) - i128::from(self.anchor.unix_s);
        let at = self.anchor.at_ns.checked_add(seconds.checked_mul(i128::from(NANOSECONDS_PER_SECOND))?)?;
        u64::try_from(at).ok().map(GuestTime)
    }
}
