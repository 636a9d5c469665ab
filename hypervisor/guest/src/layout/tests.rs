use proptest::prelude::*;

use super::*;

fn shown(layout: &MemoryLayout) -> Vec<(u64, u64)> {
    layout.regions().iter().map(|region| (region.start.0, region.end())).collect()
}

#[test]
fn ram_lies_below_3_gib_and_from_4_gib_on() {
    for (bytes, expected) in [
        (8 * MIB, vec![(0, 8 * MIB)]),
        (3 * GIB, vec![(0, 3 * GIB)]),
        (3 * GIB + 2 * MIB, vec![(0, 3 * GIB), (4 * GIB, 4 * GIB + 2 * MIB)]),
        (1023 * GIB, vec![(0, 3 * GIB), (4 * GIB, 1 << 40)]),
    ] {
        assert_eq!(shown(&MemoryLayout::new(bytes).unwrap()), expected);
    }
}

#[test]
fn impossible_amounts_say_what_is_possible() {
    for (bytes, words) in [
        (0, "give at least 8 MiB"),
        (3 * MIB, "give at least 8 MiB"),
        (8 * MIB - 1, "give at least 8 MiB"),
        (9 * MIB, "give 8 or 10 MiB"),
        (16 * MIB + 1, "give 16 or 18 MiB"),
        (1023 * GIB + 2 * MIB, "give at most 1023 GiB"),
        (u64::MAX, "give at most 1023 GiB"),
    ] {
        let error = MemoryLayout::new(bytes).unwrap_err().to_string();
        assert!(error.contains(words) && error.contains(&bytes.to_string()), "{error}");
    }
}

#[test]
fn a_region_holds_what_lies_wholly_inside() {
    let region = Region { start: GuestAddress(0x1000), bytes: 0x1000 };
    for (start, bytes, inside) in [
        (0x1000, 0x1000, true),
        (0x1000, 0, true),
        (0x2000, 0, true),
        (0xfff, 2, false),
        (0x1001, 0x1000, false),
        (0x1fff, u64::MAX, false),
    ] {
        assert_eq!(region.holds(start, bytes), inside, "{start:#x} {bytes:#x}");
    }
}

proptest! {
    #[test]
    fn the_map_tells_of_all_ram_once(steps in 4u64..=1023 * 512) {
        let bytes = steps * MemoryLayout::STEP_BYTES;
        let layout = MemoryLayout::new(bytes).unwrap();
        let ram: u64 = layout.regions().iter().map(|region| region.bytes).sum();
        prop_assert_eq!(ram, bytes);
        let map = layout.e820();
        prop_assert_eq!(map.iter().map(|entry| entry.region.bytes).sum::<u64>(), bytes);
        for pair in map.windows(2) {
            prop_assert!(pair[0].region.end() <= pair[1].region.start.0);
        }
        for entry in &map {
            let Region { start, bytes } = entry.region;
            prop_assert!(bytes > 0);
            prop_assert!(layout.regions().iter().any(|region| region.holds(start.0, bytes)));
            let in_hole = start.0 >= LEGACY_HOLE.start && entry.region.end() <= LEGACY_HOLE.end;
            prop_assert_eq!(entry.kind == E820Kind::Reserved, in_hole);
        }
    }
}
