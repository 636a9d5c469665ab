//! Cutting a command line into `key=value` words.

/// One word of the command line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Word<'a> {
    /// Byte position of its first byte.
    pub(super) position: usize,
    /// What it is.
    pub(super) shape: Shape<'a>,
}

/// The forms a word can have.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Shape<'a> {
    /// `key=value`; the value has no quotes around it any more and starts at byte `value_position`.
    Pair { key: &'a str, value: &'a str, value_position: usize },
    /// A word with no `=` in it, or none before its first quote.
    Bare(&'a str),
    /// `key="value` up to the end of the line: the quote was never closed.
    OpenQuote { key: &'a str, quote_position: usize },
    /// `key="value"more`: something follows the closing quote.
    AfterQuote { key: &'a str, position: usize },
}

/// The words of `line`. Spaces, tabs, line ends and other control characters separate them.
pub(super) fn words(line: &str) -> Words<'_> {
    Words { line, position: 0 }
}

#[derive(Clone)]
pub(super) struct Words<'a> {
    line: &'a str,
    position: usize,
}

fn separates(character: char) -> bool {
    character == ' ' || character.is_control()
}

impl<'a> Iterator for Words<'a> {
    type Item = Word<'a>;

    fn next(&mut self) -> Option<Word<'a>> {
        let rest = self.line.get(self.position..)?;
        let start = self.position + rest.find(|c| !separates(c))?;
        let rest = self.line.get(start..)?;
        let plain_end = rest.find(separates).unwrap_or(rest.len());
        let plain = rest.get(..plain_end)?;
        self.position = start + plain_end;
        let Some((key, value)) = plain.split_once('=') else {
            return Some(Word { position: start, shape: Shape::Bare(plain) });
        };
        let value_position = start + key.len() + 1;
        if !value.starts_with('"') {
            return Some(Word { position: start, shape: Shape::Pair { key, value, value_position } });
        }
        let quoted_position = value_position + 1;
        let quoted = self.line.get(quoted_position..)?;
        let shape = match quoted.find('"') {
            None => {
                self.position = self.line.len();
                Shape::OpenQuote { key, quote_position: value_position }
            }
            Some(length) => {
                let after = quoted_position + length + 1;
                let tail = self.line.get(after..)?;
                let tail_bytes = tail.find(separates).unwrap_or(tail.len());
                self.position = after + tail_bytes;
                if tail_bytes == 0 {
                    Shape::Pair { key, value: quoted.get(..length)?, value_position: quoted_position }
                } else {
                    Shape::AfterQuote { key, position: after }
                }
            }
        };
        Some(Word { position: start, shape })
    }
}

#[cfg(test)]
mod tests {
    use super::{Shape, Word, words};

    fn one(line: &str) -> Vec<Word<'_>> {
        words(line).collect()
    }

    #[test]
    fn words_are_cut_at_spaces_and_control_characters() {
        assert_eq!(one(""), []);
        assert_eq!(one(" \t\n"), []);
        let positions: Vec<_> = words("a=1  b=\tc\u{0}d=é e").map(|word| word.position).collect();
        assert_eq!(positions, [0, 5, 8, 10, 15]);
        assert_eq!(one("x"), [Word { position: 0, shape: Shape::Bare("x") }]);
    }

    #[test]
    fn pairs_keep_everything_after_the_first_equals_sign() {
        let shape = Shape::Pair { key: "k", value: "a=b", value_position: 3 };
        assert_eq!(one(" k=a=b"), [Word { position: 1, shape }]);
        let shape = Shape::Pair { key: "", value: "", value_position: 1 };
        assert_eq!(one("="), [Word { position: 0, shape }]);
    }

    #[test]
    fn quotes_hold_a_value_together() {
        let shape = Shape::Pair { key: "k", value: "a b", value_position: 3 };
        assert_eq!(one("k=\"a b\""), [Word { position: 0, shape }]);
        let shape = Shape::OpenQuote { key: "k", quote_position: 2 };
        assert_eq!(one("k=\"a b=2"), [Word { position: 0, shape }]);
        let after = Shape::AfterQuote { key: "k", position: 7 };
        let next = Shape::Pair { key: "z", value: "1", value_position: 11 };
        assert_eq!(
            one("k=\"a b\"c z=1"),
            [Word { position: 0, shape: after }, Word { position: 9, shape: next }]
        );
    }
}
