//! The picture of the frames: glyph by glyph for people, and read back for programs.

use godwit_frames::{BlockView, Content, HostFrame, Mobility, Order, Report};
use godwit_host::picture::{write_map, write_orders, write_raw};
use proptest::prelude::*;

/// A block by letter, as the raw form spells it.
fn block(number: u64, letter: char) -> BlockView {
    let (used, reserved) = match letter {
        'f' => (0, 0),
        'm' | 'u' => (1, 100),
        'M' | 'U' => (512, 0),
        _ => (0, 512),
    };
    let mobility = if letter.eq_ignore_ascii_case(&'u') { Mobility::Unmovable } else { Mobility::Movable };
    BlockView {
        start: HostFrame::new(number * 512),
        free_frames: 512 - used - reserved,
        reserved_frames: reserved,
        mobility,
        content: Content::Dirty,
    }
}

fn blocks(letters: &str) -> Vec<BlockView> {
    letters.chars().enumerate().map(|(number, letter)| block(number as u64, letter)).collect()
}

fn map(views: &[BlockView]) -> String {
    let mut out = String::new();
    write_map(&mut out, views.iter().copied(), views.len() as u64).unwrap();
    out
}

fn raw(views: &[BlockView]) -> String {
    let mut out = String::new();
    write_raw(&mut out, &Report::default(), views.iter().copied()).unwrap();
    out
}

#[test]
fn a_small_memory_shows_every_block() {
    assert_eq!(
        map(&blocks("xuUfffffffffffffffmM")),
        "  each glyph is 2 MiB, each row 128 MiB\n\
         \x20 0x000000000000  xuU............. ..+#\n\
         \x20 . free  + partly used  # full  u partly unmovable  U unmovable  x reserved\n"
    );
}

#[test]
fn a_glyph_of_many_blocks_shows_their_average() {
    // 2,048 blocks: two to a glyph.
    let picture =
        map(&blocks(&["ff", "fm", "mm", "mM", "MM", "fu", "uU", "UU", "xx", "xf"].concat().repeat(100)));
    let first = picture.lines().nth(1).unwrap();
    assert!(first.starts_with("  0x000000000000  .++##uUUx..++##u UUx."), "{picture}");
    let sparse = map(&blocks(&format!("m{}", "f".repeat(4095))));
    assert!(sparse.lines().nth(1).unwrap().contains(" :..............."), "{sparse}");
}

#[test]
fn rows_of_reserved_memory_are_folded() {
    let picture = map(&blocks(&["f".repeat(64), "x".repeat(192), "f".repeat(64)].concat()));
    assert_eq!(picture.lines().count(), 5);
    assert!(picture.contains("(384 MiB reserved or no memory)\n  0x000020000000  ...."), "{picture}");
}

#[test]
fn zones_far_apart_are_folded_too() {
    let mut views = blocks(&"f".repeat(70));
    views.push(block(1 << 27, 'M'));
    let picture = map(&views);
    assert_eq!(picture.lines().count(), 5, "{picture}");
    assert!(picture.contains("  0x1000000000000  #\n"));
}

#[test]
fn no_memory_is_no_map() {
    assert_eq!(map(&[]), "  each glyph is 2 MiB, each row 128 MiB\n\n");
    assert_eq!(raw(&[]).lines().last(), Some("frames raw 1 end blocks=0"));
}

#[test]
fn the_orders_show_their_share() {
    let mut report =
        Report { total_frames: 4096, free_frames: 2048 + 3, largest_run_frames: 2048, ..Report::default() };
    report.free_runs[0] = 3;
    report.free_runs[9] = 4;
    report.cached_frames_at_most = 64;
    let mut out = String::new();
    write_orders(&mut out, &report).unwrap();
    assert_eq!(
        out,
        "  16 MiB managed, 7.9 MiB used, 8 MiB free, largest free run 8 MiB\n\
         \x20 free run      count     memory  share of what is free\n\
         \x20    4 KiB          3     12 KiB  #                                  0 %\n\
         \x20    2 MiB          4      8 MiB  ###############################   99 %\n\
         \x20 of the free memory 0.1 % cannot serve 2 MiB runs, 100.0 % cannot serve 1 GiB runs\n\
         \x20 CPUs keep up to 256 KiB of the used memory at hand\n"
    );
    let mut out = String::new();
    write_orders(&mut out, &Report { total_frames: 1, ..Report::default() }).unwrap();
    assert!(out.ends_with("nothing is free\n"));
}

#[test]
fn the_raw_report_names_every_order() {
    let out = raw(&blocks("ffmxx"));
    let orders = vec!["0"; Order::COUNT].join(",");
    assert_eq!(
        out,
        format!(
            "frames raw 1 report total=0 free=0 cached=0 largest=0 runs={orders}\n\
             frames raw 1 blocks at=0x0 rle=f2m1x2\n\
             frames raw 1 end blocks=5\n"
        )
    );
}

/// Reads the raw form back: blocks by number and letter.
fn read_raw(text: &str) -> Vec<(u64, char)> {
    let mut read = Vec::new();
    for line in text.lines() {
        let Some(rest) = line.strip_prefix("frames raw 1 blocks at=0x") else { continue };
        let (at, rle) = rest.split_once(" rle=").unwrap();
        let mut block = u64::from_str_radix(at, 16).unwrap() >> 21;
        let mut rest = rle;
        while let Some(letter) = rest.chars().next() {
            let digits = rest[1..].find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len() - 1);
            for _ in 0..rest[1..=digits].parse::<u64>().unwrap() {
                read.push((block, letter));
                block += 1;
            }
            rest = &rest[1 + digits..];
        }
    }
    read
}

proptest! {
    #[test]
    fn the_raw_form_reads_back_and_both_stay_narrow(letters in "[fmMuUx]{0,400}", stretch in 1usize..40, second in 0u64..1 << 30) {
        let letters: String = letters.chars().flat_map(|letter| std::iter::repeat_n(letter, stretch)).collect();
        let mut expected: Vec<_> = letters.chars().enumerate().map(|(n, letter)| (n as u64, letter)).collect();
        let gap = letters.len() as u64 + second;
        expected.extend([(gap, 'M'), (gap + 1, 'f')]);
        let views: Vec<_> = expected.iter().map(|&(number, letter)| block(number, letter)).collect();
        let out = raw(&views);
        prop_assert_eq!(read_raw(&out), expected);
        let picture = map(&views);
        prop_assert!(out.lines().skip(1).all(|line| line.len() <= 200));
        prop_assert!(picture.lines().all(|line| line.len() <= 96), "{}", picture);
        prop_assert!(picture.lines().count() <= 2 + 2 * 18, "{}", picture);
    }
}
