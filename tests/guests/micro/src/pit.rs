//! Channel 0 of the 8254 timer.

use x86_64::instructions::port::Port;

/// Its input frequency.
pub(crate) const HZ: u64 = 1_193_182;

const CHANNEL_0: u16 = 0x40;
const COMMAND: u16 = 0x43;

/// How the channel counts.
#[derive(Clone, Copy)]
#[repr(u8)]
pub(crate) enum Mode {
    /// Interrupt on terminal count, once.
    Once = 0,
    /// Rate generator.
    Periodic = 2,
}

/// Counts `divisor` ticks (0 is 65536) to each interrupt.
pub(crate) fn start(mode: Mode, divisor: u16) {
    let [low, high] = divisor.to_le_bytes();
    // SAFETY: the timer's ports; the trials are its only users.
    unsafe {
        // Channel 0, low byte then high byte.
        Port::<u8>::new(COMMAND).write(0x30 | (mode as u8) << 1);
        Port::<u8>::new(CHANNEL_0).write(low);
        Port::<u8>::new(CHANNEL_0).write(high);
    }
}

/// Stops: a new mode without a count does not count.
pub(crate) fn stop() {
    // SAFETY: as above.
    unsafe { Port::<u8>::new(COMMAND).write(0x30) };
}
