//! Modules and crates are named after what they are about.

use super::{Finding, source::Source};

/// Names that say nothing of what is inside.
pub(super) const EMPTY_NAMES: &[&str] = &["common", "helper", "helpers", "misc", "util", "utils"];

pub(super) fn check(source: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    for part in source.path() {
        let part = part.to_string_lossy();
        let stem = part.strip_suffix(".rs").unwrap_or(&part);
        if EMPTY_NAMES.contains(&stem) {
            findings.push(
                source.finding(0, format!("`{stem}` says nothing of what is inside: name it after that")),
            );
        }
    }
    for at in source.find_word("mod") {
        let name = source.code()[at + "mod".len()..].trim_start();
        let name = name.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default();
        if EMPTY_NAMES.contains(&name) {
            let message = format!("module `{name}` says nothing of what is inside: name it after that");
            findings.push(source.finding(source.line_of(at), message));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(path: &str, text: &str) -> Vec<usize> {
        check(&Source::new(path.into(), text.to_owned())).iter().map(|finding| finding.line).collect()
    }

    #[test]
    fn finds_names_that_say_nothing() {
        assert_eq!(lines("hypervisor/x/src/util.rs", ""), [1]);
        assert_eq!(lines("hypervisor/common/src/lib.rs", ""), [1]);
        assert_eq!(lines("tools/x/src/lib.rs", "mod a;\npub mod helpers;\nmod misc {\n}\n"), [2, 3]);
    }

    #[test]
    fn accepts_names_that_say_something() {
        let text = "mod in_common;\nmod utility_bills;\n// mod util;\nlet x = \"mod util;\";\n";
        assert_eq!(lines("hypervisor/regions/src/in_common.rs", text), [0; 0]);
    }
}
