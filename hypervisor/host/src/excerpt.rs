//! Text from outside, fit to stand in a message.

use core::fmt;

use arrayvec::ArrayString;

/// The beginning of a text as it is shown in a message: at most 40 bytes, with control characters replaced, so that
/// nothing in it can move the cursor of whoever reads the message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Excerpt(ArrayString<40>);

impl Excerpt {
    /// What marks a text that was cut.
    const CUT: &'static str = "...";

    /// The beginning of `text`.
    pub fn new(text: &str) -> Self {
        let mut kept = ArrayString::new();
        let fits = text.len() <= kept.capacity();
        let room = if fits { kept.capacity() } else { kept.capacity() - Self::CUT.len() };
        for character in text.chars() {
            let shown = if character.is_control() { '?' } else { character };
            if kept.len() + shown.len_utf8() > room {
                break;
            }
            kept.push(shown);
        }
        if !fits {
            kept.push_str(Self::CUT);
        }
        Self(kept)
    }
}

impl fmt::Display for Excerpt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::Excerpt;

    #[test]
    fn long_texts_are_cut_and_control_characters_are_replaced() {
        assert_eq!(Excerpt::new("lab-a").to_string(), "lab-a");
        assert_eq!(Excerpt::new("a\u{1b}[2J\n").to_string(), "a?[2J?");
        assert_eq!(Excerpt::new(&"x".repeat(40)).to_string(), "x".repeat(40));
        assert_eq!(Excerpt::new(&"x".repeat(41)).to_string(), format!("{}...", "x".repeat(37)));
        assert_eq!(Excerpt::new(&"\u{20ac}".repeat(14)).to_string(), format!("{}...", "\u{20ac}".repeat(12)));
    }
}
