//! The nearest known word to one that is not known, for "did you mean".

/// Bytes of the longest word that is compared; a longer one is no typo of ours.
const MAX_WORD: usize = 32;

/// The candidate that `word` most likely means, or `None` where none is near.
///
/// Near is an optimal-string-alignment distance (insert, delete, replace, swap neighbours) of at most a third of the
/// longer word, or a candidate that starts with `word`. On a tie the earlier candidate wins.
pub fn nearest<'a>(word: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let mut best: Option<(usize, &'a str)> = None;
    for candidate in candidates {
        let begins = word.len() >= 2 && candidate.starts_with(word);
        let Some(distance) = (if begins { Some(1) } else { distance(word.as_bytes(), candidate.as_bytes()) })
        else {
            continue;
        };
        let near = distance <= word.len().max(candidate.len()).div_ceil(3);
        // A word none of whose letters survived is no typo of the candidate.
        let kept = distance < word.len().min(candidate.len());
        if (begins || near && kept) && best.is_none_or(|(least, _)| distance < least) {
            best = Some((distance, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

/// Edits that turn `from` into `to`, ignoring ASCII case; `None` where a word is too long to bother.
fn distance(from: &[u8], to: &[u8]) -> Option<usize> {
    if from.len() > MAX_WORD || to.len() > MAX_WORD {
        return None;
    }
    // Rows of the classic table; `before` is the row above `above`, for swapped neighbours.
    let mut before = [0; MAX_WORD + 1];
    let mut above: [usize; MAX_WORD + 1] = core::array::from_fn(|column| column);
    for (row, &byte) in from.iter().enumerate() {
        let mut here = [row + 1; MAX_WORD + 1];
        for (column, &other) in to.iter().enumerate() {
            let same = byte.eq_ignore_ascii_case(&other);
            let mut least =
                (above[column] + usize::from(!same)).min(above[column + 1] + 1).min(here[column] + 1);
            if row > 0 && column > 0 {
                let swapped =
                    byte.eq_ignore_ascii_case(&to[column - 1]) && from[row - 1].eq_ignore_ascii_case(&other);
                if swapped {
                    least = least.min(before[column - 1] + 1);
                }
            }
            here[column + 1] = least;
        }
        before = above;
        above = here;
    }
    Some(above[to.len()])
}

#[cfg(test)]
mod tests {
    use super::{distance, nearest};

    #[test]
    fn distance_counts_each_kind_of_edit_once() {
        for (from, to, expected) in [
            ("", "", 0),
            ("", "abc", 3),
            ("frames", "frames", 0),
            ("FRAMES", "frames", 0),
            ("frmes", "frames", 1),
            ("fframes", "frames", 1),
            ("frxmes", "frames", 1),
            ("farmes", "frames", 1),
            ("cpus", "pci", 3),
        ] {
            assert_eq!(distance(from.as_bytes(), to.as_bytes()), Some(expected), "{from} {to}");
            assert_eq!(distance(to.as_bytes(), from.as_bytes()), Some(expected), "{to} {from}");
        }
        assert_eq!(distance(&[b'a'; 33], b"a"), None);
    }

    #[test]
    fn typos_find_their_word_and_other_words_find_none() {
        let known = ["help", "frames", "cpus", "pci", "poweroff", "reboot"];
        for (typo, expected) in [
            ("hlep", Some("help")),
            ("frame", Some("frames")),
            ("cpu", Some("cpus")),
            ("power", Some("poweroff")),
            ("rebot", Some("reboot")),
            ("migrate", None),
            ("", None),
            ("zz", None),
            ("é", None),
        ] {
            assert_eq!(nearest(typo, known.into_iter()), expected, "{typo}");
        }
    }
}
