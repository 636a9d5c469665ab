//! What is wrong with a command line, where, and what was expected.

use core::fmt::{self, Write};

use super::{KEYS, Key};
use crate::excerpt::Excerpt;

/// One problem of the command line. What it concerns keeps its default.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Problem {
    /// Byte position on the command line, from 0.
    pub position: usize,
    /// What is wrong there.
    pub kind: ProblemKind,
}

/// What can be wrong; `key` is an index into [`KEYS`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ProblemKind {
    /// A word that is no `key=value`.
    NoValue(Excerpt),
    /// A key that is not known, and the known key it resembles.
    UnknownKey(Excerpt, Option<&'static str>),
    /// A value that is not as expected.
    BadValue {
        /// Which key.
        key: usize,
        /// The value.
        value: Excerpt,
    },
    /// A key that was given before, at byte `first`.
    Repeated {
        /// Which key.
        key: usize,
        /// Where it was given first.
        first: usize,
    },
    /// A quote that is never closed.
    OpenQuote(Excerpt),
    /// Something other than a space after a closing quote.
    AfterQuote(Excerpt),
    /// The line was longer than what is kept.
    Cut,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "command line byte {}: ", self.position)?;
        match self.kind {
            ProblemKind::NoValue(word) => {
                write!(f, "\"{word}\" has no value: expected key=value")?;
                known_keys(f)
            }
            ProblemKind::UnknownKey(key, Some(nearest)) => {
                write!(f, "unknown key \"{key}\": did you mean {nearest}?")
            }
            ProblemKind::UnknownKey(key, None) => {
                write!(f, "unknown key \"{key}\"")?;
                known_keys(f)
            }
            ProblemKind::BadValue { key, value } => {
                let Some(Key { name, expected, default, .. }) = KEYS.get(key) else { return Ok(()) };
                write!(f, "bad value \"{value}\" for {name}: expected {expected}; {default}")
            }
            ProblemKind::Repeated { key, first } => {
                let Some(Key { name, default, .. }) = KEYS.get(key) else { return Ok(()) };
                write!(f, "{name} was given before, at byte {first}: expected once; {default}")
            }
            ProblemKind::OpenQuote(key) => {
                write!(
                    f,
                    "the quote after \"{key}=\" is never closed: expected another \"; the rest is left out"
                )
            }
            ProblemKind::AfterQuote(key) => {
                write!(f, "expected a space after the quoted value of \"{key}\"; the word is left out")
            }
            ProblemKind::Cut => {
                write!(f, "the line is longer than the {} bytes that are kept", crate::boot::MAX_COMMAND_LINE)
            }
        }
    }
}

fn known_keys(f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.write_str("; known keys are ")?;
    for (index, key) in KEYS.iter().enumerate() {
        if index > 0 {
            f.write_str(", ")?;
        }
        f.write_str(key.name)?;
    }
    f.write_char('.')
}
