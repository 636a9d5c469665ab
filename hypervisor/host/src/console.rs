//! The console as something to write text to.

use core::fmt;

use arrayvec::ArrayVec;

use crate::machine::Machine;

/// Bytes that are collected before they go to the machine.
const BUFFER_BYTES: usize = 256;

/// Text for the console, handed to the machine line by line, so that lines of other CPUs fall between lines and not into
/// them. What does not end a line goes out on [`flush`](Self::flush).
pub(crate) struct Console<'a> {
    machine: &'a dyn Machine,
    buffer: ArrayVec<u8, BUFFER_BYTES>,
}

impl<'a> Console<'a> {
    pub(crate) fn new(machine: &'a dyn Machine) -> Self {
        Self { machine, buffer: ArrayVec::new() }
    }

    /// Writes bytes as they are.
    pub(crate) fn write_bytes(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.push(byte);
        }
    }

    fn push(&mut self, byte: u8) {
        if self.buffer.try_push(byte).is_err() {
            self.flush();
            self.buffer.push(byte);
        }
        if byte == b'\n' {
            self.flush();
        }
    }

    /// Hands everything collected to the machine.
    pub(crate) fn flush(&mut self) {
        if !self.buffer.is_empty() {
            self.machine.console_write(&self.buffer);
            self.buffer.clear();
        }
    }
}

impl fmt::Write for Console<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.write_bytes(text.as_bytes());
        Ok(())
    }
}
