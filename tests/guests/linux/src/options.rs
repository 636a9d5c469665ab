//! What the kernel's command line asks for. Words that are not listed belong to the kernel.

use std::{str::FromStr, time::Duration};

/// What to do; nothing unless asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Options {
    /// `heartbeat=MS`: a beat in every so many milliseconds.
    pub(crate) heartbeat: Option<Duration>,
    /// `spin=1`: uses all processor time, and says for how long it had none.
    pub(crate) spin: bool,
    /// `write=MIB`: writes and checks every page of so much memory.
    pub(crate) write_mib: Option<usize>,
    /// `rate=PAGES_PER_S` of the writer; as fast as it can without it.
    pub(crate) pages_per_second: Option<u64>,
    /// `fill=MIB`: memory that no compression makes smaller, checked from time to time.
    pub(crate) fill_mib: Option<usize>,
    /// `fillcheck=S`: seconds between two checks of the fill.
    pub(crate) fill_check: Duration,
    /// `echo=1`: answers every line typed at the console.
    pub(crate) echo: bool,
    /// `shell=1`: a shell on the console.
    pub(crate) shell: bool,
    /// `bench=N`: what N exits cost, before anything else starts.
    pub(crate) bench: Option<u32>,
    /// `poweroff=MS`: switches the machine off after so long.
    pub(crate) power_off: Option<Duration>,
    /// `reboot=MS`: starts the machine again after so long.
    pub(crate) reboot: Option<Duration>,
}

/// Without `fillcheck=`.
const FILL_CHECK: Duration = Duration::from_secs(10);

impl Options {
    /// Reads a command line; returns what is asked for, and what is wrong with it.
    pub(crate) fn read(command_line: &str) -> (Self, Vec<String>) {
        let mut options = Self { fill_check: FILL_CHECK, ..Self::default() };
        let mut problems = Vec::new();
        for word in command_line.split_whitespace() {
            let Some((key, value)) = word.split_once('=') else { continue };
            if let Err(expected) = options.set(key, value) {
                problems.push(format!("{word}: expected {expected}"));
            }
        }
        if options.shell && options.echo {
            problems.push("shell=1 echo=1: expected one of them; the shell has the console".to_owned());
        }
        (options, problems)
    }

    /// Sets one option; the error is what was expected.
    fn set(&mut self, key: &str, value: &str) -> Result<(), &'static str> {
        let milliseconds = |least| number(value, least..=u32::MAX).map(|ms| Duration::from_millis(ms.into()));
        let flag = || number(value, 0..=1u8).map(|flag| flag == 1).map_err(|_| "0 or 1");
        match key {
            "heartbeat" => self.heartbeat = Some(milliseconds(1)?),
            "spin" => self.spin = flag()?,
            "write" => self.write_mib = Some(number(value, 1..=MAX_MIB)?),
            "rate" => self.pages_per_second = Some(number(value, 1..=u64::MAX)?),
            "fill" => self.fill_mib = Some(number(value, 1..=MAX_MIB)?),
            "fillcheck" => self.fill_check = Duration::from_secs(number(value, 1..=u32::MAX)?.into()),
            "echo" => self.echo = flag()?,
            "shell" => self.shell = flag()?,
            "bench" => self.bench = Some(number(value, 1..=u32::MAX)?),
            "poweroff" => self.power_off = Some(milliseconds(0)?),
            "reboot" => self.reboot = Some(milliseconds(0)?),
            _ => {}
        }
        Ok(())
    }
}

/// More memory than any guest has, and small enough that its bytes can be counted.
const MAX_MIB: usize = 1 << 24;

fn number<T: FromStr + PartialOrd>(
    value: &str,
    allowed: std::ops::RangeInclusive<T>,
) -> Result<T, &'static str> {
    value.parse().ok().filter(|number| allowed.contains(number)).ok_or("a number, not 0 and not too large")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_is_meant_for_it() {
        let line =
            "console=ttyS0 quiet heartbeat=50 write=32 rate=1000 spin=1 fill=8 bench=2000 poweroff=0 ro\n";
        let (options, problems) = Options::read(line);
        assert_eq!(problems, [""; 0]);
        let expected = Options {
            heartbeat: Some(Duration::from_millis(50)),
            spin: true,
            write_mib: Some(32),
            pages_per_second: Some(1000),
            fill_mib: Some(8),
            fill_check: FILL_CHECK,
            bench: Some(2000),
            power_off: Some(Duration::ZERO),
            ..Options::default()
        };
        assert_eq!(options, expected);
    }

    #[test]
    fn says_what_it_does_not_understand_and_goes_on() {
        let (options, problems) =
            Options::read("heartbeat=0 write=-1 fill=99999999999 spin=yes rate= echo=1");
        assert_eq!(options, Options { fill_check: FILL_CHECK, echo: true, ..Options::default() });
        assert_eq!(problems.len(), 5, "{problems:?}");
        for (problem, word) in problems.iter().zip(["heartbeat=0", "write=-1", "fill=", "spin=yes", "rate="])
        {
            assert!(problem.starts_with(word) && problem.contains("expected"), "{problem}");
        }
    }

    #[test]
    fn one_program_has_the_console() {
        let (options, problems) = Options::read("shell=1 echo=1");
        assert!(options.shell && problems[0].contains("one of them"));
    }
}
