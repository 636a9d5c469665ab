//! A Rust file taken apart just far enough: what is code, what is comment, what is neither.

use std::path::{Path, PathBuf};

use super::Finding;

/// One Rust file.
pub(super) struct Source {
    path: PathBuf,
    /// The code alone: comments and the contents of literals are spaces, so that lines and columns stay.
    code: String,
    /// The comments alone: everything else is spaces.
    comments: String,
}

/// What the bytes of a file belong to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Code,
    Comment,
    /// The inside of a string or character literal.
    Literal,
}

impl Source {
    /// Takes `text` apart; `path` is from the repository's root.
    pub(super) fn new(path: PathBuf, text: String) -> Self {
        let kinds = classify(text.as_bytes());
        // Byte for byte: columns in both are columns in the file.
        let only = |wanted: Kind| {
            let kept = text
                .bytes()
                .zip(&kinds)
                .map(|(byte, kind)| if byte == b'\n' || *kind == wanted { byte } else { b' ' });
            String::from_utf8_lossy(&kept.collect::<Vec<_>>()).into_owned()
        };
        Self { path, code: only(Kind::Code), comments: only(Kind::Comment) }
    }

    /// From the repository's root.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The whole code.
    pub(super) fn code(&self) -> &str {
        &self.code
    }

    /// The code, line by line.
    pub(super) fn code_lines(&self) -> impl Iterator<Item = &str> {
        self.code.lines()
    }

    /// The comments, line by line.
    pub(super) fn comment_lines(&self) -> impl Iterator<Item = &str> {
        self.comments.lines()
    }

    /// Where the identifier or keyword `word` stands in the code.
    pub(super) fn find_word(&self, word: &str) -> Vec<usize> {
        let in_word = |c: char| c.is_alphanumeric() || c == '_';
        self.code
            .match_indices(word)
            .filter(|(at, _)| {
                !self.code[..*at].ends_with(in_word) && !self.code[at + word.len()..].starts_with(in_word)
            })
            .map(|(at, _)| at)
            .collect()
    }

    /// The line of a byte, counted from 0.
    pub(super) fn line_of(&self, byte: usize) -> usize {
        self.code.as_bytes()[..byte].iter().filter(|byte| **byte == b'\n').count()
    }

    /// A broken rule on `line`, counted from 0.
    pub(super) fn finding(&self, line: usize, message: impl Into<String>) -> Finding {
        Finding { path: self.path.clone(), line: line + 1, message: message.into() }
    }
}

/// Says of each byte what it belongs to. The quotes of a literal are code.
fn classify(text: &[u8]) -> Vec<Kind> {
    let mut kinds = vec![Kind::Code; text.len()];
    let mut at = 0;
    while at < text.len() {
        let (kind, end) = next(text, at);
        match kind {
            Kind::Code => {}
            Kind::Comment => kinds[at..end].fill(Kind::Comment),
            Kind::Literal => {
                let (open, close) = literal_inside(&text[at..end]);
                kinds[at + open..at + close].fill(Kind::Literal);
            }
        }
        at = end;
    }
    kinds
}

/// What starts at `at`, and where it ends.
fn next(text: &[u8], at: usize) -> (Kind, usize) {
    let rest = &text[at..];
    let find = |needle: &[u8]| rest.windows(needle.len()).position(|window| window == needle);
    if rest.starts_with(b"//") {
        return (Kind::Comment, find(b"\n").map_or(text.len(), |end| at + end));
    }
    if rest.starts_with(b"/*") {
        return (Kind::Comment, at + block_comment(rest));
    }
    if rest[0] == b'\'' {
        return character(rest).map_or((Kind::Code, at + 1), |length| (Kind::Literal, at + length));
    }
    let word = rest.iter().take_while(|b| b.is_ascii_alphanumeric() || **b == b'_' || **b >= 0x80).count();
    let prefix = &rest[..word];
    let after = &rest[word..];
    let hashes = after.iter().take_while(|byte| **byte == b'#').count();
    let quoted = after.get(hashes) == Some(&b'"');
    if quoted && matches!(prefix, b"r" | b"br" | b"cr") {
        let close: Vec<u8> = std::iter::once(b'"').chain(std::iter::repeat_n(b'#', hashes)).collect();
        let open = word + hashes + 1;
        let inside = rest[open..].windows(close.len()).position(|window| window == close);
        return (Kind::Literal, inside.map_or(text.len(), |length| at + open + length + close.len()));
    }
    if quoted && hashes == 0 && matches!(prefix, b"" | b"b" | b"c") {
        return (Kind::Literal, at + word + string(after));
    }
    (Kind::Code, at + word.max(1))
}

/// The length of the block comment that `text` starts with; they nest.
fn block_comment(text: &[u8]) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < text.len() {
        if text[at..].starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if text[at..].starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                break;
            }
        } else {
            at += 1;
        }
    }
    at
}

/// The length of the quoted string that `text` starts with.
fn string(text: &[u8]) -> usize {
    let mut at = 1;
    while at < text.len() {
        match text[at] {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    text.len()
}

/// The length of the character literal that `text` starts with, or `None` where it is a lifetime.
fn character(text: &[u8]) -> Option<usize> {
    if text.get(1) == Some(&b'\\') {
        let close = text.iter().skip(3).position(|byte| *byte == b'\'')?;
        return Some(close + 4);
    }
    // One character of up to four bytes, and a quote.
    let first = text.get(1)?;
    let bytes = match first {
        0..0x80 => 1,
        0x80..0xe0 => 2,
        0xe0..0xf0 => 3,
        0xf0.. => 4,
    };
    (text.get(1 + bytes) == Some(&b'\'')).then_some(bytes + 2)
}

/// Where the inside of a literal starts and ends.
fn literal_inside(literal: &[u8]) -> (usize, usize) {
    let is_quote = |byte: &u8| matches!(byte, b'"' | b'\'');
    let open = literal.iter().position(is_quote).map_or(0, |at| at + 1);
    let close = literal.iter().rposition(is_quote).unwrap_or(literal.len());
    (open, close.max(open))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str) -> Source {
        Source::new("x.rs".into(), text.to_owned())
    }

    #[test]
    fn takes_code_comments_and_literals_apart() {
        let cases = [
            ("a // b", "a     ", "  // b"),
            ("a /* b /* c */ d */ e", "a                   e", "  /* b /* c */ d */  "),
            ("f(\"// no\") // yes", "f(\"     \")       ", "           // yes"),
            (r#"f("\"", b) // c"#, "f(\"  \", b)     ", "           // c"),
            (r##"r#"a"b"# + c"##, "r#\"   \"# + c", "            "),
            (r#"br"\" + c"#, "br\" \" + c", "         "),
            (r"'a' '\'' '\u{1f}' b", r"' ' '  ' '      ' b", "                   "),
            ("&'a str // b", "&'a str     ", "        // b"),
            ("r#unsafe + 'x'", "r#unsafe + ' '", "              "),
        ];
        for (text, code, comments) in cases {
            let source = source(text);
            assert_eq!(source.code, code, "{text}");
            assert_eq!(source.comments, comments, "{text}");
        }
    }

    #[test]
    fn lines_and_columns_stay() {
        let source = source("/* a\n\u{e9} */ b\n\"\u{e9}\n\" c");
        assert_eq!(source.code.lines().collect::<Vec<_>>(), ["    ", "      b", "\"  ", "\" c"]);
        assert_eq!(source.line_of(source.find_word("c")[0]), 3);
    }

    #[test]
    fn finds_whole_words_in_code_only() {
        let text = "unsafe unsafe_code my_unsafe \"unsafe\" // unsafe\n(unsafe)";
        assert_eq!(source(text).find_word("unsafe"), [0, 49]);
    }

    #[test]
    fn ends_with_the_text_whatever_it_is() {
        for text in ["\"", "r#\"x", "'\\", "'", "/* /*", "b'", "\\", "\"\\", "'\u{e9}", ""] {
            assert_eq!(source(text).code.lines().count(), text.lines().count(), "{text}");
        }
    }
}
