//! Debian packages, downloaded and unpacked without being installed.

use std::{fs, path::Path, process::Command};

use anyhow::{Context, Result, anyhow, ensure};

use crate::{process, setup};

/// The package that `meta` stands for: the first kernel image that it depends on.
///
/// # Errors
/// apt knows no such package, even after an update of its lists.
pub(super) fn newest_kernel(meta: &str) -> Result<String> {
    let look = || {
        let mut command = Command::new("apt-cache");
        command.args(["depends", "--no-recommends", "--no-suggests", meta]).env("LC_ALL", "C");
        let output = output_of(&mut command)?;
        kernel_in(&output).ok_or_else(|| anyhow!("apt-cache names no kernel that {meta} depends on"))
    };
    look().or_else(|_| {
        setup::update_lists()?;
        look()
    })
}

/// The kernel package among the lines that `apt-cache depends` prints.
fn kernel_in(depends: &str) -> Option<String> {
    let names = depends.lines().filter_map(|line| line.trim().strip_prefix("Depends: "));
    names.map(str::trim).find(|name| name.starts_with("linux-image-")).map(str::to_owned)
}

/// Downloads `packages` into `directory`, unpacks them into `unpacked`, and removes what was downloaded; returns their names and
/// versions, one a line.
///
/// # Errors
/// One of them cannot be had.
pub(super) fn fetch(packages: &[&str], directory: &Path, unpacked: &Path) -> Result<String> {
    let download = || {
        // As the user that asks: apt's own user may not write here.
        let mut command = Command::new("apt-get");
        command.args(["-q", "-o", "APT::Sandbox::User=", "download"]).args(packages).current_dir(directory);
        let (status, output) = process::capture(&mut command, |_| {})?;
        ensure!(status.success(), "{} failed:\n{}", process::shown(&command), output.trim_end());
        Ok(())
    };
    // The lists may be older than the archive: what they name is then gone.
    download().or_else(|_| {
        setup::update_lists()?;
        download()
    })?;
    let mut versions = String::new();
    for package in packages {
        let file = downloaded(package, directory)?;
        let mut fields = Command::new("dpkg-deb");
        fields.args(["--showformat=${Package} ${Version}\n", "--show"]).arg(&file);
        versions += &output_of(&mut fields)?;
        process::run(Command::new("dpkg-deb").arg("--extract").arg(&file).arg(unpacked))?;
        fs::remove_file(&file).with_context(|| format!("cannot remove {}", file.display()))?;
    }
    Ok(versions)
}

fn downloaded(package: &str, directory: &Path) -> Result<std::path::PathBuf> {
    let files = fs::read_dir(directory).with_context(|| format!("cannot read {}", directory.display()))?;
    let begin = format!("{package}_");
    let mut files = files.filter_map(Result::ok).map(|entry| entry.path());
    files
        .find(|path| {
            let name = path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
            name.starts_with(&begin) && name.ends_with(".deb")
        })
        .ok_or_else(|| anyhow!("apt-get download left no package {package} in {}", directory.display()))
}

fn output_of(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("cannot start {}", process::shown(command)))?;
    let complaint = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{} failed: {}", process::shown(command), complaint.trim_end());
    String::from_utf8(output.stdout).with_context(|| format!("{} prints no text", process::shown(command)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_kernel_among_dependencies() {
        let text = "linux-image-cloud-amd64\n  Depends: kmod\n  Depends: linux-image-6.1.0-9-cloud-amd64\n";
        assert_eq!(kernel_in(text).as_deref(), Some("linux-image-6.1.0-9-cloud-amd64"));
        assert_eq!(kernel_in("linux-image-cloud-amd64\n  Conflicts: linux-image-old\n"), None);
        assert_eq!(kernel_in(""), None);
    }

    #[test]
    fn a_package_is_found_by_its_whole_name() {
        let directory = tempfile::tempdir().unwrap();
        for name in ["busybox-static_1%3a1.35_amd64.deb", "busybox_1_amd64.deb", "busybox-static_1"] {
            fs::write(directory.path().join(name), "").unwrap();
        }
        let found = downloaded("busybox-static", directory.path()).unwrap();
        assert!(found.ends_with("busybox-static_1%3a1.35_amd64.deb"));
        let error = downloaded("linux-image", directory.path()).unwrap_err().to_string();
        assert!(error.contains("linux-image"), "{error}");
    }
}
