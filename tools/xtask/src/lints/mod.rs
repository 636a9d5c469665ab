//! House lints: rules of the repository that neither rustc nor clippy knows.

mod documents;
mod manifests;
mod names;
mod placeholders;
mod sizes;
mod source;
mod unsafe_code;

use std::{
    fmt, fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

use source::Source;

/// The directories that hold crates.
const CRATE_DIRECTORIES: &[&str] = &["hypervisor", "tools", "tests"];

/// A broken rule, and where.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Finding {
    /// From the repository's root.
    path: PathBuf,
    /// Counted from 1.
    line: usize,
    message: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path.display(), self.line, self.message)
    }
}

/// What was read, and what is wrong with it.
pub(crate) struct Report {
    pub(crate) files: usize,
    pub(crate) findings: Vec<Finding>,
}

/// Where the documents are: this directory, and the root's own files.
const DOCUMENTS: &str = "docs";

/// Checks every Rust file, every manifest and every document of the repository at `root`.
///
/// # Errors
/// A file cannot be read.
pub(crate) fn check(root: &Path) -> Result<Report> {
    let mut paths = Vec::new();
    for directory in CRATE_DIRECTORIES {
        list(&root.join(directory), &mut paths)?;
    }
    if root.join(DOCUMENTS).is_dir() {
        list(&root.join(DOCUMENTS), &mut paths)?;
    }
    for entry in fs::read_dir(root).with_context(|| format!("cannot list {}", root.display()))? {
        let entry = entry?;
        // The workspace's own manifest is no crate's.
        if entry.file_type()?.is_file() && entry.file_name() != "Cargo.toml" {
            paths.push(entry.path());
        }
    }
    paths.sort();
    let known = documents::Files::new(
        paths.iter().filter_map(|path| path.strip_prefix(root).ok()).map(Path::to_owned),
    );
    let mut report = Report { files: 0, findings: Vec::new() };
    for path in paths {
        let shown = path.strip_prefix(root).unwrap_or(&path).to_owned();
        let read = || fs::read_to_string(&path).with_context(|| format!("cannot read {}", shown.display()));
        let findings = if path.file_name().is_some_and(|name| name == "Cargo.toml") {
            manifests::check(&shown, &read()?)
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            check_source(&Source::new(shown.clone(), read()?))
        } else if path.extension().is_some_and(|extension| extension == "md") {
            documents::check(&shown, &read()?, &known)
        } else {
            continue;
        };
        report.files += 1;
        report.findings.extend(findings);
    }
    Ok(report)
}

fn check_source(source: &Source) -> Vec<Finding> {
    let checks =
        [unsafe_code::check, sizes::check, names::check, placeholders::check, manifests::check_crate_root];
    checks.iter().flat_map(|check| check(source)).collect()
}

/// Appends the files under `directory`; hidden ones and what was built are not the repository's.
fn list(directory: &Path, paths: &mut Vec<PathBuf>) -> Result<()> {
    let entries = fs::read_dir(directory).with_context(|| format!("cannot list {}", directory.display()))?;
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        if name == "target" || name.to_string_lossy().starts_with('.') {
            continue;
        }
        if entry.file_type()?.is_dir() {
            list(&entry.path(), paths)?;
        } else {
            paths.push(entry.path());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn walks_crates_and_says_where() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        for path in ["hypervisor/x/src", "hypervisor/x/target", "tools", "tests"] {
            fs::create_dir_all(root.join(path)).unwrap();
        }
        fs::write(root.join("hypervisor/x/src/good.rs"), "fn f() {}\n").unwrap();
        fs::write(root.join("hypervisor/x/src/bad.rs"), "\nfn f() { todo!() }\n").unwrap();
        fs::write(root.join("hypervisor/x/target/built.rs"), "fn f() { todo!() }\n").unwrap();
        fs::write(root.join("tools/notes.txt"), "todo!()\n").unwrap();
        let report = check(root).unwrap();
        assert_eq!(report.files, 2);
        let shown: Vec<_> = report.findings.iter().map(ToString::to_string).collect();
        assert_eq!(shown.len(), 1, "{shown:?}");
        assert!(shown[0].starts_with("hypervisor/x/src/bad.rs:2: "), "{shown:?}");
    }
}
