//! Text from a peer: short, and safe to print.

use alloc::string::String;
use core::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// At most `MAX` bytes of text without control characters, so that a peer cannot write escape sequences to an
/// operator's terminal.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Text<const MAX: usize>(String);

/// A host's, guest's or baseline's name.
pub type Name = Text<64>;

/// Why somebody did something, for a person to read.
pub type Reason = Text<200>;

impl<const MAX: usize> Text<MAX> {
    /// `text`, cut where it is too long; each control character becomes a question mark.
    pub fn new(text: &str) -> Self {
        let mut kept = String::new();
        for character in text.chars() {
            let character = if character.is_control() { '?' } else { character };
            if kept.len() + character.len_utf8() > MAX {
                break;
            }
            kept.push(character);
        }
        Self(kept)
    }

    /// What `value` displays as, cut and cleaned like [`new`](Self::new).
    pub fn display(value: &impl fmt::Display) -> Self {
        Self::new(&alloc::format!("{value}"))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<const MAX: usize> fmt::Display for Text<MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<const MAX: usize> Serialize for Text<MAX> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de, const MAX: usize> Deserialize<'de> for Text<MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text.len() > MAX || text.chars().any(char::is_control) {
            return Err(D::Error::custom("text is too long or has control characters"));
        }
        Ok(Self(text))
    }
}
