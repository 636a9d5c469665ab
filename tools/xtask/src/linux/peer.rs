//! The host of the peer (`tests/peers/kvm`): Debian's kernel with KVM, this machine's QEMU, and the guests that Godwit runs.

use std::{
    collections::BTreeSet,
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail, ensure};
use godwit_lab::Emulator;
use godwit_peer_kvm::PeerFiles;

use super::{
    LinuxFiles,
    cpio::Archive,
    initramfs::{Initramfs, add_busybox, replace},
};
use crate::{guests, process, workspace};

/// KVM for AMD and what it needs.
const MODULES: &[&str] =
    &["kernel/virt/lib/irqbypass.ko", "kernel/arch/x86/kvm/kvm.ko", "kernel/arch/x86/kvm/kvm-amd.ko"];
/// What QEMU loads into a guest that boots a PVH kernel, and where Debian keeps it.
const FIRMWARE: &[&str] =
    &["/usr/share/seabios/bios-256k.bin", "/usr/share/qemu/pvh.bin", "/usr/share/qemu/kvmvapic.bin"];

/// Builds the peer's host and says which files it boots.
///
/// # Errors
/// Something of it is not on this machine.
pub(crate) fn peer(linux: &LinuxFiles, guest: &Initramfs) -> Result<PeerFiles> {
    let mut archive = Archive::default();
    for directory in [
        "dev",
        "proc",
        "sys",
        "tmp",
        "bin",
        "usr",
        "usr/bin",
        "usr/lib",
        "usr/share",
        "usr/share/qemu",
        "modules",
        "guest",
    ] {
        archive.directory(directory);
    }
    archive.device("dev/console", 5, 1);
    let init = workspace::root().join("tests/peers/kvm/host-init");
    archive.program("init", &read(&init)?);
    add_busybox(&mut archive, &linux.busybox())?;
    for module in MODULES {
        let path = linux.modules().join(module);
        archive.file(&format!("modules/{}", name(&path)), &read(&path)?);
    }
    add_qemu(&mut archive)?;
    archive.file("guest/vmlinux", &read(&linux.vmlinux())?);
    archive.file("guest/initramfs.cpio", &read(&guest.path)?);
    archive.file("guest/micro.elf", &read(&guests::build_micro()?)?);

    let files = PeerFiles::in_output(&workspace::output());
    ensure!(files.vmlinux == linux.vmlinux(), "the peer boots another kernel than was fetched");
    replace(&files.host_initramfs, &archive.finish())?;
    Ok(files)
}

/// Adds QEMU, the shared libraries it is linked with, and its firmware.
fn add_qemu(archive: &mut Archive) -> Result<()> {
    let program = in_path(&Emulator::from_environment()?.program)?;
    archive.program("usr/bin/qemu", &read(&program)?);
    let mut ldd = Command::new("ldd");
    let output = ldd.arg(&program).env("LC_ALL", "C").output();
    let output = output.with_context(|| format!("cannot start {}", process::shown(&ldd)))?;
    let libraries = libraries(&String::from_utf8_lossy(&output.stdout));
    ensure!(!libraries.is_empty(), "{} names no libraries", process::shown(&ldd));
    let mut directories = BTreeSet::new();
    for Library { name, path } in libraries {
        // The loader is where the program says, everything else where `LD_LIBRARY_PATH` of the host's init looks.
        let place = if name.starts_with('/') {
            let place = name.trim_start_matches('/').to_owned();
            let parent = place.rsplit_once('/').map(|(parent, _)| parent.to_owned()).unwrap_or_default();
            ensure!(!parent.contains('/'), "the loader {name} lies deeper than one directory");
            if directories.insert(parent.clone()) {
                archive.directory(&parent);
            }
            place
        } else {
            format!("usr/lib/{name}")
        };
        archive.program(&place, &read(Path::new(&path))?);
    }
    for firmware in FIRMWARE {
        let path = Path::new(firmware);
        archive.file(&format!("usr/share/qemu/{}", name(path)), &read(path)?);
    }
    Ok(())
}

/// A shared library: the name that programs ask for it by, and its file. The loader's name is a path.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Library {
    name: String,
    path: String,
}

/// Reads what `ldd` prints: `NAME => PATH (ADDRESS)`, or `PATH (ADDRESS)` for the loader. The kernel's own has no file.
fn libraries(text: &str) -> Vec<Library> {
    let library = |line: &str| {
        let (line, _address) = line.trim().rsplit_once(" (")?;
        let (name, path) = line.split_once(" => ").unwrap_or((line, line));
        path.starts_with('/').then(|| Library { name: name.to_owned(), path: path.to_owned() })
    };
    text.lines().filter_map(library).collect()
}

fn in_path(program: &Path) -> Result<PathBuf> {
    if program.components().count() > 1 {
        return Ok(program.to_owned());
    }
    let path = env::var_os("PATH").unwrap_or_default();
    match env::split_paths(&path).map(|directory| directory.join(program)).find(|file| file.is_file()) {
        Some(file) => Ok(file),
        None => bail!("no {} in PATH: run `cargo xtask setup`", program.display()),
    }
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_ldd_prints() {
        let text = "\tlinux-vdso.so.1 (0x00007ffe)\n\tlibm.so.6 => /lib/x86_64-linux-gnu/libm.so.6 (0x00007f)\n\
            \tlibgone.so => not found\n\t/lib64/ld-linux-x86-64.so.2 (0x00007f)\n";
        let pairs: Vec<_> = libraries(text).into_iter().map(|library| (library.name, library.path)).collect();
        let loader = "/lib64/ld-linux-x86-64.so.2".to_owned();
        let libm = ("libm.so.6".to_owned(), "/lib/x86_64-linux-gnu/libm.so.6".to_owned());
        assert_eq!(pairs, [libm, (loader.clone(), loader)]);
        assert!(libraries("\tnot a dynamic executable\n").is_empty());
    }
}
