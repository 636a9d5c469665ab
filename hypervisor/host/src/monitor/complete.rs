//! What the tab key completes.

use alloc::{
    borrow::Cow,
    string::{String, ToString},
    vec::Vec,
};

use super::commands::{COMMANDS, Words};
use crate::{
    round::CpuSet,
    selftest::{SELFTESTS, Selftest},
};

/// A word that is known, or the name of a CPU.
type Word = Cow<'static, str>;

/// What the word before the cursor can become.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Completion {
    /// Nothing that is known.
    Nothing,
    /// This text goes in at the cursor; it may be a space only.
    Insert(String, Space),
    /// These are possible.
    Choices(Vec<Word>),
}

/// Whether a space follows what is inserted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Space {
    /// The word is complete.
    Follows,
    /// More of the word has to be typed.
    No,
}

/// Completes the last word of `text`, which is what stands before the cursor, on a machine where `running` CPUs run, and
/// which knows `guests` by name.
pub(super) fn complete(text: &str, running: CpuSet, guests: &[String]) -> Completion {
    let word_start = text.rfind(' ').map_or(0, |space| space + 1);
    let (before, word) = text.split_at(word_start);
    let mut earlier = before.split_ascii_whitespace();
    let mut choices: Vec<Word> = match (earlier.next(), earlier.next(), earlier.next()) {
        (None, ..) => COMMANDS.iter().map(|command| command.name.into()).collect(),
        (Some(command), None, _) => arguments(command, guests),
        (Some("selftest"), Some(name), None) if Selftest::find(name).is_some_and(Selftest::is_fault) => {
            running.numbers().map(|cpu| cpu.to_string().into()).collect()
        }
        (Some("tracking"), Some(_), None) => ["on", "off", "raw"].map(Word::from).into(),
        _ => Vec::new(),
    };
    choices.retain(|choice| choice.starts_with(word));
    match choices.as_slice() {
        [] => Completion::Nothing,
        [only] => Completion::Insert(only.get(word.len()..).unwrap_or_default().into(), Space::Follows),
        [first, rest @ ..] => {
            let shared = rest.iter().fold(first.len(), |shared, choice| {
                first.bytes().zip(choice.bytes()).take(shared).take_while(|(one, other)| one == other).count()
            });
            match first.get(word.len()..shared) {
                Some(more) if !more.is_empty() => Completion::Insert(more.into(), Space::No),
                _ => Completion::Choices(choices),
            }
        }
    }
}

/// The words that `command` takes first.
fn arguments(command: &str, guests: &[String]) -> Vec<Word> {
    let fixed = |words: &[&'static str]| words.iter().map(|&word| Word::from(word)).collect();
    let named = || guests.iter().map(|name| name.clone().into()).collect::<Vec<Word>>();
    match COMMANDS.iter().find(|known| known.name == command) {
        Some(known) if known.name == "help" => COMMANDS.iter().map(|command| command.name.into()).collect(),
        Some(known) if known.name == "selftest" => {
            SELFTESTS.iter().map(|test| test.name).chain(["all"]).map(Word::from).collect()
        }
        Some(known) => match known.words {
            Words::None => Vec::new(),
            Words::Fixed(words) => fixed(words),
            Words::Guests => named(),
            Words::GuestsOr(words) => named().into_iter().chain(fixed(words)).collect(),
        },
        None => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::{Completion, CpuSet, Space, complete};
    use crate::machine::CpuNumber;

    /// As on a machine where only cpu0 runs.
    fn completed(text: &str) -> Completion {
        complete(text, CpuSet::of(CpuNumber(0)), &["web-1".into(), "web-2".into()])
    }

    fn insert(text: &str, space: Space) -> Completion {
        Completion::Insert(text.into(), space)
    }

    fn choices(words: &[&'static str]) -> Completion {
        Completion::Choices(words.iter().map(|&word| word.into()).collect())
    }

    #[test]
    fn a_word_with_one_meaning_is_completed() {
        assert_eq!(completed("cp"), insert("us", Space::Follows));
        assert_eq!(completed("cpus"), insert("", Space::Follows));
        assert_eq!(completed("log de"), insert("bug", Space::Follows));
        assert_eq!(completed("help  fragm"), insert("ent", Space::Follows));
        assert_eq!(completed("selftest stack"), insert("-overflow", Space::Follows));
    }

    #[test]
    fn a_word_with_several_meanings_is_completed_as_far_as_they_agree() {
        assert_eq!(completed("fra"), choices(&["frames", "fragment"]));
        assert_eq!(completed("selftest d"), choices(&["divide", "double-fault"]));
        assert_eq!(completed("f"), insert("ra", Space::No));
        assert_eq!(completed("console w"), insert("eb-", Space::No));
        assert_eq!(completed("events "), choices(&["web-1", "web-2", "raw"]));
        assert_eq!(completed("events r"), insert("aw", Space::Follows));
    }

    #[test]
    fn a_fault_is_followed_by_a_cpu_that_runs() {
        let two = CpuSet::of(CpuNumber(0)).with(CpuNumber(2));
        assert_eq!(complete("selftest panic ", two, &[]), insert("cpu", Space::No));
        assert_eq!(complete("selftest panic cpu", two, &[]), choices(&["cpu0", "cpu2"]));
        assert_eq!(completed("selftest panic "), insert("cpu0", Space::Follows));
        for text in
            ["selftest clock ", "selftest all ", "selftest panic cpu1", "selftest panic cpu0 ", "log info "]
        {
            assert_eq!(complete(text, two, &[]), Completion::Nothing, "{text:?}");
        }
    }

    #[test]
    fn tracking_is_followed_by_a_guest_and_what_to_do() {
        assert_eq!(completed("tracking w"), insert("eb-", Space::No));
        assert_eq!(completed("tracking web-1 of"), insert("f", Space::Follows));
        assert_eq!(completed("tracking web-1 "), choices(&["on", "off", "raw"]));
        assert_eq!(completed("tracking web-1 on "), Completion::Nothing);
    }

    #[test]
    fn no_word_lists_everything_and_a_wrong_one_nothing() {
        for (text, listed) in [("", "poweroff"), ("log ", "trace"), ("selftest ", "write-alias")] {
            let is_listed =
                matches!(completed(text), Completion::Choices(words) if words.contains(&listed.into()));
            assert!(is_listed, "{text:?}: {:?}", completed(text));
        }
        for text in ["x", "cpus ", "nothing f", "log info ", "log info i", "é"] {
            assert_eq!(completed(text), Completion::Nothing, "{text:?}");
        }
    }
}
