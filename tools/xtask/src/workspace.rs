//! Where things are in the repository, and which commit it is.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

/// The repository's root.
pub(crate) fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here).to_owned()
}

/// Where all that belongs to the image goes.
pub(crate) fn output() -> PathBuf {
    root().join("target/godwit")
}

/// The bootable image.
pub(crate) fn image() -> PathBuf {
    output().join("godwit.elf")
}

/// What the image says it was built from: the commit, `-dirty` where tracked files differ from it, or `unknown` outside git.
pub(crate) fn build_id() -> String {
    let Some(commit) = git(&["rev-parse", "--short=12", "HEAD"]) else { return "unknown".to_owned() };
    match git(&["status", "--porcelain", "--untracked-files=no"]) {
        Some(changes) if changes.is_empty() => commit,
        _ => commit + "-dirty",
    }
}

fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).current_dir(root()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
