//! Channel 0 of the 8254 timer.

use x86_64::instructions::port::Port;

/// Its input frequency.
pub(crate) const HZ: u64 = 1_193_182;

const CHANNEL_0: u16 = 0x40;
const COMMAND: u16 = 0x43;
/// Channel 2's gate and output.
const CONTROL: u16 = 0x61;

/// How the channel counts.
#[derive(Clone, Copy)]
#[repr(u8)]
pub(crate) enum Mode {
    /// Interrupt on terminal count, once.
    Once = 0,
    /// Rate generator.
    Periodic = 2,
    /// Square wave.
    Square = 3,
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

/// What read-back says of channel 0: status and count (8254 data sheet, read-back command).
pub(crate) fn read_back() -> (u8, u16) {
    // SAFETY: as above; latching changes nothing.
    unsafe {
        // Status and count of channel 0.
        Port::<u8>::new(COMMAND).write(0xc2);
        let mut port = Port::<u8>::new(CHANNEL_0);
        let status = port.read();
        (status, u16::from_le_bytes([port.read(), port.read()]))
    }
}

/// The count of channel 0, latched.
pub(crate) fn latch() -> u16 {
    // SAFETY: as above.
    unsafe {
        Port::<u8>::new(COMMAND).write(0);
        let mut port = Port::<u8>::new(CHANNEL_0);
        u16::from_le_bytes([port.read(), port.read()])
    }
}

/// Channel 2's count, with its gate (port 0x61, bit 0) closed: mode 0 begins when it opens.
pub(crate) fn load_channel_2(ticks: u16) {
    let [low, high] = ticks.to_le_bytes();
    gate_2(false);
    // SAFETY: as above.
    unsafe {
        Port::<u8>::new(COMMAND).write(0xb0);
        Port::<u8>::new(CHANNEL_0 + 2).write(low);
        Port::<u8>::new(CHANNEL_0 + 2).write(high);
    }
}

/// Opens or closes channel 2's gate; the speaker stays off.
pub(crate) fn gate_2(open: bool) {
    // SAFETY: as above.
    unsafe { Port::<u8>::new(CONTROL).write(u8::from(open)) };
}

/// Channel 2's output.
pub(crate) fn output_2() -> bool {
    // SAFETY: as above.
    unsafe { Port::<u8>::new(CONTROL).read() & 1 << 5 != 0 }
}
