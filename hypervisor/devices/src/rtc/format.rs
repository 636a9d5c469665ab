//! How the clock's registers show numbers: binary or decimal digits, 24 or 12 hours (register B).

use super::calendar::Date;
use super::registers::{Control, register};

/// Hours after noon have this bit in 12-hour mode.
const AFTERNOON: u8 = 0x80;
/// An alarm field with both these bits set matches everything.
const ANY: u8 = 0xc0;

/// The notation that register B asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Format {
    binary: bool,
    hours_24: bool,
}

impl Format {
    pub(super) fn of(control: Control) -> Self {
        Self { binary: control.contains(Control::BINARY), hours_24: control.contains(Control::HOURS_24) }
    }

    /// A number below 100 as a register shows it.
    pub(super) fn encode(self, number: i64) -> u8 {
        let number = number.rem_euclid(100) as u8;
        if self.binary { number } else { ((number / 10) << 4) | (number % 10) }
    }

    /// What a register stands for. Digits beyond 9 count as what they are.
    pub(super) fn decode(self, value: u8) -> i64 {
        i64::from(if self.binary { value } else { (value >> 4) * 10 + (value & 0xf) })
    }

    fn encode_hour(self, hour: i64) -> u8 {
        if self.hours_24 {
            return self.encode(hour);
        }
        let afternoon = if hour >= 12 { AFTERNOON } else { 0 };
        self.encode((hour + 11) % 12 + 1) | afternoon
    }

    fn decode_hour(self, value: u8) -> i64 {
        if self.hours_24 {
            return self.decode(value);
        }
        let noon = if value & AFTERNOON != 0 { 12 } else { 0 };
        self.decode(value & !AFTERNOON) % 12 + noon
    }

    /// All clock registers for seconds since 1970, each with its number.
    pub(super) fn registers(self, unix_s: i64) -> [(u8, u8); 8] {
        let date = Date::from_unix(unix_s);
        [
            (register::SECOND, self.encode(date.second)),
            (register::MINUTE, self.encode(date.minute)),
            (register::HOUR, self.encode_hour(date.hour)),
            (register::WEEKDAY, self.encode(Date::weekday(unix_s))),
            (register::DAY, self.encode(date.day)),
            (register::MONTH, self.encode(date.month)),
            (register::YEAR, self.encode(date.year)),
            (register::CENTURY, self.encode(date.year / 100)),
        ]
    }

    /// The date that the clock registers show, in seconds since 1970. The day of the week is not looked at.
    pub(super) fn unix_s(self, read: impl Fn(u8) -> u8) -> i64 {
        let field = |number| self.decode(read(number));
        let date = Date {
            year: field(register::CENTURY) * 100 + field(register::YEAR),
            month: field(register::MONTH),
            day: field(register::DAY),
            hour: self.decode_hour(read(register::HOUR)),
            minute: field(register::MINUTE),
            second: field(register::SECOND),
        };
        let shown = super::calendar::SHOWN;
        date.to_unix().clamp(*shown.start(), *shown.end())
    }

    /// The alarm that the alarm registers show.
    pub(super) fn alarm(self, read: impl Fn(u8) -> u8) -> Alarm {
        let field = |number, decode: &dyn Fn(u8) -> i64| {
            let value = read(number);
            (value & ANY != ANY).then(|| decode(value))
        };
        Alarm {
            hour: field(register::ALARM_HOUR, &|value| self.decode_hour(value)),
            minute: field(register::ALARM_MINUTE, &|value| self.decode(value)),
            second: field(register::ALARM_SECOND, &|value| self.decode(value)),
        }
    }
}

/// A time of day at which the alarm goes off; `None` matches everything.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Alarm {
    pub(super) hour: Option<i64>,
    pub(super) minute: Option<i64>,
    pub(super) second: Option<i64>,
}

impl Alarm {
    /// The first second after `unix_s` that matches; `None` where none ever does.
    pub(super) fn next_after(self, unix_s: i64) -> Option<i64> {
        let possible = |field: Option<i64>, limit| field.is_none_or(|value| (0..limit).contains(&value));
        if !possible(self.hour, 24) || !possible(self.minute, 60) || !possible(self.second, 60) {
            return None;
        }
        // Skips to the next hour, minute or second as long as one does not match: at most 24 + 60 + 60 times,
        // and as many again where a skip began a new day or hour.
        let mut at = unix_s.checked_add(1)?;
        loop {
            let date = Date::from_unix(at);
            let matches = |field: Option<i64>, value| field.is_none_or(|field| field == value);
            at = if !matches(self.hour, date.hour) {
                (at.div_euclid(3600) + 1) * 3600
            } else if !matches(self.minute, date.minute) {
                (at.div_euclid(60) + 1) * 60
            } else if !matches(self.second, date.second) {
                at + 1
            } else {
                return Some(at);
            };
        }
    }
}
