//! The log goes to the serial console, one whole line at a time.

use arrayvec::ArrayString;
use godwit_host::log_line::write_log_line;
use log::{LevelFilter, Log, Metadata, Record};

use crate::{console, cpu::local, time::tsc};

/// Bytes of one log line; a longer one is cut.
const LINE_BYTES: usize = 512;

struct SerialLog;

static LOG: SerialLog = SerialLog;

/// Starts logging at `level`.
pub(crate) fn start(level: LevelFilter) {
    // A second call finds the same log set already.
    let _ = log::set_logger(&LOG);
    log::set_max_level(level);
}

impl Log for SerialLog {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= log::max_level()
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let mut line = ArrayString::<LINE_BYTES>::new();
        // A line that does not fit is shown as far as it goes.
        let _ = write_log_line(&mut line, tsc::now(), local::this().number(), record);
        console::log_line(line.as_bytes());
    }

    fn flush(&self) {}
}
