use super::{PowerManagement, PowerOff, TIMER};
use crate::time::GuestTime;

const STATUS: u16 = 0;
const ENABLE: u16 = 2;
const CONTROL: u16 = 4;
const START: GuestTime = GuestTime(0);

fn timer(power: &mut PowerManagement, now: GuestTime) -> u32 {
    u32::from_le_bytes([8, 9, 10, 11].map(|offset| power.read(now, offset)))
}

#[test]
fn the_timer_counts_at_its_rate_and_wraps() {
    let mut power = PowerManagement::new();
    assert_eq!(timer(&mut power, GuestTime(1_000_000_000)), 3_579_545);
    assert_eq!(timer(&mut power, TIMER.time_of(1 << 32)), 0);
    assert_eq!(timer(&mut power, TIMER.time_of((1 << 32) + 77)), 77);
}

#[test]
fn the_highest_bit_interrupts_where_it_is_asked_for() {
    let mut power = PowerManagement::new();
    assert_eq!(power.deadline(), None);
    power.write(START, ENABLE, 0x01);
    let due = TIMER.time_of(1 << 31);
    assert_eq!(power.deadline(), Some(due));
    power.advance(GuestTime(due.0 - 1));
    assert!(!power.has_interrupt());
    power.advance(due);
    assert!(power.has_interrupt());
    assert_eq!(power.deadline(), None, "it is pending");
    power.write(due, STATUS, 0x01);
    assert!(!power.has_interrupt());
    assert_eq!(power.deadline(), Some(TIMER.time_of(2 << 31)));
}

#[test]
fn the_power_button_is_an_event() {
    let mut power = PowerManagement::new();
    power.press_power_button();
    assert!(!power.has_interrupt());
    power.write(START, ENABLE + 1, 0x01);
    assert!(power.has_interrupt());
    assert_eq!(power.read(START, STATUS + 1), 0x01);
    power.write(START, STATUS, 0xff);
    assert!(power.has_interrupt(), "the other byte's bits stay");
    power.write(START, STATUS + 1, 0x01);
    assert!(!power.has_interrupt());
}

#[test]
fn only_sleep_type_5_powers_off() {
    let mut power = PowerManagement::new();
    assert_eq!((power.read(START, CONTROL), power.read(START, CONTROL + 1)), (0x01, 0));
    power.write(START, CONTROL, 0x00);
    assert_eq!(power.read(START, CONTROL), 0x01, "ACPI mode cannot be left");
    for sleep_type in 0..8 {
        assert_eq!(power.write(START, CONTROL + 1, sleep_type << 2), None);
        let off = power.write(START, CONTROL + 1, sleep_type << 2 | 0x20);
        assert_eq!(off, (sleep_type == 5).then_some(PowerOff));
        assert_eq!(power.read(START, CONTROL + 1), sleep_type << 2, "the enable bit reads as 0");
    }
}
