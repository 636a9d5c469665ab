//! The Linux test guest: Debian's own kernel, and an initramfs of busybox and `tests/guests/linux`.
//!
//! The packages are downloaded and unpacked under `target/godwit/linux`, never installed: no root is needed, and the machine
//! stays as it is. What is there is used as it is, also without a network; remove the directory for newer versions.

mod bzimage;
pub(crate) mod command;
mod cpio;
mod initramfs;
mod packages;
mod peer;

use std::{
    fs, io,
    path::{Path, PathBuf},
    process,
};

use anyhow::{Context, Result};

use crate::workspace;

pub(crate) use initramfs::initramfs;
pub(crate) use peer::peer;

/// Names the newest kernel of its kind by depending on it.
const KERNEL: &str = "linux-image-cloud-amd64";
/// One program that is a whole user space, linked statically.
const BUSYBOX: &str = "busybox-static";

/// What was unpacked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct LinuxFiles {
    directory: PathBuf,
    /// The packages and their versions, one a line.
    pub(crate) version: String,
}

impl LinuxFiles {
    /// The kernel as an ELF file with a PVH entry.
    pub(crate) fn vmlinux(&self) -> PathBuf {
        self.directory.join("vmlinux")
    }

    /// The kernel as Debian ships it: a bzImage.
    pub(crate) fn vmlinuz(&self) -> PathBuf {
        self.directory.join("vmlinuz")
    }

    /// The kernel's modules, a directory.
    pub(crate) fn modules(&self) -> PathBuf {
        self.directory.join("modules")
    }

    /// The program busybox.
    pub(crate) fn busybox(&self) -> PathBuf {
        self.directory.join("busybox")
    }

    fn read(directory: &Path) -> Option<Self> {
        let version = fs::read_to_string(directory.join("VERSION")).ok()?;
        Some(Self { directory: directory.to_owned(), version: version.trim_end().to_owned() })
    }
}

/// The kernel and busybox; fetches them where they are not there yet, and says to `tell` what it does and which versions came.
///
/// # Errors
/// They cannot be downloaded, or are not what they should be.
pub(crate) fn kernel(tell: &mut dyn FnMut(&str)) -> Result<LinuxFiles> {
    let directory = workspace::output().join("linux");
    if let Some(files) = LinuxFiles::read(&directory) {
        return Ok(files);
    }
    tell(&format!("setup: fetching {KERNEL} and {BUSYBOX} for the Linux test guest; nothing is installed"));
    // Renamed into place when all is there: what was interrupted leaves nothing that looks finished.
    let unfinished = directory.with_extension(format!("new.{}", process::id()));
    let fetched = fetch(&unfinished).and_then(|()| put_in_place(&unfinished, &directory));
    // After success there is nothing to remove, after a failure the failure is what matters.
    let _ = fs::remove_dir_all(&unfinished);
    fetched?;
    let files = LinuxFiles::read(&directory).context("the kernel was fetched and is not there")?;
    files.version.lines().for_each(|package| tell(&format!("setup: the test guest has {package}")));
    Ok(files)
}

/// Fills `directory`.
fn fetch(directory: &Path) -> Result<()> {
    let unpacked = directory.join("unpacked");
    fs::create_dir_all(&unpacked).with_context(|| format!("cannot make {}", unpacked.display()))?;
    let kernel = packages::newest_kernel(KERNEL)?;
    let version = packages::fetch(&[&kernel, BUSYBOX], directory, &unpacked)?;

    let release = kernel.strip_prefix("linux-image-").unwrap_or(&kernel);
    let take = |from: &str, to: &str| {
        let from = unpacked.join(from);
        fs::rename(&from, directory.join(to)).with_context(|| format!("{kernel} has no {}", from.display()))
    };
    take(&format!("boot/vmlinuz-{release}"), "vmlinuz")?;
    take(&format!("boot/config-{release}"), "config")?;
    take(&format!("lib/modules/{release}"), "modules")?;
    take("bin/busybox", "busybox")?;
    fs::remove_dir_all(&unpacked).with_context(|| format!("cannot remove {}", unpacked.display()))?;

    let vmlinuz = fs::read(directory.join("vmlinuz")).context("cannot read the kernel")?;
    let vmlinux = bzimage::payload(&vmlinuz).with_context(|| format!("{kernel}: vmlinuz"))?;
    fs::write(directory.join("vmlinux"), vmlinux).context("cannot write the kernel")?;
    fs::write(directory.join("VERSION"), version).context("cannot write the kernel's version")
}

/// Somebody else may have fetched the same meanwhile: theirs is as good.
fn put_in_place(unfinished: &Path, directory: &Path) -> Result<()> {
    match fs::rename(unfinished, directory) {
        Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => {
            if LinuxFiles::read(directory).is_some() {
                return Ok(());
            }
            fs::remove_dir_all(directory)?;
            fs::rename(unfinished, directory)
        }
        other => other,
    }
    .with_context(|| format!("cannot make {}", directory.display()))
}
