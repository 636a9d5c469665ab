//! The file system that the Linux test guest starts from.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};
use object::{Object, ObjectSection, read::File};

use super::{LinuxFiles, cpio::Archive};
use crate::{process, workspace};

/// The package of the guest's first program.
const PACKAGE: &str = "godwit-linux-guest";
/// Named although it is this machine's own: flags then reach the program alone, and no build script or procedural macro, which
/// cannot be linked statically.
const TARGET: &str = "x86_64-unknown-linux-gnu";
/// Linked with the C library inside, and without names: nobody debugs it there.
const RUSTFLAGS: &str = "-Ctarget-feature=+crt-static\x1f-Cstrip=symbols";

/// A built initramfs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Initramfs {
    pub(crate) path: PathBuf,
    pub(crate) bytes: usize,
}

/// Builds the initramfs of the guest: busybox with its links, and `/init`.
///
/// # Errors
/// The program cannot be built, or a file not written.
pub(crate) fn initramfs(linux: &LinuxFiles) -> Result<Initramfs> {
    let init = build_init()?;
    let mut archive = Archive::default();
    for directory in ["dev", "proc", "sys", "bin", "tmp"] {
        archive.directory(directory);
    }
    // Without it the kernel starts `/init` with no console at all.
    archive.device("dev/console", 5, 1);
    archive.program("init", &init);
    add_busybox(&mut archive, &linux.busybox())?;
    let archive = archive.finish();
    let path = workspace::output().join("initramfs.cpio");
    replace(&path, &archive)?;
    Ok(Initramfs { path, bytes: archive.len() })
}

/// Adds busybox and a link for everything it can do.
pub(super) fn add_busybox(archive: &mut Archive, busybox: &Path) -> Result<()> {
    let content = fs::read(busybox).with_context(|| format!("cannot read {}", busybox.display()))?;
    archive.program("bin/busybox", &content);
    let list = Command::new(busybox).arg("--list").output();
    let list = list.with_context(|| format!("cannot start {}", busybox.display()))?;
    ensure!(list.status.success(), "{} --list failed ({})", busybox.display(), list.status);
    let names = String::from_utf8_lossy(&list.stdout);
    names.lines().filter(|name| *name != "busybox").for_each(|name| {
        archive.link(&format!("bin/{name}"), "busybox");
    });
    Ok(())
}

fn build_init() -> Result<Vec<u8>> {
    let directory = workspace::output().join("guests");
    let mut command = process::cargo();
    command
        .args([
            "build",
            "--locked",
            "--quiet",
            "--release",
            "-p",
            PACKAGE,
            "--target",
            TARGET,
            "--target-dir",
        ])
        .arg(&directory)
        .env("CARGO_ENCODED_RUSTFLAGS", RUSTFLAGS);
    process::run(&mut command)?;
    let path = directory.join(TARGET).join("release").join(PACKAGE);
    let program = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let file = File::parse(program.as_slice()).with_context(|| path.display().to_string())?;
    let needs_a_loader = file.sections().any(|section| section.name() == Ok(".interp"));
    ensure!(!needs_a_loader, "{} needs shared libraries, which the guest does not have", path.display());
    Ok(program)
}

/// Writes `content` to `path` in one step: who reads it meanwhile gets the old file or the new one.
pub(super) fn replace(path: &Path, content: &[u8]) -> Result<()> {
    let unfinished = path.with_extension("new");
    fs::write(&unfinished, content).with_context(|| format!("cannot write {}", unfinished.display()))?;
    fs::rename(&unfinished, path).with_context(|| format!("cannot write {}", path.display()))
}
