//! The tests that `docs/STATUS.md` allows to be skipped.

use std::{collections::HashMap, fs, io, path::Path};

use anyhow::{Context, Result};

/// Tests that cannot run everywhere, each with its reason.
#[derive(Default, Debug)]
pub(super) struct Exceptions {
    reasons: HashMap<String, String>,
}

impl Exceptions {
    /// Reads the tables of the document at `path` whose heads are `| test | reason |`; no document, no exceptions.
    ///
    /// # Errors
    /// The document is there and cannot be read.
    pub(super) fn read(path: &Path) -> Result<Self> {
        match fs::read_to_string(path) {
            Ok(text) => Ok(Self::parse(&text)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
        }
    }

    fn parse(text: &str) -> Self {
        let mut reasons = HashMap::new();
        let mut in_table = false;
        for line in text.lines() {
            let cells: Vec<_> = line.trim().split('|').map(|cell| cell.trim().trim_matches('`')).collect();
            match cells[..] {
                ["", test, reason, ""] if test.eq_ignore_ascii_case("test") => {
                    in_table = reason.eq_ignore_ascii_case("reason");
                }
                ["", rule, _, ""] if rule.starts_with('-') || rule.starts_with(':') => {}
                ["", test, reason, ""] if in_table && !test.is_empty() && !reason.is_empty() => {
                    reasons.insert(test.to_owned(), reason.to_owned());
                }
                _ => in_table = false,
            }
        }
        Self { reasons }
    }

    /// Why `test` may be skipped, or `None` where it may not.
    pub(super) fn reason(&self, test: &str) -> Option<&str> {
        self.reasons.get(test).map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_its_own_table_and_no_other() {
        let exceptions = Exceptions::parse(
            "# Status\n\n| feature | word |\n|---|---|\n| `boot::pc` | works |\n\n\
             | Test | Reason |\n| --- | :-: |\n| `boot::many_cpus` | needs 64 CPUs |\n| bare | a reason |\n| empty | |\n\n\
             | `after` | the table |\n",
        );
        assert_eq!(exceptions.reason("boot::many_cpus"), Some("needs 64 CPUs"));
        assert_eq!(exceptions.reason("bare"), Some("a reason"));
        for test in ["boot::pc", "empty", "after", "Test", "---"] {
            assert_eq!(exceptions.reason(test), None, "{test}");
        }
    }

    #[test]
    fn no_document_allows_nothing() {
        let exceptions = Exceptions::read(Path::new("/nowhere/STATUS.md")).unwrap();
        assert_eq!(exceptions.reason("boot::pc"), None);
    }
}
