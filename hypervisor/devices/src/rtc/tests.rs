use proptest::prelude::*;

use super::calendar::{Date, SHOWN};
use super::{Rtc, UPDATE_NS};
use crate::time::GuestTime;

/// 2026-02-28 23:59:58 UTC, a Saturday.
const START_S: i64 = 1_772_323_198;
const SECOND: u64 = 1_000_000_000;

fn rtc() -> Rtc {
    Rtc::new(START_S, 256 << 20)
}

fn read(rtc: &mut Rtc, now: u64, register: u8) -> u8 {
    rtc.write(GuestTime(now), 0, register);
    rtc.read(GuestTime(now), 1)
}

fn write(rtc: &mut Rtc, now: u64, register: u8, value: u8) {
    rtc.write(GuestTime(now), 0, register);
    rtc.write(GuestTime(now), 1, value);
}

/// Century, year, month, day, day of the week, hour, minute, second.
fn date(rtc: &mut Rtc, now: u64) -> [u8; 8] {
    [0x32, 9, 8, 7, 6, 4, 2, 0].map(|register| read(rtc, now, register))
}

#[test]
fn the_date_goes_on_with_the_guests_time() {
    let mut rtc = rtc();
    assert_eq!(date(&mut rtc, 0), [0x20, 0x26, 0x02, 0x28, 7, 0x23, 0x59, 0x58]);
    assert_eq!(date(&mut rtc, 2 * SECOND - 1), [0x20, 0x26, 0x02, 0x28, 7, 0x23, 0x59, 0x59]);
    assert_eq!(date(&mut rtc, 2 * SECOND), [0x20, 0x26, 0x03, 0x01, 1, 0x00, 0x00, 0x00]);
    assert_eq!(read(&mut rtc, 0, 0x0d), 0x80, "the battery is good");
}

#[test]
fn numbers_are_shown_as_asked_for() {
    let mut rtc = rtc();
    write(&mut rtc, 0, 0x0b, 0x06);
    assert_eq!(date(&mut rtc, 0), [20, 26, 2, 28, 7, 23, 59, 58]);
    for (register_b, hours, shown) in [
        (0x02, [0, 11, 12, 23], [0x00, 0x11, 0x12, 0x23]),
        (0x00, [0, 11, 12, 23], [0x12, 0x11, 0x92, 0x91]),
        (0x04, [0, 11, 12, 23], [12, 11, 140, 139]),
    ] {
        for (hour, shown) in hours.into_iter().zip(shown) {
            let mut rtc = Rtc::new(hour * 3600, 0);
            write(&mut rtc, 0, 0x0b, register_b);
            assert_eq!(read(&mut rtc, 0, 4), shown, "hour {hour}, register B {register_b:#x}");
            write(&mut rtc, 0, 4, shown);
            write(&mut rtc, 0, 0x0b, 0x06);
            assert_eq!(i64::from(read(&mut rtc, 0, 4)), hour);
        }
    }
}

/// How Linux sets the clock: it stops the divider, and counts on half a second until the next update.
#[test]
fn setting_the_clock_stops_it_and_starts_half_a_second_early() {
    let mut rtc = rtc();
    write(&mut rtc, 100, 0x0b, 0x82);
    write(&mut rtc, 100, 0x0a, 0x76);
    for (register, value) in [(9, 0x30), (8, 0x12), (7, 0x31), (4, 0x08), (2, 0x15), (0, 0x30), (0x32, 0x20)]
    {
        write(&mut rtc, 200, register, value);
    }
    assert_eq!(read(&mut rtc, 9 * SECOND, 0), 0x30, "it stands still");
    write(&mut rtc, 9 * SECOND, 0x0b, 0x02);
    assert_eq!(read(&mut rtc, 10 * SECOND, 0), 0x30, "the divider still does");
    write(&mut rtc, 10 * SECOND, 0x0a, 0x26);
    let half = SECOND / 2;
    assert_eq!(read(&mut rtc, 10 * SECOND + half - 1, 0), 0x30);
    assert_eq!(date(&mut rtc, 10 * SECOND + half), [0x20, 0x30, 0x12, 0x31, 3, 0x08, 0x15, 0x31]);
}

#[test]
fn writes_to_a_running_clock_hold_at_once() {
    let mut rtc = rtc();
    write(&mut rtc, SECOND / 4, 0, 0x10);
    assert_eq!(read(&mut rtc, SECOND - 1, 0), 0x10);
    assert_eq!(read(&mut rtc, SECOND, 0), 0x11, "seconds begin where they began before");
}

#[test]
fn the_update_bit_warns() {
    let mut rtc = rtc();
    let updating = |rtc: &mut Rtc, now| read(rtc, now, 0x0a) & 0x80 != 0;
    assert!(!updating(&mut rtc, SECOND - UPDATE_NS - 1));
    assert!(updating(&mut rtc, SECOND - UPDATE_NS));
    assert!(updating(&mut rtc, SECOND - 1));
    assert!(!updating(&mut rtc, SECOND));
}

#[test]
fn updates_interrupt_each_second_until_seen() {
    let mut rtc = rtc();
    assert_eq!(rtc.deadline(), None);
    write(&mut rtc, 0, 0x0b, 0x12);
    assert_eq!(rtc.deadline(), Some(GuestTime(SECOND)));
    rtc.advance(GuestTime(SECOND));
    assert!(rtc.has_interrupt());
    assert_eq!(rtc.deadline(), None, "one is pending");
    assert_eq!(read(&mut rtc, 5 * SECOND, 0x0c) & 0x90, 0x90);
    assert_eq!((rtc.has_interrupt(), read(&mut rtc, 5 * SECOND, 0x0c)), (false, 0));
    assert_eq!(rtc.deadline(), Some(GuestTime(6 * SECOND)));
}

#[test]
fn periods_interrupt_at_their_rate() {
    for (rate, hz) in [(6, 1024), (3, 8192), (15, 2), (1, 256), (2, 128)] {
        let mut rtc = rtc();
        write(&mut rtc, 0, 0x0a, 0x20 | rate);
        write(&mut rtc, 0, 0x0b, 0x42);
        let mut interrupts = 0;
        while let Some(due) = rtc.deadline().filter(|due| due.0 <= SECOND) {
            rtc.advance(due);
            assert!(rtc.has_interrupt());
            assert_eq!(read(&mut rtc, due.0, 0x0c) & 0xc0, 0xc0);
            interrupts += 1;
        }
        assert_eq!(interrupts, hz, "rate {rate}");
    }
    let mut rtc = rtc();
    write(&mut rtc, 0, 0x0a, 0x20);
    write(&mut rtc, 0, 0x0b, 0x42);
    assert_eq!(rtc.deadline(), None, "rate 0 is none");
}

#[test]
fn alarms_go_off_when_their_fields_match() {
    for (hour, minute, second, seconds_until) in [
        (0x23, 0x59, 0x59, Some(1)),
        (0x00, 0x00, 0x00, Some(2)),
        (0xff, 0xff, 0xff, Some(1)),
        (0xff, 0xff, 0x30, Some(32)),
        (0xc0, 0x10, 0x00, Some(602)),
        (0x23, 0x59, 0x58, Some(86_400)),
        (0x25, 0x00, 0x00, None),
    ] {
        let mut rtc = rtc();
        for (register, value) in [(5, hour), (3, minute), (1, second)] {
            write(&mut rtc, 0, register, value);
        }
        write(&mut rtc, 0, 0x0b, 0x22);
        let wanted = seconds_until.map(|seconds| GuestTime(seconds * SECOND));
        assert_eq!(rtc.deadline(), wanted, "{hour:x}:{minute:x}:{second:x}");
        if let Some(due) = wanted {
            rtc.advance(GuestTime(due.0 - 1));
            assert!(!rtc.has_interrupt());
            rtc.advance(due);
            assert!(rtc.has_interrupt());
            assert_eq!(read(&mut rtc, due.0, 0x0c) & 0xa0, 0xa0);
        }
    }
}

#[test]
fn flags_are_raised_without_interrupts_too() {
    let mut rtc = rtc();
    assert_eq!(read(&mut rtc, SECOND, 0x0c), 0x50, "updated and periodic, no interrupt");
}

#[test]
fn memory_keeps_bytes_and_says_how_much_ram_there_is() {
    let mut rtc = Rtc::new(0, 5 << 30);
    write(&mut rtc, 0, 0x40, 0xa5);
    write(&mut rtc, 0, 0x80 | 0x7f, 0x5a);
    assert_eq!((read(&mut rtc, 0, 0x40), read(&mut rtc, 0, 0x7f)), (0xa5, 0x5a), "bit 7 is no address");
    let mut number = |low| u16::from_le_bytes([low, low + 1].map(|register| read(&mut rtc, 0, register)));
    assert_eq!(number(0x15), 640);
    assert_eq!(number(0x34), (((3 << 30) - (16 << 20)) >> 16) as u16);
    assert_eq!(number(0x5b), ((2 << 30) >> 16) as u16);
}

proptest! {
    #[test]
    fn dates_and_seconds_agree(seconds in SHOWN) {
        let date = Date::from_unix(seconds);
        prop_assert_eq!(date.to_unix(), seconds);
        prop_assert!((1..=12).contains(&date.month) && (1..=31).contains(&date.day));
        let next = Date::from_unix(seconds + 86_400);
        prop_assert!(next.day == date.day + 1 || next.day == 1);
    }

    #[test]
    fn an_alarm_is_the_first_second_that_matches(
        now in 0i64..1 << 32,
        hour in prop::option::of(0i64..24),
        minute in prop::option::of(0i64..60),
        second in prop::option::of(0i64..60),
    ) {
        let alarm = super::format::Alarm { hour, minute, second };
        let matches = |at: i64| {
            let date = Date::from_unix(at);
            hour.is_none_or(|it| it == date.hour)
                && minute.is_none_or(|it| it == date.minute)
                && second.is_none_or(|it| it == date.second)
        };
        let found = alarm.next_after(now).expect("it matches once a day at least");
        prop_assert!(matches(found));
        prop_assert_eq!((now + 1..found).rev().take(4000).find(|at| matches(*at)), None);
        prop_assert!(found - now <= 86_400);
    }
}
