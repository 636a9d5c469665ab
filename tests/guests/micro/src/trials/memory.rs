//! All RAM: a counter and a tag in every page, incremented and checked in rounds. No page may be lost, torn or swapped.

use crate::{
    asked::Asked,
    console::println,
    environment::{self, cpuid},
    start_info::Range,
    trial::{Outcome, Trial, check, check_strictly, figure, found},
    window,
};

pub(super) const TRIALS: &[Trial] = &[Trial::new("ram-is-zero-at-start", is_zero), Trial::new("memory", run)];

const PAGE_BYTES: u64 = 4096;
/// What lies below is the processor's and real mode's.
const FIRST: u64 = 0x1_0000;

// SAFETY: the linker script defines them; only their addresses are used.
unsafe extern "C" {
    static __image_start: u8;
    static __image_end: u8;
}

/// What lies at the end of RAM may be what firmware left there, where a machine has any.
const FIRMWARE_BYTES: u64 = 1 << 20;

/// Nobody else's content is left in RAM. What lies below the image is the loader's.
fn is_zero(_: &Asked<'_>) -> Outcome {
    let end = environment::get().ram().iter().map(|range| range.end).max().unwrap_or(0);
    let image_end = (&raw const __image_end).addr() as u64;
    let limit = end.min(4 << 30).saturating_sub(FIRMWARE_BYTES);
    let (mut pages, mut left) = (0, None);
    for page in pages_of_ram(limit).filter(|page| *page >= image_end) {
        // SAFETY: usable RAM outside this guest's image, mapped at its own address, which nobody has written yet.
        let is_left = |at: &u64| unsafe { (*at as *const u64).read_volatile() } != 0;
        left = left.or_else(|| (page..page + PAGE_BYTES).step_by(8).find(is_left));
        pages += 1;
    }
    figure("pages", pages);
    check!(pages > 0, "there is no RAM to look at");
    // The firmware of plain emulators leaves its heap anywhere.
    check_strictly!(left.is_none(), "{:#x} is not zero, and nothing has written it yet", left.unwrap_or(0));
    Ok(())
}

/// `rounds=N` (default 2; 0 is for ever) `say=N` (a line every N rounds, default 1).
fn run(asked: &Asked<'_>) -> Outcome {
    let rounds = asked.number("rounds", 2);
    let say = asked.number("say", 1).max(1);
    let end = environment::get().ram().iter().map(|range| range.end).max().unwrap_or(0);
    // 1 GiB pages: leaf 0x80000001, EDX bit 26.
    let all = cpuid(0x8000_0001, 0).edx & (1 << 26) != 0;
    if all {
        window::map_above_4g(end);
    } else if end > 4 << 30 {
        found!("RAM above 4 GiB is left out: there are no 1 GiB pages to map it");
    }
    let limit = if all { end } else { end.min(4 << 30) };
    let (mut pages, mut round) = (0, 0);
    loop {
        // Round 0 writes, each later one checks the round before.
        let mut count = 0;
        for page in pages_of_ram(limit) {
            if round > 0 {
                verify(page, round - 1)?;
            }
            stamp(page, round);
            count += 1;
        }
        check!(round == 0 || count == pages, "{count} pages in round {round}, {pages} before");
        pages = count;
        if round > 0 && round % say == 0 {
            println!("micro memory round={round} pages={pages}");
        }
        if round == rounds && rounds > 0 {
            break;
        }
        round += 1;
    }
    for page in pages_of_ram(limit) {
        verify(page, round)?;
    }
    figure("pages", pages);
    Ok(())
}

/// The first and the last word of a page: its address, and the round.
fn stamp(page: u64, round: u64) {
    // SAFETY: usable RAM outside this guest's image, mapped at its own address; nothing else is kept there.
    unsafe {
        (page as *mut u64).write_volatile(page);
        ((page + 8) as *mut u64).write_volatile(round);
        ((page + PAGE_BYTES - 8) as *mut u64).write_volatile(round ^ page);
    }
}

fn verify(page: u64, round: u64) -> Outcome {
    // SAFETY: as above.
    let (tag, found, last) = unsafe {
        (
            (page as *const u64).read_volatile(),
            ((page + 8) as *const u64).read_volatile(),
            ((page + PAGE_BYTES - 8) as *const u64).read_volatile(),
        )
    };
    check!(
        tag == page && found == round && last == round ^ page,
        "page {page:#x} says page {tag:#x}, round {found}, end {last:#x} in round {round}"
    );
    Ok(())
}

fn pages_of_ram(limit: u64) -> impl Iterator<Item = u64> {
    let image = (&raw const __image_start).addr() as u64..(&raw const __image_end).addr() as u64;
    environment::get()
        .ram()
        .iter()
        .flat_map(move |Range { start, end }| {
            let first = (*start).max(FIRST).next_multiple_of(PAGE_BYTES);
            let last = (*end).min(limit);
            (first..last).step_by(PAGE_BYTES as usize).filter(move |page| page + PAGE_BYTES <= last)
        })
        .filter(move |page| !image.contains(page))
}
