use alloc::vec;

use godwit_guest::GuestAddress;

use super::*;

/// Frames whose number's bit is set in a word are filled.
struct Filled(u64);

impl GuestMemory for Filled {
    fn read(&self, at: GuestAddress, out: &mut [u8]) -> Result<(), NotRam> {
        if at.frame().0 >= 64 {
            return Err(NotRam { at });
        }
        out.fill((self.0 >> at.frame().0 & 1) as u8);
        Ok(())
    }

    fn write(&self, at: GuestAddress, _: &[u8]) -> Result<(), NotRam> {
        Err(NotRam { at })
    }
}

fn run(start: u64, order: u8, leaves: u32) -> LeafRun {
    LeafRun { start: GuestFrame(start), order, leaves }
}

/// Page loads as (address, bytes, order), and all zero frames, in the order they come.
fn loads(scan: &mut Scan, memory: &Filled, budget_frames: u32) -> (Vec<(u64, u32, u8)>, Vec<u64>) {
    let (mut pages, mut zeros) = (Vec::new(), Vec::new());
    while !scan.is_finished() {
        match scan.next(&mut budget_frames.clone(), memory).unwrap() {
            Some(Load::Pages(range, order)) => pages.push((range.at.0, range.bytes, order)),
            Some(Load::Zeros(ranges)) => {
                let ranges = ranges.as_slice().iter();
                zeros.extend(ranges.flat_map(|range| range.start.0..range.end().0));
            }
            None => {}
        }
    }
    (pages, zeros)
}

#[test]
fn whole_frames_go_together_up_to_the_limit_a_gap_or_another_leaf() {
    for budget_frames in [1, 2, 100] {
        let leaves = vec![run(0, 0, 8), run(20, 0, 2), run(22, 9, 0), run(22, 0, 2)];
        let leaves = leaves.into_iter().filter(|run| run.leaves > 0).collect();
        let mut scan = Scan::new(leaves, Cut::Frames(3 * 4096), SumKey::new(1));
        let filled = 0b0110_1111 | 0b1111 << 20;
        let (pages, zeros) = loads(&mut scan, &Filled(filled), budget_frames);
        let expected = [(0, 3, 0), (3, 1, 0), (5, 2, 0), (20, 3, 0), (23, 1, 0)];
        assert_eq!(pages, expected.map(|(frame, frames, order)| (frame * 4096, frames * 4096, order)));
        assert_eq!(zeros, [4, 7]);
    }
}

#[test]
fn a_datagram_has_frames_of_one_order_of_leaf() {
    // Leaves of 512 frames are more than this memory has: stop before its end.
    let mut scan = Scan::new(vec![run(0, 0, 2), run(2, 9, 1)], Cut::Frames(4 * 4096), SumKey::new(1));
    let mut budget_frames = 6;
    let mut orders = Vec::new();
    while let Some(Load::Pages(range, order)) = scan.next(&mut budget_frames, &Filled(u64::MAX)).unwrap() {
        orders.push((range.at.frame().0, range.bytes / 4096, order));
    }
    assert_eq!(orders, [(0, 2, 0), (2, 4, 9)]);
    assert!(!scan.is_finished());
}

#[test]
fn small_datagrams_carry_pieces_that_cover_a_frame() {
    let mut scan = Scan::new(vec![run(2, 0, 1)], Cut::fitting(1440).unwrap(), SumKey::new(1));
    let (pages, _) = loads(&mut scan, &Filled(4), 9);
    assert_eq!(pages, [(8192, 1408, 0), (8192 + 1408, 1408, 0), (8192 + 2816, 1280, 0)]);
}

#[test]
fn frames_are_cut_to_what_fits() {
    let frames = |count: u32| Some(Cut::Frames(count * 4096));
    for (body_bytes, cut) in [
        (63, None),
        (64, Some(Cut::Pieces(64))),
        (1440, Some(Cut::Pieces(1408))),
        (4095, Some(Cut::Pieces(4032))),
        (4096, frames(1)),
        (8940, frames(2)),
        (65475, frames(15)),
        (u32::MAX, frames(15)),
    ] {
        assert_eq!(Cut::fitting(body_bytes), cut, "{body_bytes}");
    }
}

#[test]
fn a_long_stretch_of_zeros_is_named_in_parts() {
    struct Nothing;
    impl GuestMemory for Nothing {
        fn read(&self, _: GuestAddress, out: &mut [u8]) -> Result<(), NotRam> {
            out.fill(0);
            Ok(())
        }

        fn write(&self, at: GuestAddress, _: &[u8]) -> Result<(), NotRam> {
            Err(NotRam { at })
        }
    }
    let frames = 2 * MOST_UNNAMED_FRAMES + 512;
    let mut scan = Scan::new(vec![run(0, 9, (frames / 512) as u32)], Cut::Frames(4096), SumKey::new(1));
    let mut named = Vec::new();
    while let Some(load) = scan.next(&mut u32::MAX.clone(), &Nothing).unwrap() {
        let Load::Zeros(ranges) = load else { panic!("{load:?}") };
        named.push(ranges.frames());
    }
    assert_eq!(named, [MOST_UNNAMED_FRAMES, MOST_UNNAMED_FRAMES, 512]);
    assert_eq!(scan.root(), SumKey::new(1).zeros(GuestFrame(0), frames));
}

#[test]
fn memory_that_is_not_there_is_an_error() {
    let mut scan = Scan::new(vec![run(63, 0, 2)], Cut::Frames(4096), SumKey::new(1));
    assert!(scan.next(&mut 1, &Filled(0)).unwrap().is_none());
    assert_eq!(scan.next(&mut 1, &Filled(0)), Err(NotRam { at: GuestAddress(64 * 4096) }));
}
