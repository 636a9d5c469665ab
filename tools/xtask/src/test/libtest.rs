//! Reads what `cargo test` prints.

use std::process::ExitStatus;

use super::{Outcome, status::Exceptions};

/// What Cargo says on its way; of no use in the report of a failure.
const CHATTER: &[&str] = &[
    "Blocking",
    "Building",
    "Checking",
    "Compiling",
    "Doc-tests",
    "Documenting",
    "Downloaded",
    "Downloading",
    "Finished",
    "Fresh",
    "Locking",
    "Running",
    "Updating",
];
/// Lines of a failure's report; the rest is in the middle of something long.
const MAX_LINES: usize = 300;

/// Counts the tests in the output of `cargo test`.
///
/// A test that says it was ignored is skipped where `exceptions` allows it, and has failed where not.
pub(super) fn outcome(status: ExitStatus, output: &str, exceptions: &Exceptions) -> Outcome {
    let mut outcome = Outcome::default();
    for line in output.lines() {
        if let Some(sums) = line.strip_prefix("test result: ") {
            outcome.passed += count(sums, "passed");
            outcome.failed += count(sums, "failed");
        } else if let Some(name) = ignored(line) {
            match exceptions.reason(name) {
                Some(reason) => outcome.skipped.push((name.to_owned(), reason.to_owned())),
                None => {
                    outcome.failed += 1;
                    outcome.failures.push(format!("{name} was not run, and docs/STATUS.md does not list it"));
                }
            }
        }
    }
    if !status.success() {
        // Where no test is to blame it did not compile, or the test program died.
        if outcome.failed == outcome.failures.len() {
            outcome.failed += 1;
        }
        outcome.failures.push(relevant(output));
    }
    outcome
}

/// The number before `what` in `ok. 3 passed; 0 failed; …`.
fn count(sums: &str, what: &str) -> usize {
    let before = sums.split([';', '.']).find_map(|part| part.trim().strip_suffix(what));
    before.and_then(|number| number.trim().parse().ok()).unwrap_or(0)
}

/// The name of a test that was ignored.
fn ignored(line: &str) -> Option<&str> {
    let (name, verdict) = line.strip_prefix("test ")?.rsplit_once(" ... ")?;
    verdict.starts_with("ignored").then_some(name)
}

/// The lines of `output` that say what went wrong, the last ones where there are many.
pub(super) fn relevant(output: &str) -> String {
    let chatter = |line: &str| {
        let words: Vec<_> = line.split_whitespace().collect();
        match words[..] {
            [first, ..] if line.starts_with(' ') && CHATTER.contains(&first) => true,
            ["test", "result:", verdict, ..] => verdict == "ok.",
            ["test", .., verdict] => verdict == "ok",
            ["running", _, what] => what.starts_with("test"),
            _ => false,
        }
    };
    let mut lines: Vec<_> = output.lines().filter(|line| !chatter(line)).collect();
    lines.dedup_by(|a, b| a.trim().is_empty() && b.trim().is_empty());
    let cut = lines.len().saturating_sub(MAX_LINES);
    let note = if cut > 0 { format!("({cut} lines before are not shown)\n") } else { String::new() };
    note + lines[cut..].join("\n").trim()
}

#[cfg(test)]
mod tests {
    use std::{os::unix::process::ExitStatusExt, path::Path};

    use super::*;

    const PASSED: &str = "   Compiling x v0.1.0\n     Running y\n\nrunning 2 tests\ntest a::b ... ok\ntest c ... ok\n\n\
        test result: ok. 2 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s\n";
    const FAILED: &str = "test d ... FAILED\n\nfailures:\n\n---- d stdout ----\nassertion failed\n\n\
        test result: FAILED. 4 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s\n";
    const IGNORED: &str = "test e::f ... ignored, too slow\n\
        test result: ok. 0 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s\n";

    fn read(code: i32, output: &str) -> Outcome {
        let exceptions = Exceptions::read(Path::new("/nowhere")).unwrap();
        outcome(ExitStatus::from_raw(code << 8), output, &exceptions)
    }

    #[test]
    fn sums_over_test_programs() {
        let outcome = read(101, &format!("{PASSED}{FAILED}"));
        assert_eq!((outcome.passed, outcome.failed, outcome.skipped.len()), (6, 1, 0));
        let [report] = outcome.failures.as_slice() else { panic!("{outcome:?}") };
        assert!(report.contains("assertion failed") && !report.contains("Compiling"), "{report}");
        assert!(!report.contains("a::b"), "{report}");
    }

    #[test]
    fn a_failure_without_a_test_counts_as_one() {
        for output in ["error[E0308]: mismatched types\n", PASSED] {
            let outcome = read(101, output);
            assert_eq!((outcome.failed, outcome.failures.len()), (1, 1), "{output}");
        }
    }

    #[test]
    fn ignored_tests_fail_unless_they_are_listed() {
        let outcome = read(0, IGNORED);
        assert_eq!((outcome.passed, outcome.failed, outcome.skipped.len()), (0, 1, 0));
        assert!(outcome.failures[0].contains("e::f"), "{outcome:?}");
        let directory = tempfile::tempdir().unwrap();
        let status = directory.path().join("STATUS.md");
        std::fs::write(&status, "| test | reason |\n|---|---|\n| e::f | no hardware |\n").unwrap();
        let exceptions = Exceptions::read(&status).unwrap();
        let outcome = super::outcome(ExitStatus::from_raw(0), IGNORED, &exceptions);
        assert_eq!((outcome.failed, outcome.failures.len()), (0, 0));
        assert_eq!(outcome.skipped, [("e::f".to_owned(), "no hardware".to_owned())]);
    }

    #[test]
    fn long_reports_keep_their_end() {
        let long: String = (0..1000).map(|line| format!("line {line}\n")).collect();
        let report = relevant(&long);
        assert!(report.starts_with("(700 lines before") && report.ends_with("line 999"), "{report}");
    }
}
