//! Messages from CPU to CPU (SDM vol. 3, 11.6.1 and 11.12.9), and whom they reach.

use godwit_guest::{MAX_VCPUS, VcpuSet};

use crate::guest::{
    APIC_BASE, DESTINATION_FORMAT, Guest, LOGICAL_DESTINATION, SPURIOUS, TASK_PRIORITY, cpu, set,
};

#[test]
fn every_destination_of_xapic_mode_reaches_whom_it_names() {
    for (from, high, low, takers) in [
        (0, 0x0200_0000, 0x00_40a1, &[2usize][..]),
        (3, 0x0000_0000, 0x00_40a1, &[0]),
        (1, 0x0100_0000, 0x00_40a1, &[1]),
        (0, 0xff00_0000, 0x00_40a1, &[0, 1, 2, 3]),
        (0, 0x0400_0000, 0x00_40a1, &[]),
        (0, 0x0a00_0000, 0x00_48a1, &[1, 3]),
        (0, 0xff00_0000, 0x00_48a1, &[0, 1, 2, 3]),
        (0, 0xf000_0000, 0x00_48a1, &[]),
        (2, 0x0100_0000, 0x04_40a1, &[2]),
        (2, 0x0100_0000, 0x08_40a1, &[0, 1, 2, 3]),
        (2, 0x0100_0000, 0x0c_40a1, &[0, 1, 3]),
    ] {
        let mut guest = Guest::new(4);
        guest.send(from, high, low);
        assert_eq!(guest.board.take_attention(), set(takers), "{high:#x} {low:#x}");
        assert_eq!(guest.takers(0xa1), takers, "{high:#x} {low:#x}");
        assert_eq!(guest.board.take_attention(), VcpuSet::EMPTY);
    }
}

#[test]
fn every_destination_of_x2apic_mode_reaches_whom_it_names() {
    for (from, command, takers) in [
        (0, 0x0000_0002_0000_40a1u64, &[2usize][..]),
        (0, 0xffff_ffff_0000_40a1, &[0, 1, 2, 3]),
        (0, 0x0000_00ff_0000_40a1, &[]),
        (0, 0x0000_000a_0000_48a1, &[1, 3]),
        (0, 0x0001_000f_0000_48a1, &[]),
        (0, 0xffff_ffff_0000_48a1, &[0, 1, 2, 3]),
        (3, 0x0000_0000_0004_40a1, &[3]),
        (3, 0x0000_0000_0008_40a1, &[0, 1, 2, 3]),
        (3, 0x0000_0000_000c_40a1, &[0, 1, 2]),
    ] {
        let mut guest = Guest::x2apic(4);
        assert!(guest.write_msr(from, 0x830, command));
        assert_eq!(guest.takers(0xa1), takers, "{command:#x}");
        assert_eq!(guest.read_msr(from, 0x830), Some(command), "it reads back");
    }
}

/// Sixteen CPUs are one cluster of x2APIC mode, and four of xAPIC mode.
#[test]
fn clusters_reach_every_cpu_of_a_large_guest() {
    let mut guest = Guest::x2apic(16);
    for index in 0..MAX_VCPUS {
        assert_eq!(guest.read_msr(index, 0x802), Some(index as u64), "the id");
        assert_eq!(guest.read_msr(index, 0x80d), Some(1 << index), "the logical id");
        assert!(guest.write_msr(0, 0x830, 1 << (32 + index) | 0x8a1));
        assert_eq!(guest.takers(0xa1), [index]);
    }
    assert!(guest.write_msr(0, 0x830, 0x8001_0000_08a1));
    assert_eq!(guest.takers(0xa1), [0, 15]);

    let mut guest = Guest::new(16);
    for index in 0..MAX_VCPUS {
        guest.store(index, DESTINATION_FORMAT, 0x0fff_ffff);
        guest.store(index, LOGICAL_DESTINATION, (((index as u64) / 4) << 4 | 1 << (index % 4)) << 24);
    }
    guest.send(5, 0x2900_0000, 0x8a1);
    assert_eq!(guest.takers(0xa1), [8, 11], "cluster 2, its first and last");
    guest.send(5, 0xff00_0000, 0x8a1);
    assert_eq!(guest.takers(0xa1).len(), MAX_VCPUS);
}

#[test]
fn lowest_priority_goes_to_the_cpu_that_is_least_busy_and_round_among_equals() {
    for (mut guest, x2apic) in [(Guest::new(4), false), (Guest::x2apic(4), true)] {
        let send = |guest: &mut Guest| {
            if x2apic {
                assert!(guest.write_msr(0, 0x830, 0x0000_000f_0000_09a1));
            } else {
                guest.send(0, 0x0f00_0000, 0x0000_09a1);
            }
            guest.takers(0xa1)
        };
        let round: Vec<_> = (0..6).flat_map(|_| send(&mut guest)).collect();
        assert_eq!(round, [0, 1, 2, 3, 0, 1], "each takes one");
        for (index, priority) in [(0, 5), (1, 3), (2, 3), (3, 4)] {
            guest.board.set_task_priority(cpu(index), priority);
        }
        assert_eq!([send(&mut guest), send(&mut guest), send(&mut guest)].concat(), [2, 1, 2]);
        guest.board.set_task_priority(cpu(0), 0);
        assert_eq!([send(&mut guest), send(&mut guest)].concat(), [0, 0], "the least busy one every time");
    }
}

#[test]
fn lowest_priority_chooses_among_those_that_are_addressed_and_take_vectors() {
    let mut guest = Guest::new(4);
    guest.board.set_task_priority(cpu(2), 9);
    guest.send(0, 0x0c00_0000, 0x9a1);
    assert_eq!(guest.takers(0xa1), [3], "vcpu0 and vcpu1 are less busy, but not meant");
    guest.store(3, SPURIOUS, 0xff);
    guest.send(0, 0x0c00_0000, 0x9a1);
    assert_eq!(guest.takers(0xa1), [2], "vcpu3 takes none");
    guest.store(2, SPURIOUS, 0xff);
    guest.send(0, 0x0c00_0000, 0x9a1);
    assert_eq!((guest.takers(0xa1), guest.board.take_attention().contains(cpu(0))), (vec![], false));
}

#[test]
fn nmis_reach_those_that_are_named_once() {
    let mut guest = Guest::new(4);
    guest.send(1, 0, 0x0c_4400);
    guest.send(1, 0, 0x0c_4400);
    assert_eq!(guest.board.take_attention(), set(&[0, 2, 3]));
    for (index, wanted) in [(0, true), (1, false), (2, true), (3, true)] {
        assert_eq!(guest.board.take_nmi(cpu(index)), wanted, "vcpu{index}");
        assert!(!guest.board.take_nmi(cpu(index)), "two at once are one");
    }
    guest.store(2, SPURIOUS, 0xff);
    guest.send(1, 0x0200_0000, 0x4402);
    assert!(guest.board.take_nmi(cpu(2)), "an APIC that is off by software takes NMIs");
}

#[test]
fn modes_that_are_reserved_or_have_no_receiver_do_nothing() {
    for mode in [2u64, 3, 7] {
        let mut guest = Guest::new(2);
        guest.send(0, 0x0100_0000, 0x40a1 | mode << 8);
        assert_eq!(
            (guest.takers(0xa1), guest.board.take_attention()),
            (vec![], VcpuSet::EMPTY),
            "mode {mode}"
        );
        assert_eq!((guest.board.take_nmi(cpu(1)), guest.take_start(1)), (false, None));
    }
}

#[test]
fn an_illegal_vector_is_the_senders_error() {
    let mut guest = Guest::new(2);
    guest.send(0, 0x0100_0000, 0x400f);
    for (index, wanted) in [(0, 0x20), (1, 0)] {
        guest.store(index, 0x280, 0);
        assert_eq!(guest.load(index, 0x280), wanted, "vcpu{index}");
    }
    assert_eq!(guest.takers(0x0f), []);
}

#[test]
fn mixed_modes_reach_each_other_by_physical_id() {
    let mut guest = Guest::new(3);
    let base = guest.read_msr(1, APIC_BASE).unwrap();
    assert!(guest.write_msr(1, APIC_BASE, base | 0x400));
    guest.send(0, 0x0100_0000, 0xa1);
    assert_eq!(guest.takers(0xa1), [1]);
    assert!(guest.write_msr(1, 0x830, 0x0000_0002_0000_00a1));
    assert_eq!(guest.takers(0xa1), [2]);
    guest.send(0, 0xff00_0000, 0xa1);
    assert_eq!(guest.takers(0xa1), [0, 1, 2], "all are all in either mode");
    assert!(guest.write_msr(1, 0x830, 0xffff_ffff_0000_00a1));
    assert_eq!(guest.takers(0xa1), [0, 1, 2]);
}

#[test]
fn x2apic_registers_refuse_what_they_must() {
    let mut guest = Guest::x2apic(4);
    for command in [1u64 << 13, 1 << 16, 1 << 17, 1 << 20, 1 << 31] {
        assert!(!guest.write_msr(1, 0x830, command | 0xa1), "{command:#x} is reserved");
        assert_eq!(guest.read_msr(1, 0x830), Some(0), "and changed nothing");
    }
    for (msr, value) in
        [(0x802, 3), (0x803, 0), (0x80a, 0), (0x80d, 1), (0x80e, 0), (0x83f, 0x1a1), (0x831, 0)]
    {
        assert!(!guest.write_msr(1, msr, value), "{msr:#x}");
    }
    assert_eq!(guest.read_msr(1, 0x83f), None, "the self-interrupt register cannot be read");
    assert!(guest.write_msr(1, 0x83f, 0xa1));
    assert_eq!(guest.takers(0xa1), [1]);
    assert_eq!(guest.load(1, 0x20), 0xffff_ffff, "the page is not there");
}

#[test]
fn ids_are_the_cpus_numbers_and_cannot_be_written() {
    let mut guest = Guest::new(4);
    for index in 0..4 {
        guest.store(index, 0x20, 0x0700_0000);
        assert_eq!(guest.load(index, 0x20), (index as u64) << 24);
        let boots = if index == 0 { 0x100 } else { 0 };
        assert_eq!(guest.read_msr(index, APIC_BASE), Some(0xfee0_0800 | boots));
    }
    assert!(guest.write_msr(1, APIC_BASE, 0xfee0_0900), "as if it had booted");
    assert_eq!(guest.read_msr(1, APIC_BASE), Some(0xfee0_0800));
}

#[test]
fn each_cpu_has_its_own_priority_and_page() {
    let mut guest = Guest::new(4);
    guest.store(2, TASK_PRIORITY, 0x50);
    let priorities: Vec<_> = (0..4).map(|index| guest.board.task_priority(cpu(index))).collect();
    assert_eq!(priorities, [0, 0, 5, 0]);
    guest.send(0, 0, 0x8_0041);
    assert_eq!(guest.board.held_back_class(cpu(2)), Some(4));
    assert_eq!(guest.board.take_attention(), set(&[0, 1, 2, 3]), "one held back may have to know as well");
    assert_eq!(guest.takers(0x41), [0, 1, 3]);
}

#[test]
fn a_cpu_that_the_guest_has_not_is_answered_as_absent_hardware() {
    let mut guest = Guest::new(4);
    let absent = cpu(4);
    guest.send(0, 0xff00_0000, 0xa1);
    assert_eq!(guest.load(4, 0x20), u64::MAX);
    guest.store(4, SPURIOUS, 0x1ff);
    assert_eq!((guest.read_msr(4, APIC_BASE), guest.write_msr(4, 0x12, 1)), (None, false));
    guest.board.set_task_priority(absent, 3);
    assert_eq!((guest.board.task_priority(absent), guest.board.held_back_class(absent)), (0, None));
    assert_eq!((guest.board.has_interrupt(absent), guest.board.accept_interrupt(absent)), (false, None));
    assert_eq!((guest.board.take_nmi(absent), guest.board.take_start(absent)), (false, None));
    assert_eq!(guest.board.deadline(guest.now, absent), None);
    assert!(!guest.board.take_attention().contains(absent));
    guest.out(0x43, 0x36);
    assert_eq!(guest.board.read_mmio(guest.now, absent, 0xfec0_0010, 4), 0, "the IO-APIC belongs to no CPU");
}
