//! What hosts and work groups are called.

use core::fmt;

use arrayvec::ArrayString;

/// The name of a host or a work group: 1 to 32 ASCII letters, digits and hyphens, with no hyphen at either end.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct Name(ArrayString<{ Name::MAX_BYTES }>);

impl Name {
    /// Bytes in the longest name.
    pub const MAX_BYTES: usize = 32;
    /// What a name has to look like, for messages.
    pub const EXPECTED: &'static str = "1 to 32 letters, digits and inner hyphens, such as lab-a";

    /// The name `text`, or `None` where it is not of the allowed form.
    pub fn new(text: &str) -> Option<Self> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        let shaped = !text.is_empty() && !text.starts_with('-') && !text.ends_with('-');
        if !shaped || !text.bytes().all(allowed) {
            return None;
        }
        ArrayString::from(text).ok().map(Self)
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::Name;

    #[test]
    fn names_are_letters_digits_and_inner_hyphens() {
        for good in ["a", "lab-a", "0", "A-1-b", "x".repeat(32).as_str()] {
            assert_eq!(Name::new(good).as_ref().map(Name::as_str), Some(good));
        }
        for bad in ["", "-a", "a-", "-", "a b", "a.b", "é", "a\n", "x".repeat(33).as_str()] {
            assert_eq!(Name::new(bad), None, "{bad:?}");
        }
    }
}
