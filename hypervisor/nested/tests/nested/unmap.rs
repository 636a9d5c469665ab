//! Unmapping.

use godwit_frames::Order;
use godwit_nested::{Change, GUEST_FRAMES, OutOfTables, Rights};

use crate::fixture::{Fixture, HUGE, LARGE, on_both_formats};

const ALL: Rights = Rights::all();

on_both_formats! {
    fn empty_tables_go_back<F>() {
        let mut fixture = Fixture::<F>::new(Order::HUGE);
        fixture.map(HUGE - 1, HUGE - 1, HUGE + LARGE + 2, ALL).unwrap();
        let change = fixture.tables.unmap(&mut fixture.memory, HUGE - 1..HUGE).unwrap();
        assert_eq!(change, Change { frames: 1, flush: true });
        assert_eq!(fixture.tables.table_frames(), 4, "the two tables below the first GiB are gone");
        let change = fixture.tables.unmap(&mut fixture.memory, 0..u64::MAX).unwrap();
        assert_eq!(change, Change { frames: HUGE + LARGE + 1, flush: true });
        assert_eq!((fixture.layout(), fixture.tables.table_frames()), (vec![], 1));
        fixture.destroy();
    }

    fn what_was_not_mapped_needs_no_flush<F>() {
        let mut fixture = Fixture::<F>::new(Order::HUGE);
        fixture.map(LARGE, LARGE, LARGE, ALL).unwrap();
        let before = fixture.memory.tables().clone();
        for range in [0..LARGE, 2 * LARGE..HUGE, GUEST_FRAMES..u64::MAX, LARGE + 3..LARGE + 3] {
            assert_eq!(fixture.tables.unmap(&mut fixture.memory, range), Ok(Change::default()));
        }
        #[expect(clippy::reversed_empty_ranges, reason = "a caller's mistake must not unmap anything")]
        let backwards = 2 * LARGE..LARGE;
        assert_eq!(fixture.tables.unmap(&mut fixture.memory, backwards), Ok(Change::default()));
        assert_eq!(*fixture.memory.tables(), before);
        fixture.destroy();
    }

    fn a_leaf_is_split_where_it_is_cut<F>() {
        let mut fixture = Fixture::<F>::new(Order::HUGE);
        fixture.map(0, HUGE, HUGE, ALL).unwrap();
        fixture.touch(9, true).unwrap();
        // From inside the second 2 MiB to the start of the fourth.
        let change = fixture.tables.unmap(&mut fixture.memory, LARGE + 2..3 * LARGE).unwrap();
        assert_eq!(change, Change { frames: 2 * LARGE - 2, flush: true });
        assert_eq!(fixture.counts(), [2, 510, 0]);
        assert_eq!((fixture.touch(LARGE + 1, true), fixture.touch(LARGE + 2, true)), (Some(HUGE + LARGE + 1), None));
        assert_eq!((fixture.touch(3 * LARGE - 1, true), fixture.touch(3 * LARGE, true)), (None, Some(HUGE + 3 * LARGE)));
        assert!(fixture.leaves().iter().all(|leaf| leaf.accessed && leaf.dirty), "parts keep the marks of the whole");
        fixture.destroy();
    }

    fn a_hole_in_one_leaf_takes_one_table_per_level<F>() {
        let mut fixture = Fixture::<F>::new(Order::HUGE);
        fixture.map(0, 0, HUGE, ALL).unwrap();
        let allocated = fixture.memory.allocated;
        let change = fixture.tables.unmap(&mut fixture.memory, 5..6).unwrap();
        assert!(change.flush);
        assert_eq!(fixture.counts(), [511, 511, 0]);
        assert_eq!(fixture.memory.allocated - allocated, 2);
        fixture.destroy();
    }

    fn out_of_tables_nothing_is_unmapped<F>() {
        // Cut inside two different 2 MiB parts of one 1 GiB leaf: one table, and one for each.
        for left in 0..=3 {
            let mut fixture = Fixture::<F>::new(Order::HUGE);
            fixture.map(0, HUGE, HUGE, ALL).unwrap();
            let before = fixture.memory.tables().clone();
            fixture.memory.left = left;
            let result = fixture.tables.unmap(&mut fixture.memory, 1..LARGE + 1);
            if left == 3 {
                assert_eq!(result, Ok(Change { frames: LARGE, flush: true }));
            } else {
                assert_eq!(result, Err(OutOfTables));
                assert_eq!(*fixture.memory.tables(), before);
            }
            fixture.destroy();
        }
    }
}
