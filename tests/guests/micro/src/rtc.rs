//! The real-time clock's interrupts (MC146818 data sheet).

use x86_64::instructions::port::Port;

const INDEX: u16 = 0x70;
const DATA: u16 = 0x71;

pub(crate) const SECONDS: u8 = 0;
const SECONDS_ALARM: u8 = 1;
const MINUTES_ALARM: u8 = 3;
const HOURS_ALARM: u8 = 5;
const REGISTER_A: u8 = 0xa;
const REGISTER_B: u8 = 0xb;
const REGISTER_C: u8 = 0xc;
/// Alarm registers: any value.
const ANY: u8 = 0xff;

/// Register B: 24 hours, and what interrupts.
const HOURS_24: u8 = 1 << 1;
const PERIODIC: u8 = 1 << 6;
const ALARM: u8 = 1 << 5;
/// Register C: what has interrupted.
pub(crate) const CAUSE_PERIODIC: u8 = 1 << 6;
pub(crate) const CAUSE_ALARM: u8 = 1 << 5;

pub(crate) fn read(register: u8) -> u8 {
    // SAFETY: the clock's ports; bit 7 keeps NMIs as they are, open.
    unsafe {
        Port::<u8>::new(INDEX).write(register);
        Port::<u8>::new(DATA).read()
    }
}

fn write(register: u8, value: u8) {
    // SAFETY: as above; the trials are its only users.
    unsafe {
        Port::<u8>::new(INDEX).write(register);
        Port::<u8>::new(DATA).write(value);
    }
}

/// What has interrupted, which ends it.
pub(crate) fn cause() -> u8 {
    read(REGISTER_C)
}

/// 1024 interrupts a second.
pub(crate) fn start_periodic() {
    write(REGISTER_A, 0x26);
    write(REGISTER_B, HOURS_24 | PERIODIC);
    cause();
}

/// An interrupt at the beginning of each second.
pub(crate) fn start_alarm() {
    for register in [SECONDS_ALARM, MINUTES_ALARM, HOURS_ALARM] {
        write(register, ANY);
    }
    write(REGISTER_A, 0x26);
    write(REGISTER_B, HOURS_24 | ALARM);
    cause();
}

pub(crate) fn stop() {
    write(REGISTER_B, HOURS_24);
    cause();
}
