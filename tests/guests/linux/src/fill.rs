//! Memory that no compression makes smaller, checked from time to time: `fill SEQ ok PAGES NS`, or
//! `BAD FILL N word W expected X found Y` and `fill SEQ BAD COUNT NS`. `fill 0` says that all is written.

use std::{hint::black_box, thread, time::Duration};

use crate::{
    clock::Clock,
    console::say,
    pages::{PAGE_WORDS, mixed},
};

/// Pages in a MiB.
const PAGES_PER_MIB: usize = 256;
/// Apart from the writer's pages, whose numbers start at 0.
const FIRST_PAGE: usize = 1 << 40;
/// Bad pages that are told of one by one; the rest is counted.
const MAX_TOLD: u64 = 20;

/// Checks for ever.
pub(crate) fn run(mib: usize, every: Duration) {
    let mut memory = vec![0u64; mib * PAGES_PER_MIB * PAGE_WORDS];
    for (place, word) in memory.iter_mut().enumerate() {
        *word = content(place);
    }
    let mut clock = Clock::new();
    for number in 0u64.. {
        let mut bad = 0;
        for (page, words) in memory.chunks_exact(PAGE_WORDS).enumerate() {
            if let Some((word, found)) = wrong(page, black_box(words)) {
                bad += 1;
                if bad <= MAX_TOLD {
                    let expected = content(page * PAGE_WORDS + word);
                    say!("BAD FILL {page} word {word} expected {expected:#x} found {found:#x}");
                }
            }
        }
        let now_ns = clock.now_ns();
        match bad {
            0 => say!("fill {number} ok {} {now_ns}", mib * PAGES_PER_MIB),
            bad => say!("fill {number} BAD {bad} {now_ns}"),
        }
        thread::sleep(every);
    }
}

fn content(place: usize) -> u64 {
    mixed(FIRST_PAGE + place / PAGE_WORDS, place % PAGE_WORDS)
}

/// The first word of page `page` that is not as it was written, and what it is.
fn wrong(page: usize, words: &[u64]) -> Option<(usize, u64)> {
    let place = page * PAGE_WORDS;
    words.iter().copied().enumerate().find(|(word, found)| *found != content(place + word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_changed_bit_shows() {
        let mut words: Vec<_> = (0..PAGE_WORDS).map(|word| content(7 * PAGE_WORDS + word)).collect();
        assert_eq!(wrong(7, &words), None);
        assert_eq!(wrong(6, &words).map(|(word, _)| word), Some(0));
        words[511] ^= 1 << 63;
        assert_eq!(wrong(7, &words), Some((511, words[511])));
    }
}
