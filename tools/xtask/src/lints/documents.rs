//! What the documents name exists: a link to a file, a path of the repository, a source file by its name.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use super::Finding;

/// Directories of the repository that a document names in full.
const ROOTS: &[&str] = &["hypervisor/", "tools/", "tests/", "docs/"];

/// The files of the repository, from its root.
pub(super) struct Files {
    paths: BTreeSet<PathBuf>,
    names: BTreeSet<String>,
}

impl Files {
    /// The given files, from the root; their directories count as well.
    pub(super) fn new(files: impl IntoIterator<Item = PathBuf>) -> Self {
        let mut known = Self { paths: BTreeSet::new(), names: BTreeSet::new() };
        for file in files {
            known.names.extend(file.file_name().map(|name| name.to_string_lossy().into_owned()));
            known.paths.extend(file.ancestors().map(Path::to_owned));
        }
        known
    }

    fn has(&self, path: &Path) -> bool {
        let mut plain = PathBuf::new();
        for part in path.components() {
            match part {
                std::path::Component::ParentDir => {
                    plain.pop();
                }
                part => plain.push(part),
            }
        }
        self.paths.contains(&plain)
    }
}

/// Checks the document `text` at `path`.
pub(super) fn check(path: &Path, text: &str, files: &Files) -> Vec<Finding> {
    let directory = path.parent().unwrap_or(Path::new(""));
    let mut findings = Vec::new();
    let mut fenced = false;
    for (index, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
            continue;
        }
        if fenced {
            continue;
        }
        let mut missing = |named: &str| {
            let message = format!("names `{named}`, which does not exist");
            findings.push(Finding { path: path.to_owned(), line: index + 1, message });
        };
        for span in line.split('`').skip(1).step_by(2) {
            let is_path =
                ROOTS.iter().any(|root| span.starts_with(root)) && !span.contains(['*', ' ', '{', '…']);
            let is_name = span.ends_with(".rs") && !span.contains(['/', ' ']);
            let is_example = span.contains("NNNN");
            if !is_example
                && (is_path && !files.has(Path::new(span)) || is_name && !files.names.contains(span))
            {
                missing(span);
            }
        }
        for target in line.split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next()) {
            if !target.is_empty() && !target.contains("://") && !files.has(&directory.join(target)) {
                missing(target);
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn missing(text: &str) -> Vec<(usize, String)> {
        let files = ["docs/STATUS.md", "docs/notes/0001-ground.md", "tools/lab/src/lib.rs", "README.md"];
        let files = Files::new(files.map(PathBuf::from));
        let findings = check(Path::new("docs/PAGE.md"), text, &files);
        findings.into_iter().map(|finding| (finding.line, finding.message)).collect()
    }

    #[test]
    fn finds_what_is_not_there() {
        let text = "`tools/lab/src/gone.rs`\nsee `gone.rs` and [this](notes/0002-gone.md)\n";
        let lines: Vec<_> = missing(text).into_iter().map(|(line, _)| line).collect();
        assert_eq!(lines, [1, 2, 2]);
        assert!(missing("[x](../GONE.md)")[0].1.contains("../GONE.md"));
    }

    #[test]
    fn accepts_what_is_there_and_what_is_no_path() {
        let text = "`tools/lab`, `lib.rs`, [a](STATUS.md#part), [b](notes/0001-ground.md), [c](../README.md)\n\
                    `docs/notes/NNNN-decision.md`, `tests/*.rs`, `cargo xtask test`, [d](https://example.org/x)\n\
                    ```\n`gone.rs` [e](gone.md)\n```\n";
        assert_eq!(missing(text), []);
    }
}
