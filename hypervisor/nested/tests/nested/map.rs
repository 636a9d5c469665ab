//! Mapping: the largest leaves, or nothing.

use godwit_frames::{HostFrame, Order};
use godwit_nested::{GUEST_FRAMES, HOST_FRAMES, MapError, OutOfTables, Rights};

use crate::fixture::{Fixture, HUGE, LARGE, on_both_formats};

const ALL: Rights = Rights::all();

on_both_formats! {
    fn leaves_are_the_largest_that_fit<F>() {
        let mut fixture = Fixture::<F>::new(Order::HUGE);
        // One frame below 1 GiB, 1 GiB, two leaves of 2 MiB and three frames.
        fixture.map(HUGE - 1, 5 * HUGE - 1, 1 + HUGE + 2 * LARGE + 3, ALL).unwrap();
        let behind = 2 * HUGE + 2 * LARGE;
        assert_eq!(fixture.layout(), [
            (HUGE - 1, 5 * HUGE - 1, 0),
            (HUGE, 5 * HUGE, 18),
            (2 * HUGE, 6 * HUGE, 9),
            (2 * HUGE + LARGE, 6 * HUGE + LARGE, 9),
            (behind, behind + 4 * HUGE, 0),
            (behind + 1, behind + 4 * HUGE + 1, 0),
            (behind + 2, behind + 4 * HUGE + 2, 0),
        ]);
        // Root; one third-level table; second-level ones below 1 GiB and above 2 GiB; a last one below each.
        assert_eq!(fixture.tables.table_frames(), 6);
        fixture.destroy();
    }

    fn host_alignment_counts_as_much_as_the_guests<F>() {
        let mut fixture = Fixture::<F>::new(Order::HUGE);
        fixture.map(0, LARGE, HUGE, ALL).unwrap();
        fixture.map(HUGE, 3, LARGE, ALL).unwrap();
        assert_eq!(fixture.counts(), [512, 512, 0]);
        fixture.destroy();
    }

    fn no_leaf_is_larger_than_the_limit<F>() {
        for (largest, expected) in [(18, [0, 0, 1]), (17, [0, 512, 0]), (9, [0, 512, 0]), (0, [512 * 512, 0, 0])] {
            let mut fixture = Fixture::<F>::new(Order::new(largest).unwrap());
            fixture.map(0, 0, HUGE, ALL).unwrap();
            assert_eq!(fixture.counts(), expected, "order {largest}");
            fixture.destroy();
        }
    }

    fn a_range_may_cross_every_boundary<F>() {
        let mut fixture = Fixture::<F>::new(Order::HUGE);
        let root_entry = 512 * HUGE;
        fixture.map(root_entry - 2, root_entry - 2, 4, ALL).unwrap();
        fixture.map(GUEST_FRAMES - 1, HOST_FRAMES - 1, 1, ALL).unwrap();
        assert_eq!(fixture.counts(), [5, 0, 0]);
        assert_eq!(fixture.touch(root_entry + 1, true), Some(root_entry + 1));
        assert_eq!(fixture.touch(GUEST_FRAMES - 1, true), Some(HOST_FRAMES - 1));
        fixture.destroy();
    }

    fn nothing_is_mapped_twice<F>() {
        let mut fixture = Fixture::<F>::new(Order::HUGE);
        fixture.map(LARGE, LARGE, LARGE, ALL).unwrap();
        let before = fixture.memory.tables().clone();
        for (start, frames, at) in [(0, HUGE, LARGE), (LARGE + 3, 1, LARGE + 3), (2 * LARGE - 1, 2, 2 * LARGE - 1)] {
            let expected = MapError::AlreadyMapped { guest_frame: at };
            assert_eq!(fixture.map(start, 0, frames, ALL), Err(expected));
        }
        assert_eq!(*fixture.memory.tables(), before);
        fixture.map(LARGE - 1, 0, 1, ALL).unwrap();
        fixture.map(2 * LARGE, 0, 1, ALL).unwrap();
        fixture.destroy();
    }

    fn beyond_the_width_nothing_is_mapped<F>() {
        let mut fixture = Fixture::<F>::new(Order::HUGE);
        for (start, frames) in [(GUEST_FRAMES, 1), (GUEST_FRAMES - 1, 2), (u64::MAX, 1), (1, u64::MAX), (u64::MAX, 0)] {
            let expected = MapError::BeyondGuest { guest_frame: start, frames };
            assert_eq!(fixture.map(start, 0, frames, ALL), Err(expected));
        }
        for (start, frames) in [(HOST_FRAMES, 1), (HOST_FRAMES - 1, 2), (u64::MAX, 1)] {
            let expected = MapError::BeyondHost { host_frame: start, frames };
            assert_eq!(fixture.map(0, start, frames, ALL), Err(expected));
        }
        assert_eq!(fixture.layout(), []);
        fixture.destroy();
    }

    fn no_frames_are_mapped_by_nothing<F>() {
        let mut fixture = Fixture::<F>::new(Order::HUGE);
        fixture.map(77, 5, 0, ALL).unwrap();
        assert_eq!((fixture.layout(), fixture.tables.table_frames()), (vec![], 1));
        fixture.destroy();
    }

    fn out_of_tables_nothing_was_mapped_at_any_time<F>() {
        // Two frames around 1 GiB: a third-level table, and two tables on each side.
        for left in 0..=5 {
            let mut fixture = Fixture::<F>::new(Order::HUGE);
            fixture.memory.left = left;
            let root = fixture.tables.root().number();
            fixture.memory.meanwhile(move |_, tables| {
                for frame in [HUGE - 1, HUGE] {
                    let seen = crate::walker::touch(F::VENDOR, tables, root, frame, false);
                    assert!(seen.is_none() || left == 5, "frame {frame:#x} was mapped with {left} tables");
                }
            });
            let result = fixture.map(HUGE - 1, HUGE - 1, 2, ALL);
            fixture.memory.alone_again();
            if left == 5 {
                assert_eq!(result, Ok(()));
                assert_eq!(fixture.tables.table_frames(), 6);
            } else {
                assert_eq!(result, Err(MapError::OutOfTables(OutOfTables)));
                assert_eq!(fixture.tables.table_frames(), 1);
                assert_eq!(fixture.layout(), []);
            }
            fixture.destroy();
        }
    }

    fn a_failed_mapping_leaves_its_neighbours<F>() {
        let mut fixture = Fixture::<F>::new(Order::HUGE);
        fixture.map(HUGE - 2, 0, 1, ALL).unwrap();
        let before = fixture.memory.tables().clone();
        fixture.memory.left = 1;
        assert_eq!(fixture.map(HUGE - 1, 1, 2, ALL), Err(MapError::OutOfTables(OutOfTables)));
        assert_eq!(*fixture.memory.tables(), before);
        assert_eq!(fixture.tables.lookup(&fixture.memory, HUGE - 2).map(|leaf| leaf.host), Some(HostFrame::new(0)));
        fixture.destroy();
    }
}

#[test]
fn errors_say_what_is_wrong() {
    let error = MapError::AlreadyMapped { guest_frame: 0x1234 };
    assert_eq!(error.to_string(), "guest frame 0x1234 is mapped already");
    assert_eq!(MapError::from(OutOfTables).to_string(), "no memory is left for a nested page table");
}
