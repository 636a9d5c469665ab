//! Rights.

use godwit_frames::Order;
use godwit_nested::{Change, OutOfTables, Rights};

use crate::fixture::{Fixture, HUGE, LARGE, on_both_formats};

const ALL: Rights = Rights::all();
const READ_ONLY: Rights = Rights::EXECUTE;

on_both_formats! {
    fn large_leaves_are_protected_in_place<F>() {
        let mut fixture = Fixture::<F>::new(Order::HUGE);
        fixture.map(0, 0, HUGE + LARGE + 1, ALL).unwrap();
        fixture.touch(3, true).unwrap();
        let allocated = fixture.memory.allocated;
        let change = fixture.tables.protect(&mut fixture.memory, 0..u64::MAX, READ_ONLY).unwrap();
        assert_eq!(change, Change { frames: HUGE + LARGE + 1, flush: true });
        assert_eq!((fixture.counts(), fixture.memory.allocated), ([1, 1, 1], allocated));
        assert_eq!((fixture.touch(4, true), fixture.touch(4, false)), (None, Some(4)));
        let huge = fixture.leaf(0).unwrap();
        assert!(huge.accessed && huge.dirty && huge.execute && !huge.write);
        fixture.destroy();
    }

    fn only_a_right_that_is_taken_needs_a_flush<F>() {
        let mut fixture = Fixture::<F>::new(Order::HUGE);
        fixture.map(0, 0, LARGE, Rights::empty()).unwrap();
        let all = [Rights::empty(), Rights::WRITE, Rights::EXECUTE, ALL];
        for (from, to) in all.iter().flat_map(|from| all.map(|to| (*from, to))) {
            let _ = fixture.tables.protect(&mut fixture.memory, 0..LARGE, from).unwrap();
            let change = fixture.tables.protect(&mut fixture.memory, 0..LARGE, to).unwrap();
            assert_eq!(change.frames, if from == to { 0 } else { LARGE }, "{from:?} to {to:?}");
            assert_eq!(change.flush, !(from - to).is_empty(), "{from:?} to {to:?}");
            let leaf = fixture.leaf(0).unwrap();
            assert_eq!((leaf.write, leaf.execute), (to.contains(Rights::WRITE), to.contains(Rights::EXECUTE)));
        }
        fixture.destroy();
    }

    fn only_cut_leaves_with_other_rights_are_split<F>() {
        let mut fixture = Fixture::<F>::new(Order::HUGE);
        fixture.map(0, 0, LARGE, READ_ONLY).unwrap();
        fixture.map(LARGE, LARGE, LARGE, ALL).unwrap();
        fixture.map(2 * LARGE, 2 * LARGE, LARGE, ALL).unwrap();
        // Begins in a leaf that is read-only already, takes one whole, and ends in the third.
        let change = fixture.tables.protect(&mut fixture.memory, 7..2 * LARGE + 7, READ_ONLY).unwrap();
        assert_eq!(change, Change { frames: LARGE + 7, flush: true });
        assert_eq!(fixture.counts(), [512, 2, 0]);
        assert_eq!((fixture.touch(2 * LARGE + 6, true), fixture.touch(2 * LARGE + 7, true)), (None, Some(2 * LARGE + 7)));
        fixture.destroy();
    }

    fn holes_are_passed_over<F>() {
        let mut fixture = Fixture::<F>::new(Order::HUGE);
        fixture.map(1, 1, 1, ALL).unwrap();
        fixture.map(3 * HUGE, 0, 1, ALL).unwrap();
        let change = fixture.tables.protect(&mut fixture.memory, 0..3 * HUGE + 9, READ_ONLY).unwrap();
        assert_eq!(change, Change { frames: 2, flush: true });
        assert_eq!(fixture.tables.protect(&mut fixture.memory, 8..8, ALL), Ok(Change::default()));
        fixture.destroy();
    }

    fn out_of_tables_nothing_is_protected<F>() {
        for left in 0..=3 {
            let mut fixture = Fixture::<F>::new(Order::HUGE);
            fixture.map(0, 0, 2 * HUGE, ALL).unwrap();
            let before = fixture.memory.tables().clone();
            fixture.memory.left = left;
            // The first leaf is cut at 2 MiB, the second inside a frame's reach: one table and two.
            let result = fixture.tables.protect(&mut fixture.memory, LARGE..HUGE + 1, READ_ONLY);
            if left == 3 {
                assert_eq!(result, Ok(Change { frames: HUGE - LARGE + 1, flush: true }));
                assert_eq!(fixture.counts(), [512, 1023, 0]);
            } else {
                assert_eq!(result, Err(OutOfTables));
                assert_eq!(*fixture.memory.tables(), before);
            }
            fixture.destroy();
        }
    }
}
