//! Writes every page of some memory again and again, and checks each before: `pages ROUND ok PAGES NS`, or
//! `BAD PAGE N word W expected X found Y` and `pages ROUND BAD COUNT NS`.

use std::{hint::black_box, thread, time::Duration};

use crate::{
    clock::Clock,
    console::say,
    pages::{self, PAGE_WORDS},
};

/// Pages in a MiB.
const PAGES_PER_MIB: usize = 256;
/// A round that ends sooner after the last line is not told of.
const REPORT_NS: u64 = 500_000_000;
/// Pages between two looks at the clock.
const PACE_PAGES: u64 = 16;
/// Bad pages that are told of one by one; the rest is counted.
const MAX_TOLD: u64 = 20;

/// Writes for ever.
pub(crate) fn run(mib: usize, pages_per_second: Option<u64>) {
    let mut memory = vec![0u64; mib * PAGES_PER_MIB * PAGE_WORDS];
    for (page, words) in memory.chunks_exact_mut(PAGE_WORDS).enumerate() {
        pages::write_first(page, words);
    }
    let mut clock = Clock::new();
    let mut pace = pages_per_second.map(|rate| Pace::new(rate, clock.now_ns()));
    let mut told_ns = None;
    for round in 0u64.. {
        let mut bad = 0;
        for (page, words) in memory.chunks_exact_mut(PAGE_WORDS).enumerate() {
            // The compiler must not know what it has just written: the machine may have changed it.
            let words = black_box(words);
            if let Some(found) = pages::check(page, words, round) {
                bad += 1;
                if bad <= MAX_TOLD {
                    say!(
                        "BAD PAGE {page} word {} expected {:#x} found {:#x}",
                        found.word,
                        found.expected,
                        found.found
                    );
                }
            }
            pages::increment(words);
            if let Some(pace) = &mut pace {
                pace.page(&mut clock);
            }
        }
        let now_ns = clock.now_ns();
        if bad > 0 {
            say!("pages {round} BAD {bad} {now_ns}");
        } else if told_ns.is_none_or(|told| now_ns.saturating_sub(told) >= REPORT_NS) {
            say!("pages {round} ok {} {now_ns}", mib * PAGES_PER_MIB);
            told_ns = Some(now_ns);
        }
    }
}

/// Keeps a rate.
#[derive(Debug)]
struct Pace {
    pages_per_second: u64,
    /// Since when pages are counted, and how many.
    since_ns: u64,
    pages: u64,
}

impl Pace {
    fn new(pages_per_second: u64, now_ns: u64) -> Self {
        Self { pages_per_second, since_ns: now_ns, pages: 0 }
    }

    /// Counts a page, and sleeps where it came too early.
    fn page(&mut self, clock: &mut Clock) {
        self.pages += 1;
        if self.pages.is_multiple_of(PACE_PAGES)
            && let Some(early) = self.early(clock.now_ns())
        {
            thread::sleep(early);
        }
    }

    /// How long to wait. What was not written while the machine stood still is not made up for.
    fn early(&mut self, now_ns: u64) -> Option<Duration> {
        let pages = u128::from(self.pages) * 1_000_000_000 / u128::from(self.pages_per_second);
        let due_ns = self.since_ns.saturating_add(u64::try_from(pages).unwrap_or(u64::MAX));
        if now_ns > due_ns.saturating_add(REPORT_NS) {
            *self = Self::new(self.pages_per_second, now_ns);
        }
        due_ns.checked_sub(now_ns).filter(|early| *early > 0).map(Duration::from_nanos)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_a_rate_and_makes_nothing_up() {
        let mut pace = Pace::new(1000, 0);
        pace.pages = 100;
        assert_eq!(pace.early(40_000_000), Some(Duration::from_millis(60)));
        assert_eq!(pace.early(100_000_000), None);
        assert_eq!(pace.early(300_000_000), None);
        assert_eq!(pace.pages, 100);
        assert_eq!(pace.early(5_000_000_000), None);
        assert_eq!((pace.pages, pace.since_ns), (0, 5_000_000_000));
    }
}
