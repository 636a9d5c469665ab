//! COM1, by polling.

use core::fmt;

use uart_16550::{BaudRate, Config, Uart16550, backend::PioBackend};

/// The first I/O port of COM1.
pub(crate) const COM1: u16 = 0x3f8;
/// Status reads before a byte is given up.
const SEND_TRIES: u32 = 1 << 20;

fn port() -> Option<Uart16550<PioBackend>> {
    // SAFETY: one CPU, and no trial leaves the port in the middle of something: interrupted output is only mixed up.
    unsafe { Uart16550::new_port(COM1) }.ok()
}

/// Starts the port at 115200 baud, 8-N-1; again after something has upset it.
pub(crate) fn start() {
    if let Some(mut port) = port() {
        // A machine without the port stays silent.
        let _ = port.init(Config { baud_rate: BaudRate::Baud115200, ..Config::DEFAULT });
    }
}

pub(crate) struct Writer;

impl fmt::Write for Writer {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let Some(mut port) = port() else { return Ok(()) };
        for byte in text.bytes() {
            if byte == b'\n' {
                send(&mut port, b'\r');
            }
            send(&mut port, byte);
        }
        Ok(())
    }
}

fn send(port: &mut Uart16550<PioBackend>, byte: u8) {
    for _ in 0..SEND_TRIES {
        if port.try_send_byte(byte).is_ok() {
            return;
        }
    }
}

/// Writes a line to COM1.
macro_rules! println {
    ($($text:tt)*) => {{
        use core::fmt::Write as _;
        let _ = writeln!($crate::console::Writer, $($text)*);
    }};
}
pub(crate) use println;
