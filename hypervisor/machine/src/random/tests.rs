//! Generators that work, and those that were sold broken.

use proptest::prelude::*;

use super::*;

/// A generator that works well enough for a test (SplitMix64).
fn working() -> impl FnMut() -> Option<u64> {
    let mut state = 1_u64;
    move || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (state ^ state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        Some(mixed ^ mixed >> 31)
    }
}

fn refused(source: impl FnMut() -> Option<u64>, bytes: usize) {
    let mut out = vec![0x5a; bytes];
    assert_eq!(fill(source, &mut out), Err(NoRandomness));
    assert_eq!(out, vec![0; bytes], "nothing of a broken generator's output is left");
}

#[test]
fn every_byte_comes_from_the_generator_after_start_up() {
    let mut reference = working();
    let mut expected = Vec::new();
    for index in 0..START_UP_SAMPLES + 3 {
        let sample = reference().unwrap().to_le_bytes();
        if index >= START_UP_SAMPLES {
            expected.extend(sample);
        }
    }
    let mut out = [0; 21];
    fill(working(), &mut out).unwrap();
    assert_eq!(out, expected[..21]);
}

#[test]
fn nine_failures_in_a_row_are_borne_and_ten_are_not() {
    let failing = |failures: usize| {
        let mut good = working();
        let mut turn = 0;
        move || {
            turn += 1;
            if turn % (failures + 1) == 0 { good() } else { None }
        }
    };
    assert_eq!(fill(failing(9), &mut [0; 16]), Ok(()));
    refused(failing(10), 16);
    refused(|| None, 16);
}

#[test]
fn a_stuck_generator_is_refused_even_for_one_byte() {
    refused(|| Some(u64::MAX), 1);
    refused(|| Some(0), 1);
    refused(|| Some(0x1234_5678_9abc_def0), 1);
    refused(|| Some(0x1234_5678_9abc_def0), 0);
}

#[test]
fn a_generator_that_goes_bad_on_the_way_is_refused() {
    for bad in [0, u64::MAX] {
        let mut good = working();
        let mut turn = 0;
        refused(
            move || {
                turn += 1;
                if turn == 20 { Some(bad) } else { good() }
            },
            256,
        );
    }
}

#[test]
fn a_short_cycle_is_refused() {
    for period in 2..=16_u64 {
        let mut turn = 0;
        refused(
            move || {
                turn += 1;
                Some(1 + turn % period)
            },
            200,
        );
    }
}

proptest! {
    /// Whatever a generator does, filling ends, with fresh bytes or with zeros.
    #[test]
    fn any_generator_is_drawn_to_an_end(
        samples in prop::collection::vec(prop::option::weighted(0.8, any::<u64>()), 1..40),
        bytes in 0_usize..200,
    ) {
        let mut draws = 0;
        let mut out = vec![0x5a; bytes];
        let filled = fill(|| { draws += 1; samples[draws % samples.len()] }, &mut out);
        prop_assert!(draws <= TRIES * (START_UP_SAMPLES + bytes.div_ceil(8)));
        if filled.is_err() {
            prop_assert_eq!(out, vec![0; bytes]);
        }
    }
}
