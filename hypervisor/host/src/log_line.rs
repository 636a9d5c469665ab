//! One log record as one line on the console.

use core::fmt::{self, Write};

use arrayvec::ArrayString;
use log::{Level, Record};

use crate::machine::{CpuNumber, Instant};

/// Bytes of the longest line.
const LINE_BYTES: usize = 512;
/// What ends a line that was cut.
const CUT: &str = "...\n";

/// A log record as one line for the console, at most 512 bytes long: a longer one is cut, and says so by `...` at its end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LogLine(ArrayString<LINE_BYTES>);

impl LogLine {
    /// The line for `record`, logged at `now` by `cpu`; see [`write_log_line`].
    pub fn new(now: Instant, cpu: CpuNumber, record: &Record<'_>) -> Self {
        let mut out = Fitting { line: ArrayString::new(), is_full: false };
        // A message that gives up half-way is cut there.
        let is_whole = write_log_line(&mut out, now, cpu, record).is_ok() && !out.is_full;
        let mut line = out.line;
        if !is_whole {
            line.truncate(line.floor_char_boundary(LINE_BYTES - CUT.len()));
            line.push_str(CUT);
        }
        Self(line)
    }

    /// The line with the `\n` that ends it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Takes as much of a text as fits, in whole characters, and nothing after that.
struct Fitting {
    line: ArrayString<LINE_BYTES>,
    is_full: bool,
}

impl Write for Fitting {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if self.is_full {
            return Err(fmt::Error);
        }
        let fitting = text.floor_char_boundary(self.line.remaining_capacity());
        self.is_full = fitting < text.len();
        self.line.push_str(&text[..fitting]);
        if self.is_full { Err(fmt::Error) } else { Ok(()) }
    }
}

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

    use super::{LINE_BYTES, LogLine, write_log_line};
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

    /// Bytes before the message in the lines of [`kept`].
    const PREFIX: &str = "[    0.000000] cpu0 info  ";

    /// What a line of cpu0 at level info shows of `message`.
    fn kept(message: impl std::fmt::Display) -> String {
        let arguments = format_args!("{message}");
        let record = Record::builder().level(Level::Info).args(arguments).build();
        let line = LogLine::new(Instant::default(), CpuNumber(0), &record);
        line.as_str().strip_prefix(PREFIX).expect("a line begins with time, CPU and level").to_owned()
    }

    #[test]
    fn a_long_line_is_cut_and_ends_all_the_same() {
        assert_eq!(kept("short"), "short\n");
        assert_eq!(kept(""), "\n");
        let most = LINE_BYTES - PREFIX.len() - 1;
        assert_eq!(kept("x".repeat(most)), "x".repeat(most) + "\n");
        for bytes in [most + 1, most + 2, 5000] {
            assert_eq!(kept("x".repeat(bytes)), "x".repeat(most - 3) + "...\n");
        }
        // Characters are kept whole, wherever the cut falls.
        for before in ["", "x"] {
            let pairs = (most - 3 - before.len()) / 2;
            assert_eq!(
                kept(before.to_owned() + &"é".repeat(300)),
                format!("{before}{}...\n", "é".repeat(pairs))
            );
        }
    }

    /// A message that ignores that its first part did not fit.
    struct Stubborn;

    impl std::fmt::Display for Stubborn {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            // One byte is left: too little for the next character.
            f.write_str(&"x".repeat(LINE_BYTES - PREFIX.len() - 1))?;
            let _ = f.write_str("é");
            f.write_str("y")
        }
    }

    /// A message that cannot be had whole.
    struct Broken;

    impl std::fmt::Display for Broken {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("half")?;
            Err(std::fmt::Error)
        }
    }

    #[test]
    fn a_message_that_fails_ends_its_line_too() {
        assert_eq!(kept(Stubborn), "x".repeat(LINE_BYTES - PREFIX.len() - 4) + "...\n");
        assert_eq!(kept(Broken), "half...\n");
    }
}
