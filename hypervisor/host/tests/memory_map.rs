//! The memory map: every bad shape by hand, and any shape against a reference that looks at one frame at a time.

use godwit_frames::{FrameRange, HostFrame};
use godwit_host::boot::{
    MAX_REGIONS, MemoryMap, MemoryRegion, RegionKind, TooLittleMemory,
    memory_map::{MAX_NOTES, MAX_USABLE, MapNote, Span, covering},
};
use proptest::prelude::*;

const PAGE: u64 = 4096;
const GIB: u64 = 1 << 30;

fn region(start: u64, bytes: u64, kind: RegionKind) -> MemoryRegion {
    MemoryRegion { start, bytes, kind }
}

fn usable(start: u64, bytes: u64) -> MemoryRegion {
    region(start, bytes, RegionKind::Usable)
}

fn reserved(start: u64, bytes: u64) -> MemoryRegion {
    region(start, bytes, RegionKind::Reserved)
}

fn frames(start: u64, count: u64) -> FrameRange {
    FrameRange::new(HostFrame::new(start), count)
}

fn ranges(regions: &[MemoryRegion]) -> Vec<(u64, u64)> {
    let map = MemoryMap::from_regions(regions, 0);
    map.usable().iter().map(|range| (range.start.number(), range.frames)).collect()
}

#[test]
fn an_ordinary_map_needs_no_correction() {
    let regions = [
        usable(0, 0x9fc00),
        reserved(0x9fc00, 0x400),
        reserved(0xf0000, 0x10000),
        usable(1 << 20, 127 << 20),
    ];
    let map = MemoryMap::from_regions(&regions, 0);
    assert_eq!(map.notes(), []);
    assert_eq!(map.usable(), [frames(1, 0x9e), frames(0x100, 127 << 8)]);
    assert_eq!(map.end_of_ram(), 128 << 8);
    let kinds: Vec<_> = map.spans().iter().map(|span| span.kind).collect();
    assert_eq!(
        kinds,
        [RegionKind::Usable, RegionKind::Reserved, RegionKind::Reserved, RegionKind::Usable],
        "the hole from 0xa0000 on is no span"
    );
}

#[test]
fn overlaps_go_to_the_more_cautious_kind() {
    let regions =
        [usable(PAGE, 9 * PAGE), reserved(4 * PAGE, 2 * PAGE), region(5 * PAGE, PAGE, RegionKind::Unusable)];
    assert_eq!(ranges(&regions), [(1, 3), (6, 4)]);
    let map = MemoryMap::from_regions(&regions, 0);
    assert_eq!(
        map.spans().iter().map(|span| (span.range.start.number(), span.kind)).collect::<Vec<_>>(),
        [
            (1, RegionKind::Usable),
            (4, RegionKind::Reserved),
            (5, RegionKind::Unusable),
            (6, RegionKind::Usable)
        ]
    );
    assert_eq!(map.notes().first(), Some(&MapNote::Overlap { entry: 1, with: 0, start: 4 * PAGE }));
    for kind in [RegionKind::AcpiReclaimable, RegionKind::AcpiNonVolatile] {
        assert_eq!(ranges(&[usable(PAGE, 4 * PAGE), region(2 * PAGE, PAGE, kind)]), [(1, 1), (3, 2)]);
    }
}

#[test]
fn equal_overlapping_and_touching_regions_merge() {
    assert_eq!(ranges(&[usable(PAGE, 4 * PAGE), usable(PAGE, 4 * PAGE)]), [(1, 4)]);
    assert_eq!(ranges(&[usable(PAGE, 4 * PAGE), usable(3 * PAGE, 4 * PAGE)]), [(1, 6)]);
    assert_eq!(ranges(&[usable(PAGE, 4 * PAGE), usable(5 * PAGE, 4 * PAGE)]), [(1, 8)]);
}

#[test]
fn holes_stay_holes() {
    assert_eq!(ranges(&[usable(PAGE, PAGE), usable(3 * PAGE, PAGE)]), [(1, 1), (3, 1)]);
}

#[test]
fn empty_entries_are_left_out_and_said() {
    let map = MemoryMap::from_regions(&[reserved(5 * PAGE, 0), usable(PAGE, 8 * PAGE)], 0);
    assert_eq!(map.usable(), [frames(1, 8)]);
    assert!(map.notes().contains(&MapNote::Empty { entry: 0, start: 5 * PAGE }));
}

#[test]
fn reversed_order_is_sorted_and_said() {
    let map =
        MemoryMap::from_regions(&[usable(20 * PAGE, PAGE), usable(10 * PAGE, PAGE), usable(PAGE, PAGE)], 0);
    assert_eq!(map.usable(), [frames(1, 1), frames(10, 1), frames(20, 1)]);
    assert_eq!(
        map.notes(),
        [MapNote::OutOfOrder { entry: 1, start: 10 * PAGE }, MapNote::OutOfOrder { entry: 2, start: PAGE }]
    );
}

#[test]
fn odd_edges_shrink_usable_and_grow_reserved_memory() {
    let mib = 1 << 20;
    let regions = [usable(4 * mib + 1, 4 * PAGE - 2), reserved(8 * mib - 1, 2)];
    let map = MemoryMap::from_regions(&regions, 0);
    assert_eq!(map.usable(), [frames(1025, 2)]);
    assert_eq!(map.spans().last().map(|span| span.range), Some(frames(2047, 2)));
    assert_eq!(map.notes().len(), 2);
    assert_eq!(ranges(&[usable(4 * mib + 1, PAGE)]), [], "no whole frame is left");
}

#[test]
fn addresses_that_overflow_are_cut_at_52_bits() {
    let last = (1 << 52) - PAGE;
    for bytes in [2 * PAGE, u64::MAX, u64::MAX - last + 1] {
        let map = MemoryMap::from_regions(&[usable(last, bytes)], 0);
        assert_eq!(map.usable(), [frames(last / PAGE, 1)]);
        assert!(matches!(map.notes(), [MapNote::BeyondAddresses { .. }]));
    }
    assert_eq!(ranges(&[usable(1 << 52, PAGE), usable(u64::MAX, 1), usable(u64::MAX, u64::MAX)]), []);
}

#[test]
fn memory_only_above_4_gib_and_a_tiny_first_megabyte_are_fine() {
    assert_eq!(ranges(&[usable(4 * GIB, GIB)]), [(1 << 20, 1 << 18)]);
    assert_eq!(ranges(&[usable(0, 0x2000), usable(1 << 20, 1 << 20)]), [(1, 1), (256, 256)]);
}

#[test]
fn frame_0_is_never_usable() {
    assert_eq!(ranges(&[usable(0, PAGE)]), []);
    assert_eq!(ranges(&[usable(0, 3 * PAGE)]), [(1, 2)]);
}

#[test]
fn no_map_at_all_is_no_memory() {
    let map = MemoryMap::from_regions(&[], 0);
    assert_eq!((map.usable_frames(), map.end_of_ram()), (0, 0));
    assert!(map.require(1).is_err());
}

#[test]
fn too_little_memory_says_how_much_is_needed() {
    let map = MemoryMap::from_regions(&[usable(1 << 20, 7 << 20)], 0);
    assert_eq!(map.require(7 << 8), Ok(()));
    let error = map.require(64 << 8);
    assert_eq!(error, Err(TooLittleMemory { needed_frames: 64 << 8, usable_frames: 7 << 8 }));
    assert_eq!(
        error.map_err(|e| e.to_string()),
        Err(
            "too little memory: 7168 KiB are usable, godwit needs 65536 KiB (64 MiB): give this machine more"
                .into()
        )
    );
}

#[test]
fn entries_beyond_the_bound_are_counted() {
    let many: Vec<_> = (0..MAX_REGIONS as u64 + 3).map(|n| usable((2 * n + 1) * PAGE, PAGE)).collect();
    let map = MemoryMap::from_regions(&many, 2);
    assert_eq!(map.notes(), [MapNote::TooManyEntries { left_out: 5 }]);
    assert_eq!(map.usable().len(), MAX_REGIONS);
}

#[test]
fn notes_beyond_the_bound_are_counted() {
    let many: Vec<_> = (0..40).map(|_| usable(PAGE, 0)).collect();
    let map = MemoryMap::from_regions(&many, 0);
    assert_eq!((map.notes().len(), map.notes_left_out()), (MAX_NOTES, 40 - MAX_NOTES));
}

#[test]
fn withholding_more_pieces_than_there_is_room_for_gives_frames_up_and_says_so() {
    let mut map = MemoryMap::from_regions(&[usable(PAGE, 10_000 * PAGE)], 0);
    let holes = MAX_USABLE as u64 + 10;
    for hole in 0..holes {
        map.withhold(frames(10_000 - 2 * hole, 1));
    }
    assert_eq!(map.usable().len(), MAX_USABLE);
    assert_eq!(map.usable_frames() + map.frames_given_up() + holes, 10_000);
    assert!(map.frames_given_up() > 0);
}

#[test]
fn carving_takes_the_lowest_place_that_fits() {
    let mut map = MemoryMap::from_regions(&[usable(0, 64 * PAGE), usable(1 << 21, 1 << 22)], 0);
    assert_eq!(map.carve(1, 1, 256), Some(frames(1, 1)));
    assert_eq!(map.carve(512, 512, u64::MAX), Some(frames(512, 512)));
    assert_eq!(map.carve(16, 16, 256), Some(frames(16, 16)));
    assert_eq!(map.carve(64, 1, 256), None, "64 frames below 1 MiB are not free in one piece any more");
    assert_eq!(map.carve(0, 1, 256), None);
    assert_eq!(map.carve(u64::MAX, u64::MAX, u64::MAX), None);
    assert_eq!(map.usable_frames(), 63 + 1024 - 1 - 512 - 16);
}

#[test]
fn covering_is_total() {
    assert_eq!(covering(PAGE - 1, 2), frames(0, 2));
    assert_eq!(covering(PAGE, PAGE), frames(1, 1));
    assert_eq!(covering(PAGE, 0).frames, 0);
    assert_eq!(covering(u64::MAX, u64::MAX), frames(u64::MAX / PAGE, 1));
}

fn kind() -> impl Strategy<Value = RegionKind> {
    prop_oneof![
        3 => Just(RegionKind::Usable),
        1 => Just(RegionKind::Reserved),
        1 => Just(RegionKind::AcpiReclaimable),
        1 => Just(RegionKind::AcpiNonVolatile),
        1 => Just(RegionKind::Unusable),
    ]
}

/// Small maps whose edges often fall inside frames and often meet.
fn small_map() -> impl Strategy<Value = Vec<MemoryRegion>> {
    let edge = (0u64..64, prop_oneof![3 => Just(0u64), 1 => 1u64..PAGE]).prop_map(|(f, odd)| f * PAGE + odd);
    let one = (edge.clone(), edge, kind()).prop_map(|(start, bytes, kind)| region(start, bytes, kind));
    prop::collection::vec(one, 0..12)
}

/// What one frame holds, by looking at nothing but that frame.
fn reference(regions: &[MemoryRegion], frame: u64) -> Option<RegionKind> {
    let (low, high) = (frame * PAGE, (frame + 1) * PAGE);
    let order = [
        RegionKind::Unusable,
        RegionKind::Reserved,
        RegionKind::AcpiNonVolatile,
        RegionKind::AcpiReclaimable,
        RegionKind::Usable,
    ];
    order.into_iter().find(|&kind| {
        regions.iter().any(|r| {
            let end = r.start + r.bytes;
            r.kind == kind
                && r.bytes > 0
                && if kind == RegionKind::Usable {
                    r.start <= low && high <= end
                } else {
                    r.start < high && low < end
                }
        })
    })
}

#[test]
fn ram_out_of_reach_is_given_up_and_said() {
    let regions = [usable(PAGE, 7 * PAGE), reserved(10 * PAGE, 10 * PAGE), usable(20 * PAGE, 4 * PAGE)];
    let mut map = MemoryMap::from_regions(&regions, 0);
    map.cap(24);
    assert_eq!(map.notes(), [], "all of it is within reach");
    map.cap(4);
    assert_eq!(map.usable(), [frames(1, 3)]);
    assert_eq!(map.end_of_ram(), 4);
    let spans: Vec<_> = map.spans().iter().map(|span| (span.range, span.kind)).collect();
    assert_eq!(spans, [(frames(1, 3), RegionKind::Usable), (frames(10, 10), RegionKind::Reserved)]);
    assert_eq!(map.notes(), [MapNote::OutOfReach { frames: 8, from: 4 * PAGE }]);
    map.cap(0);
    assert_eq!((map.usable(), map.usable_frames()), (&[][..], 0));
}

proptest! {
    #[test]
    fn every_frame_is_what_the_reference_says(regions in small_map(), cuts in prop::collection::vec((0u64..130, 0u64..20), 0..6)) {
        let mut map = MemoryMap::from_regions(&regions, 0);
        for &(start, count) in &cuts {
            map.withhold(frames(start, count));
        }
        for frame in 0..140 {
            let holds = |range: &FrameRange| range.start.number() <= frame && range.end().is_some_and(|end| frame < end);
            let spans: Vec<_> = map.spans().iter().filter(|span| holds(&span.range)).map(|span| span.kind).collect();
            let expected = reference(&regions, frame);
            prop_assert_eq!(&spans, &expected.into_iter().collect::<Vec<_>>(), "frame {}", frame);
            let cut = cuts.iter().any(|&(start, count)| start <= frame && frame < start + count);
            let free = map.usable().iter().filter(|range| holds(range)).count();
            let wanted = usize::from(expected == Some(RegionKind::Usable) && frame != 0 && !cut);
            prop_assert_eq!(free, wanted, "frame {}", frame);
        }
        prop_assert!(map.usable().windows(2).all(|pair| pair[0].end() <= Some(pair[1].start.number())));
        prop_assert!(map.spans().windows(2).all(|pair| apart(&pair[0], &pair[1])));
    }

    #[test]
    fn any_map_is_survived(regions in prop::collection::vec((any::<u64>(), any::<u64>(), kind()), 0..200), left_out in any::<usize>()) {
        let regions: Vec<_> = regions.into_iter().map(|(start, bytes, kind)| region(start, bytes, kind)).collect();
        let mut map = MemoryMap::from_regions(&regions, left_out);
        prop_assert!(map.usable().iter().all(|range| range.end().is_some_and(|end| end <= 1 << 40)));
        map.withhold(frames(u64::MAX, u64::MAX));
        map.cap(1 << 28);
        prop_assert!(map.end_of_ram() <= 1 << 28);
        map.carve(1 << 20, 1 << 18, u64::MAX);
    }
}

/// Whether `span` and the one after it had to stay two.
fn apart(span: &Span, next: &Span) -> bool {
    span.kind != next.kind || span.range.end() != Some(next.range.start.number())
}
