//! Files stay small enough to read in one go.

use super::{Finding, source::Source};

/// Lines of a file.
const MAX_LINES: usize = 400;
/// Lines of a file that holds only tests.
const MAX_TEST_LINES: usize = 600;

pub(super) fn check(source: &Source) -> Vec<Finding> {
    let is_test = source.path().iter().any(|part| part == "tests" || part == "tests.rs");
    // `tests/scenarios/src` holds what tests stand on, which is code like any other.
    let is_test = is_test && !source.path().starts_with("tests/scenarios/src");
    let allowed = if is_test { MAX_TEST_LINES } else { MAX_LINES };
    let lines = source.code_lines().count();
    if lines <= allowed {
        return Vec::new();
    }
    vec![source.finding(allowed, format!("{lines} lines, {allowed} are allowed: split the file by concern"))]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(path: &str, lines: usize) -> usize {
        check(&Source::new(path.into(), "x\n".repeat(lines))).len()
    }

    #[test]
    fn counts_lines() {
        for path in ["hypervisor/x/src/lib.rs", "tests/scenarios/src/lib.rs"] {
            assert_eq!((findings(path, 400), findings(path, 401)), (0, 1), "{path}");
        }
        for path in ["hypervisor/x/src/y/tests.rs", "tools/x/tests/y.rs", "tests/scenarios/tests/boot.rs"] {
            assert_eq!((findings(path, 600), findings(path, 601)), (0, 1), "{path}");
        }
    }
}
