//! What a page holds, so that a page which is lost, stale, torn or in the wrong place shows.

/// Words of 8 bytes in a page of 4 KiB.
pub(crate) const PAGE_WORDS: usize = 512;
/// One word in so many counts the page's writes: one in every 512 bytes, so that a page of two times shows.
const COUNTER_STRIDE: usize = 64;

/// A word that is not as it should be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct BadWord {
    /// Which of the page's words.
    pub(crate) word: usize,
    pub(crate) expected: u64,
    pub(crate) found: u64,
}

/// The word `word` of page `page` after `round` writes.
fn expected(page: usize, word: usize, round: u64) -> u64 {
    if word.is_multiple_of(COUNTER_STRIDE) { round } else { mixed(page, word) }
}

/// A number that looks random and depends on nothing but the place: no two places of a guest have the same.
pub(crate) fn mixed(page: usize, word: usize) -> u64 {
    // The finalizer of splitmix64.
    let mut x = ((page * PAGE_WORDS + word) as u64).wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// Writes page `page` for the first time.
pub(crate) fn write_first(page: usize, words: &mut [u64]) {
    for (word, value) in words.iter_mut().enumerate() {
        *value = expected(page, word, 0);
    }
}

/// Checks page `page` after `round` writes.
pub(crate) fn check(page: usize, words: &[u64], round: u64) -> Option<BadWord> {
    words.iter().enumerate().find_map(|(word, &found)| {
        let expected = expected(page, word, round);
        (found != expected).then_some(BadWord { word, expected, found })
    })
}

/// Counts one more write in every counter of a page.
pub(crate) fn increment(words: &mut [u64]) {
    for counter in words.iter_mut().step_by(COUNTER_STRIDE) {
        *counter = counter.wrapping_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(number: usize, rounds: u64) -> Vec<u64> {
        let mut words = vec![0; PAGE_WORDS];
        write_first(number, &mut words);
        (0..rounds).for_each(|_| increment(&mut words));
        words
    }

    #[test]
    fn a_page_is_good_after_any_number_of_writes() {
        for rounds in [0, 1, 7] {
            assert_eq!(check(3, &page(3, rounds), rounds), None);
        }
    }

    #[test]
    fn lost_stale_torn_and_misplaced_pages_show() {
        assert!(check(3, &vec![0; PAGE_WORDS], 2).is_some());
        assert_eq!(check(3, &page(3, 1), 2), Some(BadWord { word: 0, expected: 2, found: 1 }));
        assert_eq!(check(3, &page(4, 2), 2).unwrap().word, 1);
        let mut torn = page(3, 2);
        torn[PAGE_WORDS - 64..].copy_from_slice(&page(3, 1)[PAGE_WORDS - 64..]);
        assert_eq!(check(3, &torn, 2), Some(BadWord { word: PAGE_WORDS - 64, expected: 2, found: 1 }));
    }
}
