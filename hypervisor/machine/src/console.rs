//! The serial console: COM1, a 16550, shared by the log, the monitor and the fault report.

use core::{
    fmt,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
};

use spin::Mutex;
use uart_16550::{BaudRate, Config, Uart16550, backend::PioBackend, spec::registers::IER};

use crate::cursor::Cursor;

/// The first I/O port of COM1.
const COM1: u16 = 0x3f8;
/// Status reads before a byte is given up: about a second on a slow port. From then on the port gets one look for each byte until
/// it takes one again, so that a port that is stuck costs a host that second and no more.
const SEND_TRIES: u32 = 1 << 20;

static PORT: Mutex<Option<Port>> = Mutex::new(None);
/// Whether a typed byte wakes the boot processor.
static INTERRUPTS: AtomicBool = AtomicBool::new(false);
static LINES_LOGGED: AtomicU64 = AtomicU64::new(0);

/// The port and what it has shown.
struct Port {
    uart: Uart16550<PioBackend>,
    is_stuck: bool,
    cursor: Cursor,
}

/// Starts the port at 115200 baud, 8-N-1. A machine without it stays silent.
pub fn start() {
    let mut port = PORT.lock();
    // SAFETY: COM1's eight ports are the console's alone: nothing else in the image names them, and `PORT` is made once
    // on the boot CPU.
    let Ok(mut uart) = (unsafe { Uart16550::new_port(COM1) }) else { return };
    let config = Config { baud_rate: BaudRate::Baud115200, ..Config::DEFAULT };
    if uart.init(config).is_ok() {
        *port = Some(Port { uart, is_stuck: false, cursor: Cursor::new() });
    }
}

/// Lets the port raise its interrupt when a byte arrives, so that an idle CPU wakes for it.
pub fn enable_receive_interrupt() {
    if let Some(port) = PORT.lock().as_mut() {
        port.uart.enable_interrupts(IER::DATA_READY);
        INTERRUPTS.store(true, Ordering::Relaxed);
    }
}

/// Whether a typed byte interrupts; else somebody has to look now and then.
pub fn interrupts() -> bool {
    INTERRUPTS.load(Ordering::Relaxed)
}

/// Writes `bytes`; `\n` becomes CR LF.
pub fn write(bytes: &[u8]) {
    if let Some(port) = PORT.lock().as_mut() {
        port.write(bytes);
    }
}

/// A byte that was typed, if any.
pub fn read() -> Option<u8> {
    PORT.lock().as_mut()?.uart.try_receive_byte().ok()
}

/// How many log lines were written so far.
pub fn lines_logged() -> u64 {
    LINES_LOGGED.load(Ordering::Acquire)
}

/// Writes a whole log line at once, so that two CPUs' lines do not mix, in place of what the cursor's line shows.
pub fn log_line(line: &[u8]) {
    if let Some(port) = PORT.lock().as_mut() {
        port.write(port.cursor.to_empty_line());
        port.write(line);
    }
    // After the line: who sees the count has the line above what it draws.
    LINES_LOGGED.fetch_add(1, Ordering::Release);
}

/// Takes the port from whoever holds it.
///
/// # Safety
/// Every other CPU has been stopped for good, and this one never returns to the code that may hold the lock.
pub unsafe fn seize() {
    if PORT.is_locked() {
        // SAFETY: the caller promises that the holder never runs again, so no second reference to the port is used.
        unsafe { PORT.force_unlock() };
    }
}

/// Formats straight to the console.
pub struct Writer;

impl fmt::Write for Writer {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        write(text.as_bytes());
        Ok(())
    }
}

impl Port {
    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            if byte == b'\n' {
                self.send(b'\r');
            }
            self.send(byte);
        }
        self.cursor.advance(bytes);
    }

    fn send(&mut self, byte: u8) {
        for _ in 0..if self.is_stuck { 1 } else { SEND_TRIES } {
            if self.uart.try_send_byte(byte).is_ok() {
                self.is_stuck = false;
                return;
            }
            core::hint::spin_loop();
        }
        self.is_stuck = true;
    }
}
