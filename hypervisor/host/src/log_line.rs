//! One log record as one line on the console.

use core::fmt::{self, Write};

use log::{Level, Record};

use crate::machine::{CpuNumber, Instant};

/// Writes `record` as a line, such as `[    0.123456] cpu0 info  4 CPUs run`.
///
/// Time is in seconds since boot. The target is named at level debug and below only. Further lines of the message are
/// indented under the first; control characters are shown as `?`, since part of a message may come from outside.
///
/// # Errors
/// Those of `out`.
pub fn write_log_line(
    out: &mut impl Write,
    now: Instant,
    cpu: CpuNumber,
    record: &Record<'_>,
) -> fmt::Result {
    let microseconds = now.as_nanoseconds() / 1000;
    let (seconds, fraction) = (microseconds / 1_000_000, microseconds % 1_000_000);
    let level = match record.level() {
        Level::Error => "error",
        Level::Warn => "warn ",
        Level::Info => "info ",
        Level::Debug => "debug",
        Level::Trace => "trace",
    };
    write!(out, "[{seconds:>5}.{fraction:06}] {cpu} {level} ")?;
    if record.level() >= Level::Debug {
        write!(out, "{}: ", record.target())?;
    }
    write!(OneRecord { out }, "{}", record.args())?;
    out.write_char('\n')
}

/// Keeps a message inside its own place on the screen.
struct OneRecord<'a, W> {
    out: &'a mut W,
}

impl<W: Write> Write for OneRecord<'_, W> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for piece in text.split_inclusive(char::is_control) {
            let Some(last) = piece.chars().next_back().filter(|last| last.is_control()) else {
                self.out.write_str(piece)?;
                continue;
            };
            self.out.write_str(piece.strip_suffix(last).unwrap_or(piece))?;
            self.out.write_str(if last == '\n' { "\n               " } else { "?" })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use log::{Level, Record};

    use super::write_log_line;
    use crate::machine::{CpuNumber, Instant};

    fn line(nanoseconds: u64, cpu: u16, level: Level, message: &str) -> String {
        let mut out = String::new();
        let now = Instant::from_nanoseconds(nanoseconds);
        let arguments = format_args!("{message}");
        let record = Record::builder().level(level).target("godwit_host::mail").args(arguments).build();
        assert_eq!(write_log_line(&mut out, now, CpuNumber(cpu), &record), Ok(()));
        out
    }

    #[test]
    fn a_record_is_one_aligned_line() {
        assert_eq!(line(123_456_789, 0, Level::Info, "up"), "[    0.123456] cpu0 info  up\n");
        assert_eq!(line(0, 3, Level::Error, "down"), "[    0.000000] cpu3 error down\n");
        let widest = line(u64::MAX, 63, Level::Warn, "late");
        assert_eq!(widest, "[18446744073.709551] cpu63 warn  late\n");
    }

    #[test]
    fn the_target_shows_from_debug_on() {
        assert_eq!(line(0, 0, Level::Debug, "x"), "[    0.000000] cpu0 debug godwit_host::mail: x\n");
        assert_eq!(line(0, 0, Level::Trace, "x"), "[    0.000000] cpu0 trace godwit_host::mail: x\n");
    }

    #[test]
    fn a_message_cannot_leave_its_place() {
        let indented = "[    0.000000] cpu0 info  a\n               b??[2Jc\n";
        assert_eq!(line(0, 0, Level::Info, "a\nb\r\u{1b}[2Jc"), indented);
    }
}
