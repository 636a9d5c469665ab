//! The Linux test guest's files, and its lines on a console.

use std::{
    env,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Result, anyhow, ensure};
use godwit_lab::{GuestLine, RunningHost};

/// How long the guest may take from its first instruction to anything it is asked for.
pub const LINUX: Duration = Duration::from_secs(180);

/// What `cargo xtask linux` leaves.
#[derive(Clone, Debug)]
pub struct LinuxFiles {
    /// The kernel with its PVH entry.
    pub vmlinux: PathBuf,
    /// The kernel as a bzImage.
    pub vmlinuz: PathBuf,
    /// Busybox and the guest's first program.
    pub initramfs: PathBuf,
}

/// The guest's files.
///
/// # Errors
/// They were not built.
pub fn linux() -> Result<LinuxFiles> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let built = || here.ancestors().nth(2).unwrap_or(here).join("target/godwit");
    let output = env::var_os("GODWIT_LINUX").map_or_else(built, PathBuf::from);
    let files = LinuxFiles {
        vmlinux: output.join("linux/vmlinux"),
        vmlinuz: output.join("linux/vmlinuz"),
        initramfs: output.join("initramfs.cpio"),
    };
    for file in [&files.vmlinux, &files.vmlinuz, &files.initramfs] {
        ensure!(file.is_file(), "no {}: run `cargo xtask linux`", file.display());
    }
    Ok(files)
}

/// Waits for a line of the guest that `wanted` takes, and returns what it makes of it; `what` names it in the error. A line may be
/// shown to `wanted` more than once.
///
/// # Errors
/// None came, or the guest reported something bad before.
pub fn guest_line<T>(
    host: &RunningHost,
    what: &str,
    mut wanted: impl FnMut(GuestLine) -> Option<T>,
) -> Result<T> {
    let mut found = None;
    host.expect_line(
        what,
        |line| {
            found = match GuestLine::parse(line) {
                Some(GuestLine::Bad(text)) => Some(Err(anyhow!("before {what} the guest reported: {text}"))),
                other => other.and_then(&mut wanted).map(Ok),
            };
            found.is_some()
        },
        LINUX,
    )?;
    found.ok_or_else(|| anyhow!("{what} came and was not understood"))?
}
