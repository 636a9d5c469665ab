//! What a test says of a mutant.

use std::{fmt, process::ExitStatus};

/// How `timeout` ends when the time was over.
const TIME_OVER: i32 = 124;
/// Lines of the output that are shown where the test did not come to a verdict.
const SHOWN_LINES: usize = 12;

/// What came of one run of the test.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Verdict {
    /// The test failed: with an error in it, it found that.
    Caught,
    /// The test passed.
    Survived,
    /// There is no verdict: it does not apply or compile, there is no such test, or it took too long.
    Broken(String),
}

impl Verdict {
    /// Reads what `cargo test` printed when it was asked for the test called `name` alone.
    pub(super) fn read(status: ExitStatus, output: &str, name: &str) -> Self {
        if status.code() == Some(TIME_OVER) {
            return Self::Broken("took too long".to_owned());
        }
        let verdict = output.lines().find_map(|line| {
            let (test, verdict) = line.strip_prefix("test ")?.rsplit_once(" ... ")?;
            (test == name).then_some(verdict)
        });
        match verdict {
            Some("FAILED") if !status.success() => Self::Caught,
            Some("ok") if status.success() => Self::Survived,
            Some(verdict) => Self::Broken(format!("the test says `{verdict}` and Cargo ends with {status}")),
            None => {
                let lines: Vec<_> = output.trim_end().lines().collect();
                let shown = lines.get(lines.len().saturating_sub(SHOWN_LINES)..).unwrap_or_default();
                Self::Broken(format!("{name} did not run:\n    {}", shown.join("\n    ")))
            }
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Caught => f.write_str("caught"),
            Self::Survived => f.write_str("SURVIVED"),
            Self::Broken(why) => write!(f, "ERROR: {why}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;

    use super::*;

    fn read(code: i32, output: &str) -> Verdict {
        Verdict::read(ExitStatus::from_raw(code << 8), output, "a::t")
    }

    #[test]
    fn only_the_named_tests_own_failure_counts() {
        assert_eq!(read(101, "running 1 test\ntest a::t ... FAILED\n"), Verdict::Caught);
        assert_eq!(read(0, "test a::t ... ok\n"), Verdict::Survived);
        for (code, output) in [
            (101, "test a::other ... FAILED\n"),
            (101, "error[E0308]: mismatched types\n"),
            (0, "running 0 tests\n"),
            (0, "test a::t ... ignored\n"),
            (101, "test a::t ... ok\n"),
            (TIME_OVER, "test a::t ... FAILED\n"),
        ] {
            assert!(matches!(read(code, output), Verdict::Broken(_)), "{code} {output}");
        }
    }
}
