//! Installs what the other commands need and this machine does not have.

use std::{
    env,
    ffi::{OsStr, OsString},
    fs,
    os::unix::fs::MetadataExt,
    path::Path,
    process::Command,
};

use anyhow::{Result, anyhow, bail};
use godwit_lab::Emulator;

use crate::{linux, process};

/// A program that a Debian package brings.
struct Tool {
    program: &'static str,
    package: &'static str,
    why: &'static str,
    /// The variable that names another program than the package's.
    instead: Option<&'static str>,
}

/// Everything that is not Rust's own.
const TOOLS: &[Tool] = &[
    Tool {
        program: "qemu-system-x86_64",
        package: "qemu-system-x86",
        why: "emulates the hosts that the image boots on",
        instead: Some(Emulator::PROGRAM_VARIABLE),
    },
    Tool {
        program: "setpriv",
        package: "util-linux",
        why: "ends an emulator when the program that started it is killed",
        instead: None,
    },
    Tool {
        program: "dpkg-deb",
        package: "dpkg",
        why: "unpacks the kernel of the Linux test guest",
        instead: None,
    },
];

/// Rust's own: `rust-toolchain.toml` asks for them, and rustup installs them with the toolchain.
const COMPONENTS: &[(&str, &str)] = &[("fmt", "rustfmt"), ("clippy", "clippy")];

/// Sets up, and says so where there was nothing to do.
pub(crate) fn run() -> Result<()> {
    let installed = ensure()?;
    let mut fetched = false;
    let linux = linux::kernel(&mut |line| {
        fetched = true;
        println!("{line}");
    })?;
    if !installed && !fetched {
        println!("setup: everything is there; the test guest has");
        linux.version.lines().for_each(|package| println!("  {package}"));
    }
    Ok(())
}

/// Sets up what is missing; returns whether anything was.
///
/// # Errors
/// Something is missing and may not be installed from here; the error holds the line to run.
pub(crate) fn ensure() -> Result<bool> {
    for (subcommand, component) in COMPONENTS {
        let found = process::cargo().args([subcommand, "--version"]).output();
        if !found.is_ok_and(|output| output.status.success()) {
            bail!("{component} is missing: run `rustup component add {component}` in this repository");
        }
    }
    for tool in TOOLS {
        if let Some((variable, program)) = tool.replaced()
            && !in_path(&program, &path())
        {
            bail!("{variable} names {}, which cannot be run", program.display());
        }
    }
    let missing: Vec<_> = TOOLS.iter().filter(|tool| !tool.is_there()).collect();
    if missing.is_empty() {
        return Ok(false);
    }
    println!("setup: Debian packages are missing");
    for tool in &missing {
        println!("  {}: its {} {}", tool.package, tool.program, tool.why);
    }
    let packages: Vec<_> = missing.iter().map(|tool| tool.package).collect();
    install(&packages)?;
    if let Some(tool) = TOOLS.iter().find(|tool| !tool.is_there()) {
        bail!("{} was installed and {} is still not in PATH", tool.package, tool.program);
    }
    Ok(true)
}

impl Tool {
    fn is_there(&self) -> bool {
        self.replaced().is_some() || in_path(self.program.as_ref(), &path())
    }

    /// The variable that names another program, and that program.
    fn replaced(&self) -> Option<(&'static str, OsString)> {
        let variable = self.instead?;
        Some((variable, env::var_os(variable)?))
    }
}

fn path() -> OsString {
    env::var_os("PATH").unwrap_or_default()
}

/// Whether `program` can be run: a path as it is, a bare name from one of the directories of `path`.
fn in_path(program: &OsStr, path: &OsStr) -> bool {
    let executable = |file: &Path| {
        fs::metadata(file).is_ok_and(|metadata| metadata.is_file() && metadata.mode() & 0o111 != 0)
    };
    if Path::new(program).components().count() > 1 {
        return executable(Path::new(program));
    }
    env::split_paths(path).any(|directory| executable(&directory.join(program)))
}

fn install(packages: &[&str]) -> Result<()> {
    let by_hand =
        format!("apt-get update && apt-get install -y --no-install-recommends {}", packages.join(" "));
    println!("setup: installing {}", packages.join(" "));
    apt_get(&["-q", "update"], &by_hand)?;
    apt_get(&[&["-q", "install", "-y", "--no-install-recommends"], packages].concat(), &by_hand)
}

/// Brings apt's lists of packages up to date.
///
/// # Errors
/// This user may not; the error holds the line to run.
pub(crate) fn update_lists() -> Result<()> {
    println!("setup: updating the lists of packages");
    apt_get(&["-q", "update"], "apt-get update")
}

/// Runs apt-get as root; an error says that `by_hand` does the same.
fn apt_get(arguments: &[&str], by_hand: &str) -> Result<()> {
    let Some(prefix) = privilege() else {
        bail!(
            "this user may not install packages (is not root, and `sudo -n` asks for a password); run as root:\n  {by_hand}"
        );
    };
    let words: Vec<_> = prefix.iter().chain(&["apt-get"]).chain(arguments).collect();
    let mut command = Command::new(words[0]);
    command.args(&words[1..]).env("DEBIAN_FRONTEND", "noninteractive");
    process::run(&mut command).map_err(|error| anyhow!("{error:#}; run as root:\n  {by_hand}"))
}

/// What to put before a command that needs root: nothing for root, `sudo -n` where it asks for no password.
fn privilege() -> Option<&'static [&'static str]> {
    let root = fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0);
    if root {
        return Some(&[]);
    }
    let sudo = Command::new("sudo").args(["-n", "true"]).output();
    sudo.is_ok_and(|output| output.status.success()).then_some(&["sudo", "-n"])
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn finds_only_what_can_be_run() {
        let directory = tempfile::tempdir().unwrap();
        let program = directory.path().join("tool");
        fs::write(&program, "").unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o644)).unwrap();
        let path = env::join_paths([Path::new("/nowhere"), directory.path()]).unwrap();
        assert!(!in_path("tool".as_ref(), &path));
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        assert!(in_path("tool".as_ref(), &path));
        assert!(in_path(program.as_os_str(), OsStr::new("")));
        assert!(!in_path("other".as_ref(), &path));
        assert!(!in_path("/nowhere/tool".as_ref(), &path));
    }

    #[test]
    fn no_package_is_named_twice() {
        for (index, tool) in TOOLS.iter().enumerate() {
            assert!(TOOLS[..index].iter().all(|other| other.package != tool.package), "{}", tool.package);
        }
    }
}
