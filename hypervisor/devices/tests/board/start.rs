//! How CPUs are started: INIT and start-up messages (SDM vol. 3, 9.4 and 11.4.7.3).

use godwit_devices::{Board, BoardConfig, Start};
use godwit_guest::{MAX_VCPUS, VcpuSet};

use crate::drive::CONFIG;
use crate::guest::{
    APIC_BASE, Guest, INITIAL_COUNT, LOGICAL_DESTINATION, SPURIOUS, TASK_PRIORITY, TIMER, cpu, set,
};

const INIT: u64 = 0xc500;
const INIT_DE_ASSERT: u64 = 0x8500;
const START_UP: u64 = 0x4600;
const TO_1: u64 = 0x0100_0000;

#[test]
fn cpus_start_as_linux_starts_them() {
    let mut guest = Guest::at_start(4);
    for index in 1..4 {
        let to = (index as u64) << 24;
        guest.send(0, to, INIT);
        guest.send(0, to, INIT_DE_ASSERT);
        guest.send(0, to, START_UP | 0x9a);
        guest.send(0, to, START_UP | 0x9b);
        assert_eq!(guest.board.take_attention(), set(&[index]));
        assert_eq!(guest.take_start(index), Some(Start::Init));
        assert_eq!(guest.take_start(index), Some(Start::StartUp { vector: 0x9a }));
        assert_eq!(guest.take_start(index), None, "the second start-up message is dropped");
    }
    assert_eq!(guest.take_start(0), None);
}

#[test]
fn cpus_start_together_by_a_broadcast() {
    let mut guest = Guest::at_start(16);
    guest.send(0, 0, 0xc_0000 | INIT);
    guest.send(0, 0, 0xc_0000 | START_UP | 0x10);
    assert_eq!(guest.board.take_attention().count(), 15);
    assert_eq!(guest.take_start(0), None, "the sender is not meant");
    for index in 1..MAX_VCPUS {
        let (first, second) = (guest.take_start(index), guest.take_start(index));
        assert_eq!((first, second), (Some(Start::Init), Some(Start::StartUp { vector: 0x10 })));
    }
}

#[test]
fn a_start_up_message_counts_only_where_a_cpu_waits() {
    let mut guest = Guest::at_start(2);
    guest.send(1, 0, START_UP | 5);
    assert_eq!((guest.take_start(0), guest.board.take_attention()), (None, VcpuSet::EMPTY), "vcpu0 runs");
    guest.send(0, TO_1, START_UP | 6);
    assert_eq!(guest.take_start(1), Some(Start::StartUp { vector: 6 }), "from the beginning the others wait");
    guest.send(0, TO_1, START_UP | 7);
    assert_eq!((guest.take_start(1), guest.take_start(1)), (None, None), "it runs now");
    guest.send(0, TO_1, INIT);
    assert_eq!(guest.take_start(1), Some(Start::Init));
    guest.send(0, TO_1, START_UP | 8);
    assert_eq!(guest.take_start(1), Some(Start::StartUp { vector: 8 }));
}

#[test]
fn init_forgets_a_start_up_message_that_was_not_obeyed() {
    let mut guest = Guest::at_start(2);
    for message in [START_UP | 6, INIT, START_UP | 7, INIT] {
        guest.send(0, TO_1, message);
    }
    assert_eq!(
        (guest.take_start(1), guest.take_start(1)),
        (Some(Start::Init), None),
        "one INIT, and it waits"
    );
    guest.send(0, TO_1, START_UP | 8);
    assert_eq!(guest.take_start(1), Some(Start::StartUp { vector: 8 }));
}

#[test]
fn de_asserting_init_does_nothing() {
    let mut guest = Guest::new(2);
    guest.send(0, TO_1, INIT_DE_ASSERT);
    guest.send(0, 0, 0x8_0000 | INIT_DE_ASSERT);
    assert_eq!((guest.take_start(0), guest.take_start(1)), (None, None));
    assert_eq!(guest.board.take_attention(), VcpuSet::EMPTY);
    // As an edge it has no level to de-assert.
    guest.send(0, TO_1, 0x0500);
    assert_eq!(guest.take_start(1), Some(Start::Init));
}

#[test]
fn init_resets_the_local_apic_but_not_its_id_and_mode() {
    let mut guest = Guest::new(2);
    guest.store(1, TIMER, 0x2_00ec);
    guest.store(1, INITIAL_COUNT, 1_000_000);
    guest.store(1, TASK_PRIORITY, 0x40);
    guest.send(0, TO_1, 0xa1);
    guest.send(0, TO_1, 0x44_00);
    assert!(guest.board.has_interrupt(cpu(1)) && guest.board.deadline(guest.now, cpu(1)).is_some());
    guest.send(0, TO_1, INIT);
    assert_eq!((guest.board.has_interrupt(cpu(1)), guest.board.take_nmi(cpu(1))), (false, false));
    assert_eq!(guest.board.deadline(guest.now, cpu(1)), None);
    let wanted =
        [(0x20, TO_1), (TASK_PRIORITY, 0), (LOGICAL_DESTINATION, 0), (SPURIOUS, 0xff), (TIMER, 0x1_0000)];
    for (offset, value) in wanted {
        assert_eq!(guest.load(1, offset), value, "{offset:#x}");
    }
    assert_eq!(guest.board.task_priority(cpu(1)), 0);
    guest.send(0, TO_1, 0xa1);
    assert_eq!(guest.takers(0xa1), [], "it is off by software");

    let mut guest = Guest::x2apic(2);
    assert!(guest.write_msr(0, 0x830, 0x1_0000_c500));
    assert_eq!(guest.take_start(1), Some(Start::Init));
    assert_eq!((guest.read_msr(1, APIC_BASE), guest.read_msr(1, 0x802)), (Some(0xfee0_0c00), Some(1)));
    assert_eq!(guest.read_msr(1, 0x80f), Some(0xff));
    assert!(guest.write_msr(0, 0x830, 0x1_0000_4611));
    assert_eq!(guest.take_start(1), Some(Start::StartUp { vector: 0x11 }));
}

/// Between the message and the CPU's obeying it may have written to its registers.
#[test]
fn what_a_cpu_writes_before_it_obeys_init_does_not_count() {
    let mut guest = Guest::new(2);
    guest.send(0, TO_1, INIT);
    guest.store(1, SPURIOUS, 0x1ff);
    guest.store(1, TASK_PRIORITY, 0x40);
    for base in [0xfee0_0c00, 0xfee0_0000] {
        assert!(guest.write_msr(1, APIC_BASE, base), "off, or in another mode");
    }
    guest.send(0, TO_1, 0xa1);
    guest.send(0, TO_1, 0x4400);
    guest.send(0, TO_1, START_UP | 9);
    assert_eq!(guest.take_start(1), Some(Start::Init));
    assert_eq!((guest.load(1, SPURIOUS), guest.load(1, TASK_PRIORITY), guest.accept(1)), (0xff, 0, None));
    assert_eq!(guest.read_msr(1, APIC_BASE), Some(0xfee0_0800));
    assert_eq!(guest.take_start(1), Some(Start::StartUp { vector: 9 }));
    assert!(guest.board.take_nmi(cpu(1)), "an NMI after INIT waits for the CPU");
}

#[test]
fn the_first_cpu_takes_init_and_waits_too() {
    let mut guest = Guest::new(2);
    guest.send(1, 0, INIT);
    assert_eq!(guest.board.take_attention(), set(&[0]));
    assert_eq!(guest.take_start(0), Some(Start::Init));
    assert_eq!(guest.read_msr(0, APIC_BASE), Some(0xfee0_0900), "it is still the one that booted");
    guest.send(1, 0, START_UP | 3);
    assert_eq!(guest.take_start(0), Some(Start::StartUp { vector: 3 }));
}

#[test]
fn an_apic_that_is_off_hears_nothing() {
    let mut guest = Guest::new(2);
    let base = guest.read_msr(1, APIC_BASE).unwrap();
    assert!(guest.write_msr(1, APIC_BASE, base & !0x800));
    for message in [INIT, START_UP | 1, 0x4400, 0xa1] {
        guest.send(0, TO_1, message);
    }
    assert_eq!((guest.take_start(1), guest.board.take_nmi(cpu(1)), guest.accept(1)), (None, false, None));
    assert_eq!(guest.board.take_attention(), VcpuSet::EMPTY);
}

#[test]
fn what_was_asked_of_a_cpu_moves_with_the_guest() {
    let mut guest = Guest::at_start(4);
    guest.send(0, TO_1, INIT);
    guest.send(0, TO_1, START_UP | 9);
    guest.send(0, 0x0200_0000, START_UP | 8);
    assert_eq!(guest.take_start(2), Some(Start::StartUp { vector: 8 }));
    let saved = guest.board.save(guest.now);
    guest.board =
        Board::restore(&BoardConfig { cpus: 4, ..CONFIG }, guest.now, &saved).expect("it was saved");
    assert_eq!(guest.take_start(1), Some(Start::Init));
    assert_eq!(guest.take_start(1), Some(Start::StartUp { vector: 9 }));
    guest.send(0, 0x0200_0000, START_UP | 8);
    assert_eq!(guest.take_start(2), None, "it does not wait any more");
    guest.send(0, 0x0300_0000, START_UP | 7);
    assert_eq!(guest.take_start(3), Some(Start::StartUp { vector: 7 }), "this one still does");
}
