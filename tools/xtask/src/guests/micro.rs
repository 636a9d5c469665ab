//! The micro guests: one freestanding kernel.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

use crate::{process, workspace};

/// Flags of the caller's environment are left out, as for the image: `-Ctarget-cpu=native` would put instructions into
/// the guest that fault.
const RUSTFLAGS: &str = "-Cforce-frame-pointers=yes";

/// Builds the micro guests and says where their kernel lies.
///
/// # Errors
/// Cargo fails.
pub(crate) fn build() -> Result<PathBuf> {
    process::run(&mut cargo_build())?;
    place()
}

/// The Cargo call that compiles and links them.
pub(crate) fn cargo_build() -> Command {
    let mut command = process::cargo();
    command
        .args(["build", "--locked", "--release", "-p", "godwit-micro", "--features", "kernel"])
        .args(["--bin", "micro", "--target-dir"])
        .arg(target_directory())
        .env("CARGO_ENCODED_RUSTFLAGS", RUSTFLAGS);
    command
}

/// Copies what Cargo linked to where others look for it.
///
/// # Errors
/// It was not built, or the copy cannot be written.
pub(crate) fn place() -> Result<PathBuf> {
    let linked = target_directory().join("release/micro");
    let path = workspace::output().join("micro.elf");
    replace(&linked, &path)
        .with_context(|| format!("cannot copy {} to {}", linked.display(), path.display()))?;
    Ok(path)
}

/// Renamed into place: who boots it meanwhile gets the old one or the new one.
fn replace(from: &Path, to: &Path) -> Result<()> {
    let unfinished = to.with_extension("elf.new");
    fs::copy(from, &unfinished)?;
    Ok(fs::rename(&unfinished, to)?)
}

/// The image's: the flags are the same, so what both use is compiled once.
fn target_directory() -> PathBuf {
    workspace::output().join("build")
}
