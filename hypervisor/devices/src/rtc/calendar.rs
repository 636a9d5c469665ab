//! Dates of the proleptic Gregorian calendar and seconds since 1970.

/// Seconds of a day.
const DAY_S: i64 = 86_400;
/// Days from 0000-03-01 to 1970-01-01.
const EPOCH_DAYS: i64 = 719_468;
/// Days of 400 years.
const ERA_DAYS: i64 = 146_097;

/// 1970-01-01 to 9999-12-31, in seconds since 1970: what a clock with four digits of the year can show.
pub(super) const SHOWN: core::ops::RangeInclusive<i64> = 0..=253_402_300_799;

/// A date and time of day in UTC.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Date {
    pub(super) year: i64,
    /// 1 to 12.
    pub(super) month: i64,
    /// 1 to 31.
    pub(super) day: i64,
    pub(super) hour: i64,
    pub(super) minute: i64,
    pub(super) second: i64,
}

impl Date {
    /// From seconds since 1970. Years are counted from March, so that the leap day is a year's last.
    pub(super) fn from_unix(seconds: i64) -> Self {
        let days = seconds.div_euclid(DAY_S) + EPOCH_DAYS;
        let time = seconds.rem_euclid(DAY_S);
        let era = days.div_euclid(ERA_DAYS);
        let day_of_era = days.rem_euclid(ERA_DAYS);
        let year_of_era =
            (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month_from_march = (5 * day_of_year + 2) / 153;
        let month = (month_from_march + 2) % 12 + 1;
        Self {
            year: era * 400 + year_of_era + i64::from(month <= 2),
            month,
            day: day_of_year - (153 * month_from_march + 2) / 5 + 1,
            hour: time / 3600,
            minute: time / 60 % 60,
            second: time % 60,
        }
    }

    /// Seconds since 1970. Fields beyond their range carry over, the month is taken as the nearest there is.
    pub(super) fn to_unix(self) -> i64 {
        let month = self.month.clamp(1, 12);
        let year = self.year - i64::from(month <= 2);
        let month_from_march = (month + 9) % 12;
        let day_of_year = (153 * month_from_march + 2) / 5 + self.day - 1;
        let year_of_era = year.rem_euclid(400);
        let day_of_era = 365 * year_of_era + year_of_era / 4 - year_of_era / 100 + day_of_year;
        let days = year.div_euclid(400) * ERA_DAYS + day_of_era - EPOCH_DAYS;
        days * DAY_S + self.hour * 3600 + self.minute * 60 + self.second
    }

    /// The day of the week, Sunday being 1, of seconds since 1970 (a Thursday).
    pub(super) fn weekday(seconds: i64) -> i64 {
        (seconds.div_euclid(DAY_S) + 4).rem_euclid(7) + 1
    }
}
