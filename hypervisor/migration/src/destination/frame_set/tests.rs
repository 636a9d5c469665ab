use std::collections::BTreeSet;

use godwit_wire::{Baseline, Name, PagePolicy};
use proptest::prelude::*;

use super::*;

fn set(regions: &[(u64, u64)]) -> FrameSet {
    let regions =
        regions.iter().map(|&(start, frames)| Region { start: GuestFrame(start), frames }).collect();
    let offer = Offer {
        guest: Name::new("g"),
        description: Vec::new(),
        regions,
        leaves: Vec::new(),
        baseline: Baseline { name: Name::new("b"), version: 0 },
        tsc_hz: 1,
        frames_to_send: 0,
        page_policy: PagePolicy::Small,
        acknowledge_port: 0,
    };
    FrameSet::new(&offer).unwrap()
}

#[test]
fn only_ram_in_one_piece_has_bits() {
    let set = set(&[(10, 5), (15, 5), (30, 1)]);
    assert_eq!(set.frames(), 11);
    for (first, count, is_ram) in [
        (10, 10, true),
        (10, 11, false),
        (9, 1, false),
        (14, 2, true),
        (20, 1, false),
        (30, 1, true),
        (30, 2, false),
        (0, 0, false),
        (u64::MAX, 2, false),
        (12, u64::MAX, false),
    ] {
        assert_eq!(set.bits(GuestFrame(first), count).is_some(), is_ram, "{count} from {first}");
    }
}

proptest! {
    /// Against a set of frame numbers.
    #[test]
    fn it_holds_what_was_put_in(ranges in proptest::collection::vec((0u64..400, 1u64..150), 1..40)) {
        let mut set = set(&[(0, 130), (200, 190)]);
        let mut reference = BTreeSet::new();
        for (first, count) in ranges {
            let Some(bits) = set.bits(GuestFrame(first), count) else { continue };
            let known = reference.range(first..first + count).count() as u64;
            prop_assert_eq!(set.count(bits), known);
            if known == 0 {
                set.insert(bits);
                reference.extend(first..first + count);
            }
            prop_assert_eq!(set.members(), reference.len() as u64);
        }
    }
}
