//! What the Linux test guest says, line by line (`tests/guests/linux` prints them).

use std::str::FromStr;

/// One line of the guest, understood. Times are the guest's CLOCK_MONOTONIC in nanoseconds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum GuestLine {
    /// Its first line: Linux has started its first program.
    UserSpace {
        /// When.
        ns: u64,
    },
    /// How many CPUs Linux has brought up.
    Cpus {
        /// As it counts them.
        count: u32,
    },
    /// A heartbeat.
    Beat {
        /// Its number, from 0 without a gap.
        number: u64,
        /// When.
        ns: u64,
    },
    /// The longest time that the spinner had no processor within a second.
    Gap {
        /// Its number, from 0 without a gap.
        number: u64,
        /// How long, in microseconds; 0 where all was shorter than 1 ms.
        longest_us: u64,
    },
    /// The writer found all its pages as they should be.
    PagesOk {
        /// How often each had been written.
        round: u64,
    },
    /// The fill is as it was written.
    FillOk {
        /// Its number, from 0 without a gap.
        number: u64,
    },
    /// What a CPUID exit costs, as one of several measurements.
    CpuidExit {
        /// Which.
        round: u64,
        /// Nanoseconds for one, on average.
        ns: u64,
    },
    /// The measurements are over.
    BenchDone,
    /// What was typed at the console, as it arrived.
    Echo {
        /// Its number, from 0 without a gap.
        number: u64,
        /// The line.
        text: String,
    },
    /// Something is wrong: a bad page, a clock that went back, an option that was not understood.
    Bad(String),
}

impl GuestLine {
    /// Understands `line`; `None` where it is somebody else's, such as the kernel's.
    pub fn parse(line: &str) -> Option<Self> {
        let line = line.trim_end();
        if line.starts_with("BAD ") || line.starts_with("CLOCK BACK ") {
            return Some(Self::Bad(line.to_owned()));
        }
        let words: Vec<_> = line.split(' ').collect();
        Some(match words[..] {
            ["godwit-guest:", "user", "space", ns] => Self::UserSpace { ns: number(ns)? },
            ["godwit-guest:", "cpus", count] => Self::Cpus { count: number(count)? },
            ["beat", sequence, ns] => Self::Beat { number: number(sequence)?, ns: number(ns)? },
            ["gap", sequence, us, "at", _] => {
                Self::Gap { number: number(sequence)?, longest_us: number(us)? }
            }
            ["pages", round, "ok", ..] => Self::PagesOk { round: number(round)? },
            ["fill", sequence, "ok", ..] => Self::FillOk { number: number(sequence)? },
            ["pages" | "fill", _, "BAD", ..] => Self::Bad(line.to_owned()),
            ["bench", round, "cpuid_ns", ns] => Self::CpuidExit { round: number(round)?, ns: number(ns)? },
            ["bench", "done"] => Self::BenchDone,
            ["echo", sequence, ..] => {
                let text = line.splitn(3, ' ').nth(2).unwrap_or_default().to_owned();
                Self::Echo { number: number(sequence)?, text }
            }
            _ => return None,
        })
    }
}

fn number<T: FromStr>(word: &str) -> Option<T> {
    word.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn understands_every_line_of_the_guest() {
        let cases = [
            ("godwit-guest: user space 1653576151\r", GuestLine::UserSpace { ns: 1_653_576_151 }),
            ("godwit-guest: cpus 4", GuestLine::Cpus { count: 4 }),
            ("beat 3 2126345218", GuestLine::Beat { number: 3, ns: 2_126_345_218 }),
            ("gap 1 5145 at 3044051639", GuestLine::Gap { number: 1, longest_us: 5145 }),
            ("pages 7 ok 4096 4070263130", GuestLine::PagesOk { round: 7 }),
            ("fill 1 ok 2048 4053773301", GuestLine::FillOk { number: 1 }),
            ("bench 6 cpuid_ns 8", GuestLine::CpuidExit { round: 6, ns: 8 }),
            ("bench done", GuestLine::BenchDone),
            ("echo 0 two  words ", GuestLine::Echo { number: 0, text: "two  words".to_owned() }),
            ("echo 1 ", GuestLine::Echo { number: 1, text: String::new() }),
        ];
        for (line, expected) in cases {
            assert_eq!(GuestLine::parse(line), Some(expected), "{line}");
        }
    }

    #[test]
    fn whatever_is_wrong_is_bad() {
        for line in [
            "BAD PAGE 3 word 0 expected 0x2 found 0x1",
            "BAD OPTION spin=yes: expected 0 or 1",
            "CLOCK BACK 5 4",
            "pages 3 BAD 1 99",
            "fill 3 BAD 1 99",
        ] {
            assert_eq!(GuestLine::parse(line), Some(GuestLine::Bad(line.to_owned())));
        }
    }

    #[test]
    fn lines_of_others_are_left_to_them() {
        for line in [
            "",
            "[    0.0] Linux version",
            "beat",
            "beat x 1",
            "beat 1",
            "gap 1 2 3",
            "bench touch first_ns 1",
        ] {
            assert_eq!(GuestLine::parse(line), None, "{line}");
        }
    }
}
