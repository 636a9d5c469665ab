//! Builds the image, and the micro guests beside it.

mod embed;

use std::{fs, path::PathBuf, time::Instant};

use anyhow::{Context, Result};

use crate::{guests, process, workspace};

/// What every function of the image is compiled with: backtraces follow frame pointers.
///
/// Set by the variable that overrides every other source of flags. Flags of the caller's environment are left out on
/// purpose: `-Ctarget-cpu=native` would put instructions into the image that fault before they are switched on.
const RUSTFLAGS: &str = "-Cforce-frame-pointers=yes";

/// Builds the image and the micro guests, and says where they lie.
pub(crate) fn run() -> Result<()> {
    let started = Instant::now();
    let built = image()?;
    println!(
        "{}: {} KiB, {} functions named, {:.1} s",
        built.path.display(),
        built.bytes / 1024,
        built.functions,
        started.elapsed().as_secs_f32()
    );
    println!("{}", guests::build_micro()?.display());
    Ok(())
}

/// An image that was built.
pub(crate) struct Built {
    pub(crate) path: PathBuf,
    /// Length of the file.
    pub(crate) bytes: usize,
    /// Functions in its symbol table.
    pub(crate) functions: usize,
}

/// Builds the image with its function names in it.
///
/// # Errors
/// Cargo fails, or the names do not fit the image's section for them.
pub(crate) fn image() -> Result<Built> {
    process::run(&mut cargo_build())?;
    embed_symbols()
}

/// The Cargo call that compiles and links the image.
pub(crate) fn cargo_build() -> std::process::Command {
    let mut command = process::cargo();
    command
        .args([
            "build",
            "--locked",
            "--release",
            "-p",
            "godwit-image",
            "--features",
            "kernel",
            "--bin",
            "godwit",
        ])
        .arg("--target-dir")
        .arg(linked_directory())
        .env("CARGO_ENCODED_RUSTFLAGS", RUSTFLAGS)
        .env("GODWIT_BUILD_ID", workspace::build_id());
    command
}

/// Copies what Cargo linked to its final place, with the function names in it.
pub(crate) fn embed_symbols() -> Result<Built> {
    let linked = linked_directory().join("release/godwit");
    let mut image = fs::read(&linked).with_context(|| format!("cannot read {}", linked.display()))?;
    let functions = embed::embed(&mut image).with_context(|| linked.display().to_string())?;
    let path = workspace::image();
    // Renamed into place: who boots the image meanwhile gets the old one or the new one.
    let unfinished = path.with_extension("elf.new");
    fs::write(&unfinished, &image).with_context(|| format!("cannot write {}", unfinished.display()))?;
    fs::rename(&unfinished, &path).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(Built { path, bytes: image.len(), functions })
}

/// A target directory of its own: other flags in a shared one would rebuild everything each time.
fn linked_directory() -> PathBuf {
    workspace::output().join("build")
}
