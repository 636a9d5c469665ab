//! Entries bit by bit, against numbers written down from the manuals.

use godwit_frames::{HostFrame, Order};
use godwit_nested::{Format, Mark, NestedTables, Rights, TableMemory};

use crate::fixture::{Fixture, LARGE};
use crate::walker::Walked;

/// Maps one leaf, and answers its entry and the one that names its table.
fn entries<F: Walked>(order: Order, rights: Rights) -> [u64; 2] {
    let mut fixture = Fixture::<F>::new(order);
    fixture.map(order.frames(), 0x80_0000, order.frames(), rights).unwrap();
    let mut tables = [fixture.tables.root(); 4];
    let depth = 3 - usize::from(order.get() / 9);
    let mut entries = [0; 4];
    for step in 0..=depth {
        // The path is index 0 all the way down but for the last entry.
        entries[step] = fixture.memory.load(tables[step], usize::from(step == depth));
        if step < depth {
            tables[step + 1] = HostFrame::containing(entries[step] & 0xf_ffff_ffff_f000);
        }
    }
    [entries[depth], entries[depth - 1] & 0xfff0_0000_0000_0fff]
}

#[test]
fn npt() {
    use godwit_nested::Npt;
    // P, RW, US; the address 0x8_0000_0000; PS in large leaves; NX unless instructions may be fetched.
    assert_eq!(entries::<Npt>(Order::FRAME, Rights::all()), [0x8_0000_0007, 7]);
    assert_eq!(entries::<Npt>(Order::LARGE, Rights::all()), [0x8_0000_0087, 7]);
    assert_eq!(entries::<Npt>(Order::HUGE, Rights::EXECUTE), [0x8_0000_0085, 7]);
    assert_eq!(entries::<Npt>(Order::HUGE, Rights::WRITE), [0x8000_0008_0000_0087, 7]);
    assert_eq!(entries::<Npt>(Order::FRAME, Rights::empty()), [0x8000_0008_0000_0005, 7]);
    assert_eq!((Npt::ACCESSED, Npt::DIRTY), (0x20, 0x40));
}

#[test]
fn ept() {
    use godwit_nested::Ept;
    // R, W, X; memory type 6 in bits 5:3 of leaves.
    assert_eq!(entries::<Ept>(Order::FRAME, Rights::all()), [0x8_0000_0037, 7]);
    assert_eq!(entries::<Ept>(Order::LARGE, Rights::all()), [0x8_0000_00b7, 7]);
    assert_eq!(entries::<Ept>(Order::HUGE, Rights::EXECUTE), [0x8_0000_00b5, 7]);
    assert_eq!(entries::<Ept>(Order::HUGE, Rights::WRITE), [0x8_0000_00b3, 7]);
    assert_eq!(entries::<Ept>(Order::FRAME, Rights::empty()), [0x8_0000_0031, 7]);
    assert_eq!((Ept::ACCESSED, Ept::DIRTY), (0x100, 0x200));
}

crate::fixture::on_both_formats! {
    fn a_leaf_is_looked_up_as_it_stands<F>() {
        let mut fixture = Fixture::<F>::new(Order::HUGE);
        fixture.map(5 * LARGE, 9 * LARGE, LARGE + 1, Rights::WRITE).unwrap();
        fixture.touch(5 * LARGE + 3, true).unwrap();

        let leaf = fixture.tables.lookup(&fixture.memory, 5 * LARGE + 77).unwrap();
        assert_eq!((leaf.guest_frame, leaf.host, leaf.order), (5 * LARGE, HostFrame::new(9 * LARGE), Order::LARGE));
        assert_eq!((leaf.rights, leaf.accessed, leaf.dirty), (Rights::WRITE, true, true));
        assert_eq!(leaf.translate(5 * LARGE + 77), Some(HostFrame::new(9 * LARGE + 77)));
        assert_eq!((leaf.translate(5 * LARGE - 1), leaf.translate(6 * LARGE)), (None, None));

        let last = fixture.tables.lookup(&fixture.memory, 6 * LARGE).unwrap();
        assert_eq!((last.order, last.accessed, last.dirty), (Order::FRAME, false, false));
        for absent in [0, 5 * LARGE - 1, 6 * LARGE + 1, 1 << 36, u64::MAX] {
            assert_eq!(fixture.tables.lookup(&fixture.memory, absent), None, "{absent:#x}");
        }
        fixture.destroy();
    }

    fn marks_of_tables_are_not_those_of_leaves<F>() {
        let mut fixture = Fixture::<F>::new(Order::FRAME);
        fixture.map(0, 0, 2, Rights::all()).unwrap();
        fixture.touch(0, true).unwrap();
        let marks = |fixture: &Fixture<F>, frame| {
            fixture.tables.lookup(&fixture.memory, frame).map(|leaf| (leaf.accessed, leaf.dirty))
        };
        assert_eq!((marks(&fixture, 0), marks(&fixture, 1)), (Some((true, true)), Some((false, false))));
        let change = fixture.tables.harvest(&mut fixture.memory, 1..2, Mark::Accessed, |_, _| panic!("frame 1 was not used"));
        assert!(!change.flush);
        fixture.destroy();
    }

    fn no_root_without_memory<F>() {
        let mut memory = crate::memory::Memory::new();
        memory.left = 0;
        assert!(NestedTables::<F>::new(&mut memory, Order::HUGE).is_err());
    }
}
