//! A copy of the repository, in which errors may be made. What was compiled in it stays for the next one.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};

use crate::workspace;

/// Where compiled things of the copy lie, which no file of the repository's does.
const TARGET: &str = "target";

/// The copy.
#[derive(Debug)]
pub(super) struct Scratch {
    root: PathBuf,
}

impl Scratch {
    /// Makes the copy as the repository is now, with what is not committed yet. Files that are the same keep their times: nothing is
    /// compiled again for them.
    ///
    /// # Errors
    /// Git does not list the files, or one cannot be copied.
    pub(super) fn open() -> Result<Self> {
        let scratch = Self { root: workspace::root().join("target/mutants") };
        let mut git = Command::new("git");
        git.args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
            .current_dir(workspace::root());
        let listed = git.output().context("cannot start git, which knows the repository's files")?;
        ensure!(listed.status.success(), "git does not list the repository's files");
        let listed = String::from_utf8(listed.stdout).context("a file's name is no UTF-8")?;
        let files: BTreeSet<PathBuf> = listed.split_terminator('\0').map(PathBuf::from).collect();
        // One that was removed may still be listed.
        let files = files.into_iter().filter(|file| workspace::root().join(file).is_file()).collect();
        scratch.remove_others(&files, Path::new(""))?;
        files.iter().try_for_each(|file| scratch.restore(file))?;
        Ok(scratch)
    }

    /// Where it lies.
    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// Makes `file` what it is in the repository.
    ///
    /// # Errors
    /// It cannot be read or written.
    pub(super) fn restore(&self, file: &Path) -> Result<()> {
        let from = workspace::root().join(file);
        let content = fs::read(&from).with_context(|| format!("cannot read {}", from.display()))?;
        self.write(file, &content)
    }

    /// Writes `file`, unless it is so already.
    ///
    /// # Errors
    /// It cannot be written.
    pub(super) fn write(&self, file: &Path, content: &[u8]) -> Result<()> {
        let to = self.root.join(file);
        if fs::read(&to).is_ok_and(|there| there == content) {
            return Ok(());
        }
        let directory = to.parent().unwrap_or(&self.root);
        fs::create_dir_all(directory).with_context(|| format!("cannot make {}", directory.display()))?;
        fs::write(&to, content).with_context(|| format!("cannot write {}", to.display()))
    }

    /// Removes what is in the copy's `directory` and not among `files`.
    fn remove_others(&self, files: &BTreeSet<PathBuf>, directory: &Path) -> Result<()> {
        let Ok(entries) = fs::read_dir(self.root.join(directory)) else { return Ok(()) };
        for entry in entries {
            let entry = entry.context("cannot list the copy")?;
            let path = directory.join(entry.file_name());
            if path == Path::new(TARGET) {
                continue;
            }
            if entry.file_type()?.is_dir() {
                self.remove_others(files, &path)?;
            } else if !files.contains(&path) {
                fs::remove_file(entry.path()).with_context(|| format!("cannot remove {}", path.display()))?;
            }
        }
        Ok(())
    }
}
