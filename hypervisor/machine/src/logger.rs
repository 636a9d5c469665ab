//! The log goes to the serial console, one whole line at a time.

use godwit_host::{log_line::LogLine, machine::CpuNumber};
use log::{LevelFilter, Log, Metadata, Record};

use crate::{apic::local as local_apic, console, cpu::local, interrupts::vectors, time::tsc};

/// The processor that serves the console: a line logged elsewhere displaces what is typed there.
const BOOT_CPU: CpuNumber = CpuNumber(0);

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
        let cpu = local::this().number();
        let line = LogLine::new(tsc::now(), cpu, record);
        console::log_line(line.as_str().as_bytes());
        if cpu != BOOT_CPU {
            wake_console();
        }
    }

    fn flush(&self) {}
}

/// Wakes the processor that serves the console, so that it draws its line again even where nothing else comes.
fn wake_console() {
    if let Some(boot) = local::get(BOOT_CPU).filter(|cpu| cpu.is_alive()) {
        local_apic::send(boot.apic_id(), vectors::KICK);
    }
}
