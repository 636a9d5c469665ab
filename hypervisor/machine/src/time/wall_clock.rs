//! The real-time clock of the machine, read through its ports (MC146818; ports 0x70 and 0x71 of every PC).

use x86_64::instructions::port::Port;

use super::calendar::ClockRegisters;

const SECOND: u8 = 0;
const STATUS_A: u8 = 0xa;
const STATUS_B: u8 = 0xb;
/// Register A: an update is about to begin or under way.
const UPDATING: u8 = 1 << 7;
/// Readings before a clock is given up that never reads the same twice; an update takes 2 ms at most.
const TRIES: u32 = 100_000;

/// Seconds since 1970 by the machine's clock, or `None` where it has none that works. Called by the boot processor alone.
pub fn read() -> Option<i64> {
    let mut before = None;
    for _ in 0..TRIES {
        if register(STATUS_A) & UPDATING != 0 {
            before = None;
            continue;
        }
        let now =
            ClockRegisters { date: [SECOND, 2, 4, 7, 8, 9].map(register), status_b: register(STATUS_B) };
        // Twice the same: no update came in between.
        if before == Some(now) {
            return now.unix_seconds();
        }
        before = Some(now);
    }
    None
}

fn register(number: u8) -> u8 {
    // SAFETY: the two ports are the real-time clock's on every PC, and float where it is missing; reading these registers
    // changes nothing. Bit 7 of the index stays clear: NMIs are not masked.
    unsafe {
        Port::<u8>::new(0x70).write(number);
        Port::<u8>::new(0x71).read()
    }
}
