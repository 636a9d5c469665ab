//! Dates of the real-time clock as seconds since 1970 (MC146818 data sheet; IBM PC/AT CMOS map).

/// The clock's registers, read when no update was under way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ClockRegisters {
    /// Registers 0, 2, 4, 7, 8, 9: second, minute, hour, day, month, year of the century.
    pub date: [u8; 6],
    /// Register B: bit 2 binary rather than BCD, bit 1 24 hours.
    pub status_b: u8,
}

const BINARY: u8 = 1 << 2;
const HOURS_24: u8 = 1 << 1;
const AFTERNOON: u8 = 1 << 7;

impl ClockRegisters {
    /// Seconds since 1970-01-01, taking the clock to show UTC in the 21st century; `None` where this is no date.
    pub fn unix_seconds(&self) -> Option<i64> {
        let [second, minute, hour, day, month, year] = self.date;
        let afternoon = self.status_b & HOURS_24 == 0 && hour & AFTERNOON != 0;
        let hour = if self.status_b & HOURS_24 == 0 { hour & !AFTERNOON } else { hour };
        let [second, minute, hour, day, month, year] =
            [second, minute, hour, day, month, year].map(|value| self.number(value));
        let hour = match self.status_b & HOURS_24 {
            0 if !(1..=12).contains(&hour) => return None,
            0 => hour % 12 + if afternoon { 12 } else { 0 },
            _ => hour,
        };
        let plausible = second < 60 && minute < 60 && hour < 24 && year < 100;
        if !plausible || !(1..=31).contains(&day) || !(1..=12).contains(&month) {
            return None;
        }
        let days = days_since_1970(2000 + i64::from(year), i64::from(month), i64::from(day));
        Some(((days * 24 + i64::from(hour)) * 60 + i64::from(minute)) * 60 + i64::from(second))
    }

    /// A register's number; a BCD digit above 9 gives one that is in no range.
    fn number(&self, value: u8) -> u8 {
        if self.status_b & BINARY != 0 {
            return value;
        }
        let (tens, ones) = (value >> 4, value & 0xf);
        if tens > 9 || ones > 9 { u8::MAX } else { tens * 10 + ones }
    }
}

/// Days from 1970-01-01 to a date of the Gregorian calendar: March comes first, so that the leap day ends the year.
const fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let from_march = (month + 9) % 12;
    let day_of_year = (153 * from_march + 2) / 5 + day - 1;
    year * 365 + year / 4 - year / 100 + year / 400 + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::ClockRegisters;

    fn seconds(date: [u8; 6], status_b: u8) -> Option<i64> {
        ClockRegisters { date, status_b }.unix_seconds()
    }

    #[test]
    fn dates_are_seconds_since_1970() {
        assert_eq!(seconds([0, 0, 0, 1, 1, 0], 0b110), Some(946_684_800));
        assert_eq!(seconds([59, 59, 23, 29, 2, 24], 0b110), Some(1_709_251_199));
        assert_eq!(seconds([0x56, 0x34, 0x12, 0x22, 0x11, 0x26], 0b010), Some(1_795_350_896));
        assert_eq!(seconds([0, 0, 0, 31, 12, 99], 0b110), Some(4_102_358_400));
    }

    #[test]
    fn twelve_hours_are_told_from_twenty_four() {
        let noon = seconds([0, 0, 12, 1, 1, 0], 0b110);
        assert_eq!(seconds([0, 0, 12 | 0x80, 1, 1, 0], 0b100), noon);
        assert_eq!(seconds([0, 0, 12, 1, 1, 0], 0b100), Some(946_684_800));
        // BCD 11 in the afternoon.
        assert_eq!(seconds([0, 0, 0x91, 1, 1, 0], 0b000), seconds([0, 0, 23, 1, 1, 0], 0b110));
        assert_eq!(seconds([0, 0, 0x91, 1, 1, 0], 0b010), None);
    }

    #[test]
    fn what_is_no_date_gives_none() {
        for date in
            [[60, 0, 0, 1, 1, 0], [0, 0, 24, 1, 1, 0], [0, 0, 0, 0, 1, 0], [0, 0, 0, 1, 13, 0], [255; 6]]
        {
            assert_eq!(seconds(date, 0b110), None, "{date:?}");
        }
        assert_eq!(seconds([0x1a, 0, 0, 1, 1, 0], 0b010), None);
    }
}
