//! Splitting and merging.

use godwit_frames::Order;
use godwit_nested::{Change, GUEST_FRAMES, Mark, MergeError, OutOfTables, Rights, SplitError};

use crate::fixture::{Fixture, HUGE, LARGE, on_both_formats};

const ALL: Rights = Rights::all();

on_both_formats! {
    fn a_leaf_is_split_along_one_frame<F>() {
        let mut fixture = Fixture::<F>::new(Order::HUGE);
        fixture.map(0, HUGE, HUGE, Rights::WRITE).unwrap();
        fixture.touch(0, false).unwrap();
        let whole = Change { frames: HUGE, flush: true };
        assert_eq!(fixture.tables.split(&mut fixture.memory, 3 * LARGE + 7, Order::LARGE), Ok(whole));
        assert_eq!(fixture.counts(), [0, 512, 0]);
        let part = Change { frames: LARGE, flush: true };
        assert_eq!(fixture.tables.split(&mut fixture.memory, 3 * LARGE + 7, Order::FRAME), Ok(part));
        assert_eq!(fixture.counts(), [512, 511, 0]);
        let none = Change::default();
        assert_eq!(fixture.tables.split(&mut fixture.memory, 3 * LARGE + 8, Order::FRAME), Ok(none));
        assert_eq!(fixture.tables.split(&mut fixture.memory, 0, Order::HUGE), Ok(none));
        for leaf in fixture.leaves() {
            assert_eq!(leaf.host, leaf.guest_frame + HUGE);
            assert!(leaf.write && !leaf.execute && leaf.accessed && !leaf.dirty);
        }
        fixture.destroy();
    }

    fn a_split_takes_two_tables_or_none<F>() {
        for left in 0..=2 {
            let mut fixture = Fixture::<F>::new(Order::HUGE);
            fixture.map(0, 0, HUGE, ALL).unwrap();
            let before = fixture.memory.tables().clone();
            fixture.memory.left = left;
            let result = fixture.tables.split(&mut fixture.memory, 9, Order::FRAME);
            if left == 2 {
                assert_eq!(result, Ok(Change { frames: HUGE, flush: true }));
                assert_eq!(fixture.counts(), [512, 511, 0]);
            } else {
                assert_eq!(result, Err(SplitError::OutOfTables(OutOfTables)));
                assert_eq!(*fixture.memory.tables(), before);
            }
            fixture.destroy();
        }
    }

    fn what_is_not_mapped_is_not_split<F>() {
        let mut fixture = Fixture::<F>::new(Order::HUGE);
        fixture.map(LARGE, 0, 1, ALL).unwrap();
        for guest_frame in [0, LARGE + 1, GUEST_FRAMES, u64::MAX] {
            let expected = Err(SplitError::NotMapped { guest_frame });
            assert_eq!(fixture.tables.split(&mut fixture.memory, guest_frame, Order::FRAME), expected);
        }
        fixture.destroy();
    }

    fn a_merge_undoes_splits_and_joins_marks<F>() {
        let mut fixture = Fixture::<F>::new(Order::HUGE);
        fixture.map(HUGE, 3 * HUGE, HUGE, ALL).unwrap();
        let before = fixture.memory.tables().clone();
        for frame in [HUGE, HUGE + 9 * LARGE + 1] {
            assert!(fixture.tables.split(&mut fixture.memory, frame, Order::FRAME).unwrap().flush);
        }
        let change = fixture.tables.merge(&mut fixture.memory, HUGE + 77, Order::HUGE);
        assert_eq!(change, Ok(Change { frames: HUGE, flush: true }));
        assert_eq!(*fixture.memory.tables(), before);

        assert!(fixture.tables.split(&mut fixture.memory, HUGE, Order::FRAME).unwrap().flush);
        fixture.touch(HUGE + 4, false).unwrap();
        fixture.touch(HUGE + 5 * LARGE, true).unwrap();
        let change = fixture.tables.merge(&mut fixture.memory, HUGE + 1, Order::LARGE);
        assert_eq!(change, Ok(Change { frames: LARGE, flush: true }));
        let first = fixture.leaf(HUGE).unwrap();
        assert_eq!((first.order, first.accessed, first.dirty), (9, true, false));
        assert!(fixture.tables.merge(&mut fixture.memory, HUGE, Order::HUGE).unwrap().flush);
        let whole = fixture.leaf(HUGE).unwrap();
        assert_eq!((whole.order, whole.accessed, whole.dirty), (18, true, true));
        fixture.destroy();
    }

    fn a_leaf_that_is_as_large_stays<F>() {
        let mut fixture = Fixture::<F>::new(Order::HUGE);
        fixture.map(0, 0, HUGE, ALL).unwrap();
        for order in [Order::FRAME, Order::LARGE, Order::HUGE] {
            assert_eq!(fixture.tables.merge(&mut fixture.memory, 5, order), Ok(Change::default()));
        }
        assert_eq!(fixture.counts(), [0, 0, 1]);
        fixture.destroy();
    }

    fn a_merge_says_what_is_in_its_way<F>() {
        let mut fixture = Fixture::<F>::new(Order::LARGE);
        let order = Order::LARGE;
        // Complete, but the host frames begin off a 2 MiB boundary.
        fixture.map(0, 1, LARGE, ALL).unwrap();
        // A hole at frame 9.
        fixture.map(LARGE, LARGE, 9, ALL).unwrap();
        fixture.map(LARGE + 10, LARGE + 10, LARGE - 10, ALL).unwrap();
        // A jump at frame 5, backwards.
        fixture.map(2 * LARGE, 2 * LARGE, 5, ALL).unwrap();
        fixture.map(2 * LARGE + 5, 5, LARGE - 5, ALL).unwrap();
        // A jump at frame 6, forwards.
        fixture.map(5 * LARGE, 5 * LARGE, 6, ALL).unwrap();
        fixture.map(5 * LARGE + 6, 5 * LARGE + 7, LARGE - 6, ALL).unwrap();
        // Other rights from frame 7 on.
        fixture.map(3 * LARGE, 3 * LARGE, 7, ALL).unwrap();
        fixture.map(3 * LARGE + 7, 3 * LARGE + 7, LARGE - 7, Rights::WRITE).unwrap();
        let before = fixture.memory.tables().clone();
        for (guest_frame, expected) in [
            (0, MergeError::Misaligned { guest_frame: 0, order }),
            (LARGE + 3, MergeError::Incomplete { guest_frame: LARGE + 9 }),
            (2 * LARGE + 3, MergeError::Scattered { guest_frame: 2 * LARGE + 5 }),
            (5 * LARGE + 3, MergeError::Scattered { guest_frame: 5 * LARGE + 6 }),
            (3 * LARGE + 3, MergeError::MixedRights { guest_frame: 3 * LARGE + 7 }),
            (4 * LARGE + 3, MergeError::Incomplete { guest_frame: 4 * LARGE }),
            (7 * HUGE + 3, MergeError::Incomplete { guest_frame: 7 * HUGE }),
            (GUEST_FRAMES, MergeError::Incomplete { guest_frame: GUEST_FRAMES }),
        ] {
            assert_eq!(fixture.tables.merge(&mut fixture.memory, guest_frame, order), Err(expected));
        }
        for order in [Order::HUGE, Order::new(5).unwrap()] {
            let expected = Err(MergeError::NoSuchLeaf { order });
            assert_eq!(fixture.tables.merge(&mut fixture.memory, 0, order), expected);
        }
        assert_eq!(*fixture.memory.tables(), before);
        fixture.destroy();
    }

    fn a_cancelled_tracking_merges_back_to_the_same_leaves<F>() {
        let mut fixture = Fixture::<F>::new(Order::HUGE);
        let ram = 5..HUGE * 2 + 3 * LARGE + 2;
        fixture.map(ram.start, HUGE + ram.start, ram.end - ram.start, ALL).unwrap();
        let (layout, histogram, tables) = (fixture.layout(), fixture.tables.histogram(), fixture.tables.table_frames());
        // Write tracking: protect in place, split what is written, give that the right back, harvest.
        assert!(fixture.tables.protect(&mut fixture.memory, ram.clone(), Rights::EXECUTE).unwrap().flush);
        for frame in [5, HUGE + 9, HUGE + 400 * LARGE, 2 * HUGE, ram.end - 1] {
            assert!(fixture.touch(frame, true).is_none(), "the first write faults");
            let _ = fixture.tables.split(&mut fixture.memory, frame, Order::FRAME).unwrap();
            let block = frame / LARGE * LARGE;
            let change = fixture.tables.protect(&mut fixture.memory, block..block + LARGE, ALL).unwrap();
            assert!(!change.flush);
            fixture.touch(frame, true).unwrap();
        }
        let mut written = Vec::new();
        let change = fixture.tables.harvest(&mut fixture.memory, ram.clone(), Mark::Dirty, |frame, order| written.push((frame, order)));
        assert!(change.flush);
        let expected = [5, HUGE + 9, HUGE + 400 * LARGE, 2 * HUGE, ram.end - 1];
        assert_eq!(written, expected.map(|frame| (frame, Order::FRAME)));
        let _ = fixture.tables.protect(&mut fixture.memory, ram.clone(), ALL).unwrap();
        let change = fixture.tables.merge_range(&mut fixture.memory, ram.clone());
        assert_eq!(change, Change { frames: HUGE + LARGE, flush: true });
        assert_eq!((fixture.layout(), fixture.tables.histogram(), fixture.tables.table_frames()), (layout, histogram, tables));
        assert_eq!(fixture.tables.merge_range(&mut fixture.memory, ram), Change::default());
        fixture.destroy();
    }

    fn a_range_bounds_what_is_merged<F>() {
        let mut fixture = Fixture::<F>::new(Order::HUGE);
        fixture.map(0, 0, 3 * LARGE, ALL).unwrap();
        for block in 0..3 {
            assert!(fixture.tables.split(&mut fixture.memory, block * LARGE, Order::FRAME).unwrap().flush);
        }
        let change = fixture.tables.merge_range(&mut fixture.memory, 1..3 * LARGE - 1);
        assert_eq!(change, Change { frames: LARGE, flush: true });
        assert_eq!((fixture.counts(), fixture.leaf(LARGE).unwrap().order), ([1024, 1, 0], 9));
        fixture.destroy();
    }
}
