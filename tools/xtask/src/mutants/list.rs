//! The mutants of `tests/mutants.toml`.

use std::collections::HashSet;

use anyhow::{Result, anyhow, ensure};
use serde::Deserialize;

/// One small error, and the test that must find it.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Mutant {
    pub(super) name: String,
    /// From the repository's root.
    pub(super) file: String,
    /// What stands there, exactly once.
    source: String,
    /// What stands there instead.
    replacement: String,
    #[serde(flatten)]
    pub(super) test: Test,
}

/// A test, by its name.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Deserialize)]
pub(super) struct Test {
    pub(super) package: String,
    /// `lib`, or the name of an integration test.
    pub(super) target: String,
    #[serde(rename = "test")]
    pub(super) name: String,
}

impl Mutant {
    /// The file's text with the error in it.
    ///
    /// # Errors
    /// What is to be replaced is not there, or more than once: the mutant no longer says what it is meant to.
    pub(super) fn apply(&self, text: &str) -> Result<String> {
        let found = text.matches(&self.source).count();
        ensure!(found == 1, "its source occurs {found} times in {}, not once", self.file);
        Ok(text.replace(&self.source, &self.replacement))
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    mutant: Vec<Mutant>,
}

/// Understands the file of mutants.
///
/// # Errors
/// It is not understood, or two mutants have one name.
pub(super) fn parse(text: &str) -> Result<Vec<Mutant>> {
    let file: File = toml::from_str(text).map_err(|error| anyhow!("{}", error.to_string().trim_end()))?;
    let mut names = HashSet::new();
    for mutant in &file.mutant {
        ensure!(names.insert(&mutant.name), "two mutants are called {}", mutant.name);
        ensure!(mutant.source != mutant.replacement, "{} changes nothing", mutant.name);
    }
    Ok(file.mutant)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::workspace;

    const ONE: &str = "[[mutant]]\nname = \"a\"\nfile = \"x.rs\"\nsource = \"one\"\nreplacement = \"two\"\n\
        package = \"p\"\ntarget = \"lib\"\ntest = \"t\"\n";

    #[test]
    fn a_mutant_applies_where_its_source_stands_once() {
        let mutant = &parse(ONE).unwrap()[0];
        assert_eq!(mutant.apply("zero one three").unwrap(), "zero two three");
        for (text, times) in [("zero", "0 times"), ("one one", "2 times")] {
            assert!(mutant.apply(text).unwrap_err().to_string().contains(times));
        }
    }

    #[test]
    fn a_file_that_is_not_understood_is_refused() {
        let same = ONE.replace("\"two\"", "\"one\"");
        for (text, part) in [
            (format!("{ONE}{ONE}"), "two mutants are called a"),
            (same, "a changes nothing"),
            (ONE.replace("file", "fiel"), "fiel"),
        ] {
            let error = parse(&text).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn every_mutant_applies_to_what_is_there() {
        let root = workspace::root();
        let mutants = parse(&fs::read_to_string(root.join(super::super::FILE)).unwrap()).unwrap();
        for mutant in mutants {
            let text = fs::read_to_string(root.join(&mutant.file)).unwrap();
            mutant.apply(&text).unwrap_or_else(|error| panic!("{}: {error}", mutant.name));
        }
    }
}
