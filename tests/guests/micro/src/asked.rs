//! What the command line asks for.

use core::str::SplitWhitespace;

/// Words of the form `key=value`.
pub(crate) struct Asked<'l> {
    line: &'l str,
}

impl<'l> Asked<'l> {
    pub(crate) const fn new(line: &'l str) -> Self {
        Self { line }
    }

    /// The value of the last word with this key.
    pub(crate) fn value(&self, key: &str) -> Option<&'l str> {
        let words: SplitWhitespace<'l> = self.line.split_whitespace();
        words.filter_map(|word| word.split_once('=')).rfind(|(name, _)| *name == key).map(|(_, value)| value)
    }

    /// A number, or `default` where none is given.
    pub(crate) fn number(&self, key: &str, default: u64) -> u64 {
        self.value(key).and_then(|value| value.parse().ok()).unwrap_or(default)
    }

    /// The trials asked for.
    pub(crate) fn tests(&self) -> impl Iterator<Item = &'l str> {
        self.value("test").unwrap_or("all").split(',')
    }
}
