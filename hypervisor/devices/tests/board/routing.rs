//! Interrupts of devices and timers, and which CPUs they reach.

use godwit_devices::GuestTime;
use godwit_guest::VcpuSet;

use crate::guest::{
    END, Guest, INITIAL_COUNT, LOGICAL_DESTINATION, SPURIOUS, TASK_PRIORITY, TIMER, cpu, set,
};

/// Of an IO-APIC's entry.
const LEVEL: u64 = 0x8000;
const REMOTE_IRR: u64 = 0x4000;
const LOGICAL: u64 = 0x800;
const LOWEST_PRIORITY: u64 = 0x100;
/// The power button's pin.
const ACPI: u64 = 9;
const COM1_PIN: u64 = 4;

/// COM1 interrupts when something is typed.
fn open_serial(guest: &mut Guest) {
    guest.out(0x3fc, 0x0b);
    guest.out(0x3f9, 0x01);
}

fn type_byte(guest: &mut Guest) {
    assert!(guest.board.type_byte(guest.now, b'x'));
}

fn read_byte(guest: &mut Guest) {
    assert_eq!(guest.board.read_port(guest.now, 0x3f8, 1), u32::from(b'x'));
}

#[test]
fn an_io_apic_entry_reaches_whom_it_names() {
    for (entry, takers) in [
        (2u64 << 56, &[2usize][..]),
        (9 << 56, &[]),
        (0xff << 56, &[0, 1, 2, 3]),
        (0b1010 << 56 | LOGICAL, &[1, 3]),
        (0xff << 56 | LOGICAL, &[0, 1, 2, 3]),
        (0x40 << 56 | LOGICAL, &[]),
    ] {
        let mut guest = Guest::new(4);
        guest.set_io_apic_entry(COM1_PIN, entry | 0x44);
        open_serial(&mut guest);
        type_byte(&mut guest);
        assert_eq!(guest.board.take_attention(), set(takers), "{entry:#x}");
        assert_eq!(guest.takers(0x44), takers, "{entry:#x}");
    }
}

#[test]
fn an_io_apic_entry_of_lowest_priority_goes_round() {
    let mut guest = Guest::new(4);
    guest.set_io_apic_entry(COM1_PIN, 0xe << 56 | LOGICAL | LOWEST_PRIORITY | 0x44);
    open_serial(&mut guest);
    guest.board.set_task_priority(cpu(2), 1);
    let mut takers = Vec::new();
    for _ in 0..4 {
        type_byte(&mut guest);
        takers.extend(guest.takers(0x44));
        read_byte(&mut guest);
    }
    assert_eq!(takers, [1, 3, 1, 3]);
}

#[test]
fn nmis_come_from_the_io_apic_too() {
    let mut guest = Guest::new(4);
    guest.set_io_apic_entry(COM1_PIN, 3 << 56 | 0x444);
    open_serial(&mut guest);
    type_byte(&mut guest);
    assert_eq!(guest.board.take_attention(), set(&[3]));
    let nmis: Vec<_> = (0..4).map(|index| guest.board.take_nmi(cpu(index))).collect();
    assert_eq!(nmis, [false, false, false, true]);
}

/// The power button's level stays until the guest clears the event.
#[test]
fn a_level_ends_where_the_cpu_that_took_it_ends_it() {
    let mut guest = Guest::new(4);
    guest.set_io_apic_entry(ACPI, 3 << 56 | LEVEL | 0x49);
    guest.board.write_port(guest.now, 0x602, 2, 0x0100);
    guest.board.press_power_button(guest.now);
    assert_eq!(guest.accept(3), Some(0x49));
    assert_eq!(guest.io_apic_entry(ACPI) & REMOTE_IRR, REMOTE_IRR);
    for other in [0, 1, 2] {
        guest.store(other, END, 0);
    }
    assert_eq!(guest.io_apic_entry(ACPI) & REMOTE_IRR, REMOTE_IRR, "they had nothing in service");
    guest.board.take_attention();
    guest.set_io_apic_entry(ACPI, 1 << 56 | LEVEL | 0x49);
    guest.store(3, END, 0);
    assert_eq!(guest.board.take_attention(), set(&[1]), "still active, it goes to the CPU named now");
    assert_eq!((guest.accept(3), guest.accept(1)), (None, Some(0x49)));
    guest.board.write_port(guest.now, 0x600, 2, 0x0100);
    guest.store(1, END, 0);
    assert_eq!((guest.accept(1), guest.io_apic_entry(ACPI) & REMOTE_IRR), (None, 0));
}

#[test]
fn a_level_of_lowest_priority_is_taken_once() {
    let mut guest = Guest::new(4);
    guest.set_io_apic_entry(ACPI, 0xf << 56 | LEVEL | LOGICAL | LOWEST_PRIORITY | 0x49);
    guest.board.write_port(guest.now, 0x602, 2, 0x0100);
    guest.board.press_power_button(guest.now);
    let taken: Vec<_> = (0..4).filter_map(|index| guest.accept(index)).collect();
    assert_eq!(taken, [0x49]);
}

#[test]
fn the_8259a_reaches_the_first_cpu_as_firmware_leaves_it() {
    let mut guest = Guest::new(4);
    set_up_pic(&mut guest);
    open_serial(&mut guest);
    assert_eq!(guest.board.take_attention(), VcpuSet::EMPTY);
    type_byte(&mut guest);
    assert_eq!(guest.board.take_attention(), set(&[0]));
    let offered: Vec<_> = (0..4).map(|index| guest.board.has_interrupt(cpu(index))).collect();
    assert_eq!(offered, [true, false, false, false]);
    assert_eq!((guest.accept(1), guest.accept(0)), (None, Some(0x34)));
    guest.out(0x20, 0x20);
    read_byte(&mut guest);
    type_byte(&mut guest);
    assert_eq!(guest.board.take_attention(), set(&[0]), "and again");
}

#[test]
fn the_8259a_reaches_another_cpu_by_its_pin_or_by_a_message() {
    let mut guest = Guest::new(4);
    set_up_pic(&mut guest);
    open_serial(&mut guest);
    // The first CPU masks its LINT0, the third opens its own.
    guest.store(0, 0x350, 0x1_0700);
    guest.store(2, 0x350, 0x0_0700);
    type_byte(&mut guest);
    assert_eq!(guest.board.take_attention(), set(&[2]));
    assert_eq!((guest.accept(0), guest.accept(2)), (None, Some(0x34)));
    guest.out(0x20, 0x20);
    read_byte(&mut guest);
    guest.store(2, 0x350, 0x1_0700);

    guest.set_io_apic_entry(0, 1 << 56 | 0x700);
    type_byte(&mut guest);
    assert_eq!(guest.board.take_attention(), set(&[1]));
    assert_eq!((guest.accept(0), guest.accept(2), guest.accept(1)), (None, None, Some(0x34)));
}

/// Opening a pin behind which something waits offers it to that CPU at once.
#[test]
fn a_pin_that_opens_late_has_what_waits() {
    let mut guest = Guest::new(2);
    set_up_pic(&mut guest);
    open_serial(&mut guest);
    guest.store(0, 0x350, 0x1_0700);
    type_byte(&mut guest);
    assert_eq!(guest.board.take_attention(), VcpuSet::EMPTY);
    guest.store(1, 0x350, 0x0_0700);
    assert_eq!(guest.board.take_attention(), set(&[1]));
    assert_eq!(guest.accept(1), Some(0x34));
}

#[test]
fn each_cpu_has_its_own_timer() {
    let mut guest = Guest::new(4);
    for (index, count) in [(1, 1_000), (3, 500)] {
        guest.store(index, 0x3e0, 0b1011);
        guest.store(index, TIMER, 0xec);
        guest.store(index, INITIAL_COUNT, count);
    }
    // The power-management timer and the like belong to all: the first CPU looks after them.
    let deadlines: Vec<_> = (0..4).map(|index| guest.board.deadline(guest.now, cpu(index))).collect();
    assert_eq!(deadlines[1..], [Some(GuestTime(1_000)), None, Some(GuestTime(500))]);
    guest.advance(500);
    assert_eq!(guest.board.take_attention(), set(&[3]));
    guest.advance(499);
    assert_eq!(guest.board.take_attention(), VcpuSet::EMPTY);
    guest.advance(1);
    assert_eq!(guest.board.take_attention(), set(&[1]));
    assert_eq!(guest.takers(0xec), [1, 3]);
    assert_eq!(guest.now.time, GuestTime(1_000));
}

#[test]
fn shared_timers_are_the_first_cpus_deadline() {
    let mut guest = Guest::new(2);
    for (port, value) in [(0x43, 0x36), (0x40, 0xa9), (0x40, 0x04)] {
        guest.out(port, value);
    }
    let due = guest.board.deadline(guest.now, cpu(0)).expect("the PIT runs");
    assert_eq!(guest.board.deadline(guest.now, cpu(1)), None);
    guest.set_io_apic_entry(2, 1 << 56 | 0x30);
    guest.board.take_attention();
    guest.advance(due.0);
    assert_eq!(guest.board.take_attention(), set(&[1]), "whomever it interrupts");
}

#[test]
fn tsc_deadlines_are_each_cpus_own() {
    let mut guest = Guest::new(2);
    for index in [0, 1] {
        guest.store(index, TIMER, 0x4_00ec);
    }
    assert!(guest.write_msr(1, 0x6e0, 5_000));
    assert_eq!((guest.read_msr(0, 0x6e0), guest.read_msr(1, 0x6e0)), (Some(0), Some(5_000)));
    assert_eq!(guest.board.deadline(guest.now, cpu(1)), Some(GuestTime(2_000)), "2.5 ticks a nanosecond");
    guest.advance(2_000);
    assert_eq!(guest.takers(0xec), [1]);
}

#[test]
fn attention_is_for_what_is_new() {
    let mut guest = Guest::new(4);
    guest.send(0, 0x0100_0000, 0xa1);
    assert_eq!(guest.board.take_attention(), set(&[1]));
    guest.send(0, 0x0100_0000, 0xa1);
    assert_eq!(guest.board.take_attention(), VcpuSet::EMPTY, "it is requested already");
    assert_eq!(guest.accept(1), Some(0xa1));
    guest.send(0, 0x0100_0000, 0xa1);
    assert_eq!(guest.board.take_attention(), set(&[1]), "while the first is in service");
    guest.store(1, TASK_PRIORITY, 0xf0);
    guest.store(2, SPURIOUS, 0xff);
    guest.store(3, LOGICAL_DESTINATION, 0);
    guest.send(0, 0, 0xc_00a2);
    assert_eq!(guest.board.take_attention(), set(&[1, 3]), "vcpu2 takes no vectors");
    guest.send(3, 0, 0x4_00a3);
    assert_eq!(guest.board.take_attention(), set(&[3]), "a CPU's own counts");
}

/// Both 8259A at vectors 0x30 and 0x38, all open but the timer.
fn set_up_pic(guest: &mut Guest) {
    for (port, value) in [
        (0x20, 0x11),
        (0x21, 0x30),
        (0x21, 4),
        (0x21, 1),
        (0x21, 0x01),
        (0xa0, 0x11),
        (0xa1, 0x38),
        (0xa1, 2),
        (0xa1, 1),
        (0xa1, 0x00),
    ] {
        guest.out(port, value);
    }
}
