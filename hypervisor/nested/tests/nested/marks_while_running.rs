//! A processor uses the tables between any two accesses of an operation: no mark is lost, and no access goes astray.

use std::cell::RefCell;
use std::rc::Rc;

use godwit_frames::Order;
use godwit_nested::{Mark, Rights};

use crate::fixture::{Fixture, HUGE, LARGE, on_both_formats};
use crate::walker::{Walked, touch};

const ALL: Rights = Rights::all();
const READ_ONLY: Rights = Rights::EXECUTE;
/// Where the guest's frame 0 lies in host memory.
const HOST: u64 = 4 * HUGE;

/// Frames that an operation reported as written.
type Reported = Vec<std::ops::Range<u64>>;

/// Lets the guest write to `frame` before each access of `act` in turn, on fresh tables each time. Whether it could, it wrote to
/// the right frame, and the mark is in the tables or in the report afterwards. Answers before how many accesses it faulted.
fn write_at_each_access<F: Walked>(
    prepare: impl Fn(&mut Fixture<F>),
    act: impl Fn(&mut Fixture<F>, &mut Reported),
    frame: u64,
) -> usize {
    let mut faults = 0;
    for moment in 0.. {
        let mut fixture = Fixture::<F>::new(Order::HUGE);
        prepare(&mut fixture);
        let root = fixture.tables.root().number();
        let written = Rc::new(RefCell::new(None));
        let seen = Rc::clone(&written);
        fixture.memory.meanwhile(move |access, tables| {
            if access == moment {
                *seen.borrow_mut() = Some(touch(F::VENDOR, tables, root, frame, true));
            }
        });
        let mut reported = Reported::new();
        act(&mut fixture, &mut reported);
        let accesses = fixture.memory.alone_again();
        match written.take() {
            None => {
                assert_eq!(moment, accesses, "every access had its turn");
                fixture.destroy();
                break;
            }
            Some(None) => faults += 1,
            Some(Some(host)) => {
                assert_eq!(host, HOST + frame);
                let marked = fixture.leaf(frame).is_none_or(|leaf| leaf.dirty);
                let named = reported.iter().any(|range| range.contains(&frame));
                assert!(marked || named, "the write before access {moment} of {accesses} is lost");
            }
        }
    }
    faults
}

fn map<F: Walked>(fixture: &mut Fixture<F>, frames: u64, rights: Rights) {
    fixture.map(0, HOST, frames, rights).unwrap();
}

on_both_formats! {
    fn taking_the_write_right<F>() {
        let protect = |fixture: &mut Fixture<F>, _: &mut Reported| {
            assert!(fixture.tables.protect(&mut fixture.memory, 0..LARGE, READ_ONLY).unwrap().flush);
        };
        write_at_each_access::<F>(|fixture| map(fixture, LARGE, ALL), protect, 3);
        // With a leaf that has to be split first.
        let protect = |fixture: &mut Fixture<F>, _: &mut Reported| {
            assert!(fixture.tables.protect(&mut fixture.memory, 0..2, READ_ONLY).unwrap().flush);
        };
        for frame in [0, 1, 2, LARGE - 1] {
            write_at_each_access::<F>(|fixture| map(fixture, LARGE, ALL), protect, frame);
        }
    }

    fn other_rights_that_leave_writing_alone<F>() {
        for (from, to) in [(ALL, Rights::WRITE), (Rights::WRITE, ALL)] {
            let protect = |fixture: &mut Fixture<F>, _: &mut Reported| {
                let change = fixture.tables.protect(&mut fixture.memory, 0..LARGE, to).unwrap();
                assert_eq!((change.frames, change.flush), (LARGE, from == ALL));
            };
            let faults = write_at_each_access::<F>(|fixture| map(fixture, LARGE, from), protect, 3);
            // Where bits have to be set, the leaf is absent between being taken and being put: one access.
            assert!(faults <= 1);
        }
    }

    fn splitting<F>() {
        let split = |fixture: &mut Fixture<F>, _: &mut Reported| {
            assert!(fixture.tables.split(&mut fixture.memory, LARGE + 7, Order::FRAME).unwrap().flush);
        };
        for frame in [0, LARGE + 7, HUGE - 1] {
            write_at_each_access::<F>(|fixture| map(fixture, HUGE, ALL), split, frame);
        }
    }

    fn harvesting<F>() {
        let prepare = |fixture: &mut Fixture<F>| {
            map(fixture, LARGE + 2, ALL);
            fixture.touch(LARGE + 1, true).unwrap();
        };
        let harvest = |fixture: &mut Fixture<F>, reported: &mut Reported| {
            let _ = fixture.tables.harvest(&mut fixture.memory, 0..HUGE, Mark::Dirty, |frame, order| {
                reported.push(frame..frame + order.frames());
            });
        };
        for frame in [0, LARGE, LARGE + 1] {
            assert_eq!(write_at_each_access::<F>(prepare, harvest, frame), 0, "harvesting never gets in the way");
        }
    }

    fn harvesting_one_mark_leaves_the_other<F>() {
        let prepare = |fixture: &mut Fixture<F>| {
            map(fixture, LARGE, ALL);
            fixture.touch(5, false).unwrap();
        };
        let harvest = |fixture: &mut Fixture<F>, _: &mut Reported| {
            let change = fixture.tables.harvest(&mut fixture.memory, 0..HUGE, Mark::Accessed, |_, _| {});
            assert!(change.flush);
        };
        assert_eq!(write_at_each_access::<F>(prepare, harvest, 3), 0);
    }

    fn unmapping_around_a_frame<F>() {
        let unmap = |fixture: &mut Fixture<F>, _: &mut Reported| {
            assert!(fixture.tables.unmap(&mut fixture.memory, 1..2).unwrap().flush);
        };
        for frame in [0, 1, 2, LARGE] {
            write_at_each_access::<F>(|fixture| map(fixture, LARGE + 1, ALL), unmap, frame);
        }
    }

    fn merging_as_a_processor_sees_it_that_remembers_nothing<F>() {
        let prepare = |fixture: &mut Fixture<F>| {
            map(fixture, LARGE, ALL);
            assert!(fixture.tables.split(&mut fixture.memory, 0, Order::FRAME).unwrap().flush);
        };
        let merge = |fixture: &mut Fixture<F>, _: &mut Reported| {
            assert!(fixture.tables.merge(&mut fixture.memory, 0, Order::LARGE).unwrap().flush);
        };
        for frame in [0, 300] {
            write_at_each_access::<F>(prepare, merge, frame);
        }
    }

    fn write_protection_never_stops_a_reader<F>() {
        let mut fixture = Fixture::<F>::new(Order::HUGE);
        map(&mut fixture, HUGE + LARGE + 1, ALL);
        let root = fixture.tables.root().number();
        fixture.memory.meanwhile(move |_, tables| {
            for frame in [0, HUGE, HUGE + LARGE] {
                assert_eq!(touch(F::VENDOR, tables, root, frame, false), Some(HOST + frame));
            }
        });
        assert!(fixture.tables.protect(&mut fixture.memory, 0..u64::MAX, READ_ONLY).unwrap().flush);
        assert_ne!(fixture.memory.alone_again(), 0);
        fixture.destroy();
    }
}
