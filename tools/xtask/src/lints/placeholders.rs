//! Nothing is left for later without an issue of its own.

use super::{Finding, source::Source};

/// Macros that stand for code that is not there.
const MACROS: &[&str] = &["todo", "unimplemented"];
/// Notes to oneself.
const NOTES: &[&str] = &["TODO", "FIXME", "XXX", "HACK"];

pub(super) fn check(source: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    for name in MACROS {
        for at in source.find_word(name) {
            if source.code()[at + name.len()..].starts_with('!') {
                findings.push(
                    source.finding(source.line_of(at), format!("{name}! stands for code that is not there")),
                );
            }
        }
    }
    for (line, comment) in source.comment_lines().enumerate() {
        let mut words = comment.split(|c: char| !c.is_alphanumeric() && c != '_');
        if let Some(note) = words.find(|word| NOTES.contains(word)) {
            findings.push(source.finding(line, format!("{note}: do it now, or file an issue")));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(text: &str) -> usize {
        check(&Source::new("x.rs".into(), text.to_owned())).len()
    }

    #[test]
    fn finds_placeholders() {
        for text in [
            "fn f() { todo!() }",
            "unimplemented!(\"x\");",
            "// TODO: more",
            "/// FIXME",
            "/* XXX */",
            "// (HACK)",
        ] {
            assert_eq!(count(text), 1, "{text}");
        }
    }

    #[test]
    fn accepts_the_same_letters_elsewhere() {
        for text in [
            "let todo = 1;",
            "\"todo!()\"",
            "// todo list",
            "let x = \"TODO\";",
            "const TODO_LIST: u8 = 1;",
            "// 0xXXX1",
        ] {
            assert_eq!(count(text), 0, "{text}");
        }
    }
}
