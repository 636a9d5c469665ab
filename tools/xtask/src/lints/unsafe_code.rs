//! Unsafe code stands where it may, and every piece of it says why it is sound.

use super::{Finding, source::Source};

/// Where unsafe code may stand.
const ALLOWED: &[&str] =
    &["hypervisor/machine/", "hypervisor/image/", "tests/guests/", "tools/bench/src/baseline"];

/// What an `unsafe` begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Use {
    /// A block, an implementation, an extern block: here somebody vouches for something.
    Promise,
    /// An attribute, such as a symbol's name: a word of explanation is enough.
    Attribute,
    /// A function or a trait: here something is asked of others.
    Demand,
    /// A function pointer's type: nothing happens.
    Type,
}

pub(super) fn check(source: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    let allowed = ALLOWED.iter().any(|prefix| source.path().starts_with_text(prefix));
    let code: Vec<_> = source.code_lines().collect();
    let comments: Vec<_> = source.comment_lines().collect();
    for at in source.find_word("unsafe") {
        let line = source.line_of(at);
        let kind = classify(&source.code()[at + "unsafe".len()..]);
        if kind == Use::Type || (kind == Use::Demand && in_trait_implementation(&source.code()[..at])) {
            continue;
        }
        if !allowed {
            findings.push(source.finding(line, "unsafe code stands only in hypervisor/machine and its like"));
        }
        let says = |comment: &str| match kind {
            Use::Demand => comment.contains("# Safety") || has_reason(comment),
            Use::Attribute => !comment.trim().is_empty(),
            _ => has_reason(comment),
        };
        if !said_above(&code, &comments, line, says) {
            let wanted = match kind {
                Use::Demand => "a `# Safety` section or a `// SAFETY:` comment",
                Use::Attribute => "a comment",
                _ => "a `// SAFETY:` comment",
            };
            findings.push(source.finding(line, format!("unsafe without {wanted} directly above")));
        }
    }
    for at in source.find_word("unsafe_code") {
        let line = source.line_of(at);
        let before = source.code()[..at].trim_end();
        let opens = before.ends_with("allow(") || before.ends_with("expect(");
        let attribute = source.code()[at..].split(']').next().unwrap_or_default();
        let commented = |comment: &str| !comment.trim().is_empty();
        if opens && !attribute.contains("reason") && !said_above(&code, &comments, line, commented) {
            findings.push(source.finding(line, "unsafe_code is allowed without a `reason = \"…\"`"));
        }
    }
    findings
}

/// Paths as the lints name them.
trait StartsWithText {
    fn starts_with_text(&self, prefix: &str) -> bool;
}

impl StartsWithText for std::path::Path {
    fn starts_with_text(&self, prefix: &str) -> bool {
        self.to_string_lossy().starts_with(prefix)
    }
}

/// Says what an `unsafe` begins by what follows it.
fn classify(after: &str) -> Use {
    let mut rest = after.trim_start();
    if let Some(extern_abi) = rest.strip_prefix("extern") {
        // `extern "C"`, whose letters are masked, or `extern` alone.
        let abi = extern_abi.trim_start();
        rest = abi
            .strip_prefix('"')
            .and_then(|abi| abi.split_once('"'))
            .map_or(abi, |(_, rest)| rest)
            .trim_start();
    }
    if rest.starts_with("trait") {
        return Use::Demand;
    }
    if rest.starts_with('(') {
        return Use::Attribute;
    }
    match rest.strip_prefix("fn") {
        Some(signature) if signature.trim_start().starts_with('(') => Use::Type,
        Some(_) => Use::Demand,
        None => Use::Promise,
    }
}

/// Whether code that follows `before` stands directly in the implementation of a trait, whose own documentation holds then.
fn in_trait_implementation(before: &str) -> bool {
    let mut depth = 0;
    let opening = before.bytes().rposition(|byte| {
        match byte {
            b'}' => depth += 1,
            b'{' if depth == 0 => return true,
            b'{' => depth -= 1,
            _ => {}
        }
        false
    });
    let Some(opening) = opening else { return false };
    let head = before[..opening].rsplit([';', '{', '}']).next().unwrap_or_default();
    let mut words = head.split_whitespace();
    words.any(|word| word == "impl" || word.starts_with("impl<")) && words.any(|word| word == "for")
}

/// Whether the comment gives a reason after the marker.
fn has_reason(comment: &str) -> bool {
    comment.split_once("SAFETY:").is_some_and(|(_, reason)| !reason.trim().is_empty())
}

/// Whether a comment on `line`, or directly above the statement or item that `line` belongs to, `says` it.
fn said_above(code: &[&str], comments: &[&str], line: usize, says: impl Fn(&str) -> bool) -> bool {
    if says(comments[line]) {
        return true;
    }
    for above in (0..line).rev() {
        let (code, comment) = (code[above].trim(), comments[above].trim());
        if says(comment) {
            return true;
        }
        let is_comment = code.is_empty() && !comment.is_empty();
        let is_attribute = code.starts_with("#[") || code.starts_with("#![");
        let ends_something = code.is_empty() || code.ends_with([';', '{', '}', ',']);
        if !is_comment && !is_attribute && ends_something {
            return false;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(path: &str, text: &str) -> Vec<Finding> {
        check(&Source::new(path.into(), text.to_owned()))
    }

    #[test]
    fn accepts_what_is_explained() {
        for text in [
            "// SAFETY: p is valid.\nlet x = unsafe { *p };",
            "// SAFETY: p is valid,\n// as long as q is.\n#[allow(x)]\nunsafe { *p };",
            "// SAFETY: p is valid.\nlet x =\n    unsafe { *p };",
            "foo(\n    // SAFETY: p is valid.\n    unsafe { *p },\n);",
            "/// Reads.\n///\n/// # Safety\n/// `p` is valid.\n#[inline]\npub unsafe fn read(p: *const u8) {}",
            "// SAFETY: as the trait asks.\nunsafe fn alloc(&self) {}",
            "/// # Safety\n/// It is.\npub unsafe trait T {}",
            "// SAFETY: it owns nothing.\nunsafe impl Send for X {}",
            "// SAFETY: the linker script defines it.\nunsafe extern \"C\" {\n    static X: u8;\n}",
            "/// The name is ours.\n#[unsafe(no_mangle)]\nfn f() {}",
            "// SAFETY: it is.\nunsafe impl<T> GlobalAlloc for X<T> {\n    fn g() { 1 }\n    unsafe fn alloc(&self) {}\n}",
            "struct S {\n    f: unsafe extern \"C\" fn(u8),\n    g: unsafe fn(),\n}",
            "let x = /* SAFETY: p is valid. */ unsafe { *p };",
            "// unsafe { nothing }\nlet x = \"unsafe {\";",
            "#![allow(unsafe_code, reason = \"ports\")]",
            "// Ports are unsafe by nature.\n#![allow(unsafe_code)]",
            "#![forbid(unsafe_code)]",
        ] {
            assert_eq!(findings("hypervisor/machine/src/x.rs", text), [], "{text}");
        }
    }

    #[test]
    fn finds_what_is_not_explained() {
        for (text, line) in [
            ("let x = unsafe { *p };", 1),
            ("// SAFETY: p is valid.\n\nlet x = unsafe { *p };", 3),
            ("// SAFETY: p is valid.\nlet x = 1;\nlet y = unsafe { *p };", 3),
            ("// SAFETY:\nunsafe { *p };", 2),
            ("// It is safe.\nunsafe { *p };", 2),
            ("// SAFETY: for the first.\nunsafe impl Send for X {}\nunsafe impl Sync for X {}", 3),
            ("// SAFETY: outside.\nfn f() {\n    unsafe { g() }\n}", 3),
            ("/// Reads.\npub unsafe fn read(p: *const u8) {}", 2),
            ("/// # Safety\n/// Not for blocks.\nlet x = unsafe { *p };", 3),
            ("unsafe extern \"C\" { static X: u8; }", 1),
            ("#[unsafe(no_mangle)]\nfn f() {}", 1),
            ("impl X {\n    fn g() {}\n    unsafe fn alloc(&self) {}\n}", 3),
            ("#![allow(unsafe_code)]", 1),
            ("#![expect(unsafe_code, dead_code)]", 1),
        ] {
            let found = findings("hypervisor/image/src/x.rs", text);
            assert_eq!(found.len(), 1, "{text}: {found:?}");
            assert_eq!(found[0].line, line, "{text}");
        }
    }

    #[test]
    fn finds_unsafe_code_where_none_may_be() {
        let text = "// SAFETY: p is valid.\nlet x = unsafe { *p };";
        for path in [
            "hypervisor/host/src/x.rs",
            "tools/lab/src/x.rs",
            "tools/bench/src/main.rs",
            "tests/scenarios/x.rs",
        ] {
            assert_eq!(findings(path, text).len(), 1, "{path}");
        }
        for path in ["hypervisor/machine/src/x.rs", "tests/guests/x.rs", "tools/bench/src/baselines/lifo.rs"]
        {
            assert_eq!(findings(path, text), [], "{path}");
        }
    }
}
