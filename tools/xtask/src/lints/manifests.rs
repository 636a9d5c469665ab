//! Every crate takes the workspace's lints, and the pure ones say that they are pure.

use std::path::Path;

use super::{Finding, names::EMPTY_NAMES, source::Source};

/// Crates under `hypervisor/` that name hardware; all others there are pure.
const IMPURE: &[&str] = &["machine", "image"];

/// Checks a `Cargo.toml`.
pub(super) fn check(path: &Path, text: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut finding = |line, message: &str| {
        findings.push(Finding { path: path.to_owned(), line, message: message.to_owned() });
    };
    let lines: Vec<_> = text.lines().map(str::trim).collect();
    let follows = |section: &str, key: &str| {
        let start = lines.iter().position(|line| *line == section)?;
        let within = lines[start + 1..].iter().take_while(|line| !line.starts_with('['));
        within.enumerate().find(|(_, line)| line.starts_with(key)).map(|(at, line)| (start + at + 2, *line))
    };
    if follows("[lints]", "workspace = true").is_none() {
        finding(1, "the crate does not take the workspace's lints: add [lints] workspace = true");
    }
    if let Some((line, name)) = follows("[package]", "name") {
        let name = name.split('"').nth(1).unwrap_or_default();
        if name.split(['-', '_']).any(|part| EMPTY_NAMES.contains(&part)) {
            finding(line, "the crate's name says nothing of what is inside: name it after that");
        }
    }
    findings
}

/// Checks that a pure crate's `lib.rs` forbids unsafe code and needs no standard library.
pub(super) fn check_crate_root(source: &Source) -> Vec<Finding> {
    let parts: Vec<_> = source.path().iter().map(|part| part.to_string_lossy()).collect();
    let ["hypervisor", name, "src", "lib.rs"] = parts.iter().map(AsRef::as_ref).collect::<Vec<_>>()[..]
    else {
        return Vec::new();
    };
    if IMPURE.contains(&name) {
        return Vec::new();
    }
    let wanted: &[&[&str]] =
        &[&["#![forbid(unsafe_code)]"], &["#![cfg_attr(not(test), no_std)]", "#![no_std]"]];
    let missing = wanted.iter().filter(|ways| !ways.iter().any(|way| source.code().contains(way)));
    missing.map(|ways| source.finding(0, format!("a pure crate says `{}`", ways[0]))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "[package]\nname = \"godwit-frames\"\n\n[lints]\nworkspace = true\n";

    fn lines(text: &str) -> Vec<usize> {
        check(Path::new("Cargo.toml"), text).iter().map(|finding| finding.line).collect()
    }

    #[test]
    fn reads_manifests() {
        assert_eq!(lines(GOOD), [0; 0]);
        assert_eq!(lines(&GOOD.replace("workspace = true", "")), [1]);
        assert_eq!(lines(&GOOD.replace("[lints]", "[other]")), [1]);
        assert_eq!(lines(&GOOD.replace("godwit-frames", "godwit-utils")), [2]);
    }

    #[test]
    fn pure_crates_say_so() {
        let count =
            |path: &str, text: &str| check_crate_root(&Source::new(path.into(), text.to_owned())).len();
        let pure = "#![forbid(unsafe_code)]\n#![cfg_attr(not(test), no_std)]\n";
        assert_eq!(count("hypervisor/frames/src/lib.rs", pure), 0);
        assert_eq!(count("hypervisor/frames/src/lib.rs", &pure.replace("forbid", "deny")), 1);
        assert_eq!(count("hypervisor/frames/src/lib.rs", "// #![forbid(unsafe_code)]\n#![no_std]"), 1);
        assert_eq!(count("hypervisor/frames/src/lib.rs", ""), 2);
        for path in
            ["hypervisor/machine/src/lib.rs", "hypervisor/frames/src/order.rs", "tools/lab/src/lib.rs"]
        {
            assert_eq!(count(path, ""), 0, "{path}");
        }
    }
}
