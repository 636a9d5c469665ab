//! What went wrong without being an error.

/// Counts since this host runs the guest; they do not move with it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct BoardCounters {
    /// Byte accesses to ports with nothing behind them.
    pub absent_ports: u64,
    /// The port that was accessed last among these.
    pub last_absent_port: Option<u16>,
    /// Bytes that the guest sent to COM1 although its transmitter was full.
    pub serial_lost_bytes: u64,
    /// Times that a CPU's clock page could not be written after a pause.
    pub clock_page_failures: u64,
}

impl BoardCounters {
    pub(super) fn note_absent_port(&mut self, port: u16) {
        self.absent_ports = self.absent_ports.saturating_add(1);
        self.last_absent_port = Some(port);
    }
}
