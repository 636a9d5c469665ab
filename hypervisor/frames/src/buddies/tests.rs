//! The word arithmetic against a bit-by-bit reference.

use proptest::prelude::*;

use super::*;

fn bit(bits: &Bits, unit: u32) -> bool {
    bits[(unit / 64) as usize] >> (unit % 64) & 1 == 1
}

fn group_is_set(bits: &Bits, first: u32, level: u32) -> bool {
    (first..first + (1 << level)).all(|unit| bit(bits, unit))
}

/// Every maximal buddy as (level, first unit), one bit at a time.
fn reference(bits: &Bits) -> Vec<(u32, u32)> {
    let mut maximal = Vec::new();
    let mut unit = 0u32;
    while unit < 512 {
        let fits = |level: &u32| unit.is_multiple_of(1 << level) && group_is_set(bits, unit, *level);
        match (0..=TOP).rev().find(fits) {
            Some(level) => {
                maximal.push((level, unit));
                unit += 1 << level;
            }
            None => unit += 1,
        }
    }
    maximal
}

/// Sets that have buddies of every level: aligned groups that are set, then some that are cleared.
fn any_bits() -> impl Strategy<Value = Bits> {
    let group = (0u32..=TOP, 0u32..512);
    let groups = proptest::collection::vec((group, any::<bool>()), 0..24);
    (any::<bool>(), groups).prop_map(|(full, groups)| {
        let mut bits = if full { ALL } else { NONE };
        for ((level, unit), set) in groups {
            for (word, mask) in masks(unit >> level << level, 1 << level) {
                if set { bits[word] |= mask } else { bits[word] &= !mask }
            }
        }
        bits
    })
}

proptest! {
    #[test]
    fn maximal_buddies_agree_with_the_reference(bits in any_bits()) {
        let maximal = reference(&bits);
        let mut expected = [0; 10];
        for &(level, first) in &maximal {
            expected[level as usize] += 1;
            for smaller in 0..=level {
                prop_assert_eq!(maximal_level(&bits, first, smaller), level);
            }
        }
        let mut counts = [0; 10];
        count_maximal(&bits, &mut counts);
        prop_assert_eq!(counts, expected);
        prop_assert_eq!(largest_level(&bits), maximal.iter().map(|buddy| buddy.0).max());
        prop_assert_eq!(count(&bits), maximal.iter().map(|buddy| 1 << buddy.0).sum::<u32>());
    }

    #[test]
    fn best_fit_takes_the_smallest_buddy_nearest_to_the_end(bits in any_bits(), level in 0u32..=TOP) {
        let fitting = || reference(&bits).into_iter().filter(|buddy| buddy.0 >= level);
        let smallest = fitting().map(|buddy| buddy.0).min();
        let firsts = || fitting().filter(|buddy| Some(buddy.0) == smallest).map(|buddy| buddy.1);
        prop_assert_eq!(best_fit(&bits, level, End::Bottom), firsts().min());
        prop_assert_eq!(best_fit(&bits, level, End::Top), firsts().max());
        prop_assert_eq!(find_lowest(&bits, level), fitting().map(|buddy| buddy.1).min());
    }

    #[test]
    fn masks_cover_exactly_the_units_asked_for(first in 0u32..512, count in 1u32..=512) {
        let count = count.min(512 - first);
        let mut bits = NONE;
        for (word, mask) in masks(first, count) {
            prop_assert_eq!(bits[word], 0, "no word comes twice");
            bits[word] = mask;
        }
        for unit in 0..512 {
            prop_assert_eq!(bit(&bits, unit), (first..first + count).contains(&unit));
        }
        prop_assert_eq!(super::count(&bits), count);
    }

    #[test]
    fn the_largest_buddy_of_a_word_agrees_with_the_set(word in any::<u64>(), more in any::<u64>()) {
        for word in [word, word | more, !word | more | more >> 1, 0, u64::MAX] {
            let bits = [0, 0, 0, word, 0, 0, 0, 0];
            prop_assert_eq!(largest_in_word(word), largest_level(&bits));
        }
    }
}
