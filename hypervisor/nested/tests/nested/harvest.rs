//! Marks, leaves and histograms of ranges.

use godwit_frames::{FRAME_BYTES, HostFrame, Order};
use godwit_nested::{Change, Mark, OrderHistogram, Rights, Tally};

use crate::fixture::{Fixture, HUGE, LARGE, on_both_formats};

on_both_formats! {
    fn marks_are_named_once<F>() {
        let mut fixture = Fixture::<F>::new(Order::HUGE);
        fixture.map(0, 0, HUGE + LARGE + 2, Rights::all()).unwrap();
        for (frame, write) in [(9, true), (HUGE + 4, false), (HUGE + LARGE + 1, true)] {
            fixture.touch(frame, write).unwrap();
        }
        let mut harvest = |range, mark| {
            let mut found = Vec::new();
            let change = fixture.tables.harvest(&mut fixture.memory, range, mark, |frame, order| found.push((frame, order)));
            (found, change)
        };
        let (huge, large, last) = ((0, Order::HUGE), (HUGE, Order::LARGE), (HUGE + LARGE + 1, Order::FRAME));
        let dirty = harvest(0..u64::MAX, Mark::Dirty);
        assert_eq!(dirty, (vec![huge, last], Change { frames: HUGE + 1, flush: true }));
        assert_eq!(harvest(0..u64::MAX, Mark::Dirty), (vec![], Change::default()));
        // The other mark stood all the while; a leaf that is cut is named whole.
        let accessed = harvest(5..HUGE + 1, Mark::Accessed);
        assert_eq!(accessed, (vec![huge, large], Change { frames: HUGE + LARGE, flush: true }));
        assert_eq!(harvest(0..u64::MAX, Mark::Accessed).0, [last]);
        // And what is written again is marked again.
        fixture.touch(10, true).unwrap();
        assert_eq!(fixture.tables.lookup(&fixture.memory, 0).map(|leaf| (leaf.accessed, leaf.dirty)), Some((true, true)));
        fixture.destroy();
    }

    fn leaves_of_a_range_are_whole_and_in_order<F>() {
        let mut fixture = Fixture::<F>::new(Order::HUGE);
        fixture.map(LARGE, LARGE, 2 * LARGE, Rights::all()).unwrap();
        fixture.map(512 * HUGE, 7, 2, Rights::WRITE).unwrap();
        let leaves = |range| -> Vec<_> {
            let leaves = fixture.tables.leaves(&fixture.memory, range);
            leaves.map(|leaf| (leaf.guest_frame, leaf.host, leaf.order)).collect()
        };
        let second = (2 * LARGE, HostFrame::new(2 * LARGE), Order::LARGE);
        let (third, fourth) = (512 * HUGE, 512 * HUGE + 1);
        let third = (third, HostFrame::new(7), Order::FRAME);
        assert_eq!(leaves(3 * LARGE - 1..fourth), [second, third]);
        assert_eq!(leaves(0..u64::MAX).len(), 4);
        assert_eq!(leaves(fourth + 1..u64::MAX), []);
        fixture.destroy();
    }

    fn a_histogram_counts_leaves_and_the_bytes_of_the_range<F>() {
        let mut fixture = Fixture::<F>::new(Order::HUGE);
        fixture.map(0, 0, HUGE + 2 * LARGE + 3, Rights::all()).unwrap();
        let whole = OrderHistogram {
            frame: Tally { leaves: 3, bytes: 3 * FRAME_BYTES },
            large: Tally { leaves: 2, bytes: 4 << 20 },
            huge: Tally { leaves: 1, bytes: 1 << 30 },
        };
        assert_eq!(fixture.tables.histogram(), whole);
        assert_eq!(fixture.tables.histogram_of(&fixture.memory, 0..u64::MAX), whole);
        assert_eq!(whole.bytes(), (HUGE + 2 * LARGE + 3) * FRAME_BYTES);
        let part = fixture.tables.histogram_of(&fixture.memory, HUGE - 1..HUGE + LARGE + 2);
        assert_eq!(part, OrderHistogram {
            frame: Tally::default(),
            large: Tally { leaves: 2, bytes: (2 << 20) + 2 * FRAME_BYTES },
            huge: Tally { leaves: 1, bytes: FRAME_BYTES },
        });
        fixture.destroy();
    }
}
