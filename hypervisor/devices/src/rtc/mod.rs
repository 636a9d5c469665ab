//! The MC146818 real-time clock with 128 bytes of CMOS memory, at ports 0x70 and 0x71 (Motorola data sheet).
//!
//! The clock shows UTC: the wall clock at the guest's start plus guest time. It is not ticked: what happened
//! is worked out when somebody looks, and the host is asked to wake up only for interrupts that are enabled
//! and not pending yet. The day of the week follows from the date. Daylight saving and the square wave output
//! have no effect.
//!
//! **How it migrates**: the memory and the flags are saved, and the date as one pair: these seconds since
//! 1970 at that guest time. The clock goes on by the guest's time. The interrupt line is recomputed.

mod calendar;
mod events;
mod format;
mod registers;
mod saved;
#[cfg(test)]
mod tests;

use crate::time::{GuestTime, NANOSECONDS_PER_SECOND, Rate};
use format::Format;
use registers::{Control, Flags, RateControl, register};

/// The ISA interrupt.
pub(crate) const IRQ: u8 = 8;
/// The register that holds the century, as the FADT says.
pub(crate) const CENTURY_REGISTER: u8 = 0x32;
/// Bytes of CMOS memory, the clock's registers among them.
const MEMORY_BYTES: usize = 128;
/// Ticks a second of the crystal.
const CRYSTAL: Rate = Rate(32_768);
/// The update bit is up so long before a second ends: 244 µs of warning and 1984 µs of update (data sheet,
/// figure 18).
const UPDATE_NS: u64 = 2_228_000;
/// After the divider was released the first second is half a one (data sheet, "Divider Control").
const FIRST_UPDATE_NS: u64 = NANOSECONDS_PER_SECOND / 2;

/// The date, as a point where it was known.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Anchor {
    /// Seconds since 1970.
    unix_s: i64,
    /// When that second began. Below 0 where it began before the guest did.
    at_ns: i128,
}

/// The clock.
#[derive(Debug)]
pub(crate) struct Rtc {
    selected: u8,
    memory: [u8; MEMORY_BYTES],
    rate: RateControl,
    control: Control,
    flags: Flags,
    anchor: Anchor,
    /// Up to here updates and alarms have been worked out, in seconds since 1970.
    seen_unix_s: i64,
    /// Up to here periodic interrupts have been worked out, in ticks of the crystal.
    seen_tick: u64,
}

impl Rtc {
    /// A clock that shows `wall_clock_start_s` (seconds since 1970) at the guest's start.
    pub(crate) fn new(wall_clock_start_s: i64, memory_bytes: u64) -> Self {
        let shown = calendar::SHOWN;
        let unix_s = wall_clock_start_s.clamp(*shown.start(), *shown.end());
        let mut rtc = Self {
            selected: 0,
            memory: [0; MEMORY_BYTES],
            rate: RateControl::DEFAULT,
            control: Control::HOURS_24,
            flags: Flags::empty(),
            anchor: Anchor { unix_s, at_ns: 0 },
            seen_unix_s: unix_s,
            seen_tick: 0,
        };
        rtc.describe_memory(memory_bytes);
        rtc
    }

    /// The level of the interrupt line.
    pub(crate) fn has_interrupt(&self) -> bool {
        self.control.bits() & self.flags.bits() != 0
    }

    /// Whether an alarm is why the interrupt line is up.
    pub(crate) fn has_alarm(&self) -> bool {
        self.control.contains(Control::ALARM_INTERRUPT) && self.flags.contains(Flags::ALARM)
    }

    /// Reads port 0x70 (`offset` 0) or 0x71 (1).
    pub(crate) fn read(&mut self, now: GuestTime, offset: u16) -> u8 {
        // The index cannot be read.
        if offset == 0 {
            return u8::MAX;
        }
        self.catch_up(now);
        match self.selected {
            register::RATE => self.rate.0 | if self.is_updating(now) { RateControl::UPDATING } else { 0 },
            register::CONTROL => self.control.bits(),
            register::FLAGS => self.take_flags(),
            // The battery is good.
            register::VALID => 0x80,
            number => {
                if self.runs() {
                    self.show(self.unix_s(now));
                }
                self.memory_at(number)
            }
        }
    }

    /// Writes port 0x70 (`offset` 0) or 0x71 (1). Bit 7 of the index would hold off NMIs, of which this board
    /// has none.
    pub(crate) fn write(&mut self, now: GuestTime, offset: u16, value: u8) {
        if offset == 0 {
            self.selected = value & 0x7f;
            return;
        }
        self.catch_up(now);
        match self.selected {
            register::RATE => self.change_mode(now, RateControl(value & 0x7f), self.control),
            register::CONTROL => self.change_mode(now, self.rate, Control::from_bits_retain(value)),
            register::FLAGS | register::VALID => {}
            number => self.write_memory(now, number, value),
        }
    }

    /// Whether the date goes on: the divider counts, and nobody is setting the clock.
    fn runs(&self) -> bool {
        self.rate.counts() && !self.control.contains(Control::SET)
    }

    /// The date now, in seconds since 1970, while the clock runs.
    fn unix_s(&self, now: GuestTime) -> i64 {
        let since = (i128::from(now.0) - self.anchor.at_ns).max(0) / i128::from(NANOSECONDS_PER_SECOND);
        self.anchor.unix_s.saturating_add(i64::try_from(since).unwrap_or(i64::MAX))
    }

    fn is_updating(&self, now: GuestTime) -> bool {
        let second = i128::from(NANOSECONDS_PER_SECOND);
        let into_second = (i128::from(now.0) - self.anchor.at_ns).rem_euclid(second);
        self.runs() && into_second >= second - i128::from(UPDATE_NS)
    }

    /// Brings the clock's registers up to date.
    fn show(&mut self, unix_s: i64) {
        for (number, value) in Format::of(self.control).registers(unix_s) {
            self.set_memory(number, value);
        }
    }

    /// Takes the date from the clock's registers.
    fn set_date(&mut self, unix_s: i64, at_ns: i128) {
        self.anchor = Anchor { unix_s, at_ns };
        self.seen_unix_s = unix_s;
    }

    fn shown_unix_s(&self) -> i64 {
        Format::of(self.control).unix_s(|number| self.memory_at(number))
    }

    /// When the running second began.
    fn second_began_ns(&self, now: GuestTime) -> i128 {
        let now_ns = i128::from(now.0);
        now_ns - (now_ns - self.anchor.at_ns).rem_euclid(i128::from(NANOSECONDS_PER_SECOND))
    }

    fn write_memory(&mut self, now: GuestTime, number: u8, value: u8) {
        let is_date = (register::SECOND..=register::YEAR).contains(&number) || number == register::CENTURY;
        let is_alarm = matches!(
            number,
            register::ALARM_SECOND | register::ALARM_MINUTE | register::ALARM_HOUR | register::WEEKDAY
        );
        let running = is_date && !is_alarm && self.runs();
        if running {
            self.show(self.unix_s(now));
        }
        self.set_memory(number, value);
        if running {
            self.set_date(self.shown_unix_s(), self.second_began_ns(now));
        }
    }

    /// Registers A and B decide together whether the clock runs.
    fn change_mode(&mut self, now: GuestTime, rate: RateControl, control: Control) {
        let (ran, counted) = (self.runs(), self.rate.counts());
        let date = self.unix_s(now);
        self.rate = rate;
        self.control = control;
        if control.contains(Control::SET) {
            // Setting the clock forbids update interrupts (data sheet, "SET").
            self.control.remove(Control::UPDATE_INTERRUPT);
        }
        if ran {
            // A clock that stops here shows where it stopped, in the notation that holds from now on.
            self.show(date);
        } else if self.runs() && !counted {
            let early = i128::from(NANOSECONDS_PER_SECOND - FIRST_UPDATE_NS);
            self.set_date(self.shown_unix_s(), i128::from(now.0) - early);
        } else if self.runs() {
            self.set_date(self.shown_unix_s(), self.second_began_ns(now));
        }
    }

    fn memory_at(&self, number: u8) -> u8 {
        self.memory.get(usize::from(number)).copied().unwrap_or(u8::MAX)
    }

    fn set_memory(&mut self, number: u8, value: u8) {
        if let Some(byte) = self.memory.get_mut(usize::from(number)) {
            *byte = value;
        }
    }

    /// The sizes of memory, where PC firmware leaves them in CMOS.
    fn describe_memory(&mut self, memory_bytes: u64) {
        const KIB: u64 = 1 << 10;
        const MIB: u64 = 1 << 20;
        let below_4g = memory_bytes.min(3 << 30);
        let base_kib = 640;
        let above_1m_kib = (below_4g.saturating_sub(MIB) / KIB).min(0xffff);
        let above_16m_64kib = (below_4g.saturating_sub(16 * MIB) / (64 * KIB)).min(0xffff);
        let above_4g_64kib = (memory_bytes - below_4g) / (64 * KIB);
        for (number, value, bytes) in [
            (0x15, base_kib, 2),
            (0x17, above_1m_kib, 2),
            (0x30, above_1m_kib, 2),
            (0x34, above_16m_64kib, 2),
            (0x5b, above_4g_64kib, 3),
        ] {
            for (at, byte) in (number..).zip(value.to_le_bytes().into_iter().take(bytes)) {
                self.set_memory(at, byte);
            }
        }
    }
}
