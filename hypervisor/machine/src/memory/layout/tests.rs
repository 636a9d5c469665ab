//! Plans against a reference that looks at each frame alone.

use proptest::prelude::*;

use super::*;

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

fn range(start: u64, end: u64) -> PhysicalRange {
    PhysicalRange { start, end }
}

/// The plan as (address, size, writable), runs of equal pages folded into one with their count.
fn plan(usable: &[PhysicalRange], image: &[PhysicalRange], huge: bool) -> Vec<(u64, PageSize, bool, usize)> {
    let mut folded: Vec<(u64, PageSize, bool, usize)> = Vec::new();
    for page in DirectMap::new(usable, image, huge).unwrap() {
        match folded.last_mut() {
            Some((start, size, writable, count))
                if (*size, *writable) == (page.size, page.writable)
                    && *start + *count as u64 * size.bytes() == page.physical =>
            {
                *count += 1;
            }
            _ => folded.push((page.physical, page.size, page.writable, 1)),
        }
    }
    folded
}

#[test]
fn a_small_machine_has_its_holes_and_its_image_cut_out() {
    use PageSize::{Frame, Large};
    let usable = [range(0, 636 * KIB), range(MIB, 128 * MIB)];
    let image = [range(MIB, MIB + 300 * KIB)];
    assert_eq!(
        plan(&usable, &image, true),
        [
            (0, Frame, true, 159),
            (MIB, Frame, false, 75),
            (MIB + 300 * KIB, Frame, true, 181),
            (2 * MIB, Large, true, 63),
        ]
    );
}

#[test]
fn a_large_machine_is_mapped_by_gigabytes() {
    use PageSize::{Frame, Huge, Large};
    let usable = [range(MIB, 3 * GIB), range(4 * GIB, 16 * GIB)];
    assert_eq!(
        plan(&usable, &[], true),
        [
            (MIB, Frame, true, 256),
            (2 * MIB, Large, true, 511),
            (GIB, Huge, true, 2),
            (4 * GIB, Huge, true, 12)
        ]
    );
    assert_eq!(plan(&usable[1..], &[], false), [(4 * GIB, Large, true, 6144)]);
}

#[test]
fn an_image_of_large_pages_stays_large() {
    use PageSize::Large;
    let image = [range(4 * MIB, 8 * MIB)];
    assert_eq!(
        plan(&[range(0, GIB)], &image, true),
        [(0, Large, true, 2), (4 * MIB, Large, false, 2), (8 * MIB, Large, true, 508)]
    );
}

#[test]
fn an_image_outside_usable_memory_is_not_mapped() {
    let image = [range(0, MIB), range(3 * MIB, 5 * MIB), range(9 * MIB, 10 * MIB)];
    assert_eq!(
        plan(&[range(2 * MIB, 4 * MIB)], &image, true),
        [(2 * MIB, PageSize::Frame, true, 256), (3 * MIB, PageSize::Frame, false, 256)]
    );
    assert_eq!(plan(&[], &image, true), []);
}

#[test]
fn ranges_that_make_no_plan_are_refused() {
    let refused = |ranges: &[PhysicalRange]| {
        let error = DirectMap::new(ranges, &[], true).unwrap_err();
        assert_eq!(DirectMap::new(&[], ranges, true).unwrap_err(), error);
        error
    };
    let odd = range(0x1000, 0x1800);
    assert_eq!(refused(&[odd]), LayoutError::NotWholeFrames(odd));
    assert_eq!(refused(&[odd]).to_string(), "memory from 0x1000 to 0x1800 is not made of whole 4 KiB frames");
    let (empty, reversed) = (range(0x1000, 0x1000), range(0x3000, 0x1000));
    assert_eq!(refused(&[empty]), LayoutError::Empty(empty));
    assert_eq!(refused(&[reversed]), LayoutError::Empty(reversed));
    let (low, high) = (range(0x1000, 0x3000), range(0x2000, 0x4000));
    assert_eq!(refused(&[low, high]), LayoutError::OutOfOrder(high));
    assert_eq!(refused(&[high, low]), LayoutError::OutOfOrder(low));
}

#[test]
fn the_last_addresses_do_not_overflow() {
    let last = u64::MAX - 0xfff;
    let pages: Vec<_> = DirectMap::new(&[range(last - 0x1000, last)], &[], true).unwrap().collect();
    assert_eq!(pages, [DirectPage { physical: last - 0x1000, size: PageSize::Frame, writable: true }]);
}

/// Ascending ranges of frames between 0 and 3 GiB: gaps and lengths of frames, of 2 MiB and of 1 GiB, and odd
/// ones.
fn ranges() -> impl Strategy<Value = Vec<PhysicalRange>> {
    let frames = || prop_oneof![1_u64..8, (1_u64..4).prop_map(|n| n * 512), 1_u64..2_000, Just(262_144)];
    prop::collection::vec((prop_oneof![Just(0), frames()], frames()), 0..6).prop_map(|steps| {
        let mut at = 0;
        let mut ranges = Vec::new();
        for (gap, length) in steps {
            let start = at + gap;
            at = start + length;
            ranges.push(range(start * 4096, at * 4096));
        }
        ranges
    })
}

fn covers(ranges: &[PhysicalRange], address: u64) -> bool {
    ranges.iter().any(|range| (range.start..range.end).contains(&address))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Every usable frame is mapped once, none else, writable unless it is the image's, by the largest page
    /// that its surroundings allow.
    #[test]
    fn the_plan_is_what_each_frame_asks_for(usable in ranges(), image in ranges(), huge in any::<bool>()) {
        let last = usable.last().map_or(0, |range| range.end);
        // The page that maps each frame.
        let mut mapped = vec![None; (last / 4096) as usize];
        for page in DirectMap::new(&usable, &image, huge).unwrap() {
            prop_assert!(page.physical.is_multiple_of(page.size.bytes()));
            prop_assert!(huge || page.size < PageSize::Huge);
            let first = (page.physical / 4096) as usize;
            let pages = &mut mapped[first..first + (page.size.bytes() / 4096) as usize];
            prop_assert!(pages.iter().all(Option::is_none), "mapped twice at {:#x}", page.physical);
            pages.fill(Some(page));
        }
        for (frame, page) in mapped.iter().enumerate() {
            let address = frame as u64 * 4096;
            let expected = covers(&usable, address).then(|| !covers(&image, address));
            prop_assert_eq!(page.map(|page| page.writable), expected);
        }
        // A larger page would cross a border of what is usable or of the image.
        let ranges = usable.iter().chain(&image);
        let borders: Vec<u64> = ranges.flat_map(|range| [range.start, range.end]).collect();
        for page in mapped.iter().flatten() {
            let larger = match page.size {
                PageSize::Frame => PageSize::Large,
                PageSize::Large if huge => PageSize::Huge,
                _ => continue,
            };
            let start = page.physical / larger.bytes() * larger.bytes();
            let crosses = borders.iter().any(|border| (start + 1..start + larger.bytes()).contains(border));
            prop_assert!(crosses, "{page:?} could be part of a larger page");
        }
    }
}
