//! What the tab key completes.

use alloc::vec::Vec;

use super::commands::COMMANDS;
use crate::selftest::SELFTESTS;

/// What the word before the cursor can become.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Completion {
    /// Nothing that is known.
    Nothing,
    /// This text goes in at the cursor; it may be a space only.
    Insert(&'static str, Space),
    /// These are possible.
    Choices(Vec<&'static str>),
}

/// Whether a space follows what is inserted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Space {
    /// The word is complete.
    Follows,
    /// More of the word has to be typed.
    No,
}

/// Completes the last word of `text`, which is what stands before the cursor.
pub(super) fn complete(text: &str) -> Completion {
    let word_start = text.rfind(' ').map_or(0, |space| space + 1);
    let (before, word) = text.split_at(word_start);
    let mut earlier = before.split_ascii_whitespace();
    let mut choices = match (earlier.next(), earlier.next()) {
        (None, _) => COMMANDS.iter().map(|command| command.name).collect(),
        (Some(command), None) => arguments(command),
        _ => Vec::new(),
    };
    choices.retain(|choice| choice.starts_with(word));
    match choices.as_slice() {
        [] => Completion::Nothing,
        [only] => Completion::Insert(only.get(word.len()..).unwrap_or_default(), Space::Follows),
        [first, rest @ ..] => {
            let shared = rest.iter().fold(first.len(), |shared, choice| {
                first.bytes().zip(choice.bytes()).take(shared).take_while(|(one, other)| one == other).count()
            });
            match first.get(word.len()..shared) {
                Some(more) if !more.is_empty() => Completion::Insert(more, Space::No),
                _ => Completion::Choices(choices),
            }
        }
    }
}

/// The words that `command` takes first.
fn arguments(command: &str) -> Vec<&'static str> {
    match COMMANDS.iter().find(|known| known.name == command) {
        Some(known) if known.name == "help" => COMMANDS.iter().map(|command| command.name).collect(),
        Some(known) if known.name == "selftest" => {
            SELFTESTS.iter().map(|test| test.name).chain(["all"]).collect()
        }
        Some(known) => known.words.to_vec(),
        None => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::{Completion, Space, complete};

    fn choices(text: &str) -> Vec<&'static str> {
        match complete(text) {
            Completion::Choices(words) => words,
            other => panic!("{text:?}: {other:?}"),
        }
    }

    #[test]
    fn a_word_with_one_meaning_is_completed() {
        assert_eq!(complete("cp"), Completion::Insert("us", Space::Follows));
        assert_eq!(complete("cpus"), Completion::Insert("", Space::Follows));
        assert_eq!(complete("log de"), Completion::Insert("bug", Space::Follows));
        assert_eq!(complete("help  fragm"), Completion::Insert("ent", Space::Follows));
        assert_eq!(complete("selftest stack"), Completion::Insert("-overflow", Space::Follows));
    }

    #[test]
    fn a_word_with_several_meanings_is_completed_as_far_as_they_agree() {
        assert_eq!(complete("fra"), Completion::Choices(["frames", "fragment"].into_iter().collect()));
        assert_eq!(
            complete("selftest d"),
            Completion::Choices(["divide", "double-fault"].into_iter().collect())
        );
        assert_eq!(complete("f"), Completion::Insert("ra", Space::No));
    }

    #[test]
    fn no_word_lists_everything_and_a_wrong_one_nothing() {
        assert!(choices("").len() > 8);
        assert!(choices("log ").contains(&"trace"));
        for text in ["x", "cpus ", "nothing f", "log info ", "log info i", "é"] {
            assert_eq!(complete(text), Completion::Nothing, "{text:?}");
        }
    }
}
