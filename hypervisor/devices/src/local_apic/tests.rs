use godwit_guest::VcpuIndex;

use super::{Effect, LocalApic};
use crate::message::{Delivery, Destination, Message};
use crate::refused::Refused;
use crate::time::{GuestTime, Now};

const TSC_HZ: u64 = 2_000_000_000;
const TASK_PRIORITY: u64 = 0x080;
const PROCESSOR_PRIORITY: u64 = 0x0a0;
const END: u64 = 0x0b0;
const LOGICAL_DESTINATION: u64 = 0x0d0;
const DESTINATION_FORMAT: u64 = 0x0e0;
const SPURIOUS: u64 = 0x0f0;
const IN_SERVICE: u64 = 0x100;
const REQUESTED: u64 = 0x200;
const ERROR_STATUS: u64 = 0x280;
const COMMAND: u64 = 0x300;
const COMMAND_HIGH: u64 = 0x310;
const TIMER: u64 = 0x320;
const PIN0: u64 = 0x350;
const ERROR: u64 = 0x370;
const INITIAL_COUNT: u64 = 0x380;
const CURRENT_COUNT: u64 = 0x390;
const DIVIDE: u64 = 0x3e0;
/// Divide by 1.
const BY_1: u64 = 0b1011;

fn at(nanoseconds: u64) -> Now {
    Now { time: GuestTime(nanoseconds), tsc: nanoseconds * 2 }
}

fn apic() -> LocalApic {
    LocalApic::new(VcpuIndex::BOOT, TSC_HZ)
}

fn write(apic: &mut LocalApic, offset: u64, value: u64) -> Effect {
    apic.write_page(at(0), offset, 4, value)
}

fn read(apic: &mut LocalApic, offset: u64) -> u64 {
    apic.read_page(at(0), offset, 4)
}

fn message(destination: Destination, vector: u8) -> Message {
    Message { destination, delivery: Delivery::Fixed, vector, level: false }
}

/// As if it had sent the message itself.
fn deliver(apic: &mut LocalApic, message: Message) -> bool {
    apic.is_addressed(message.destination, true) && apic.accept(message)
}

fn request(apic: &mut LocalApic, vector: u8) -> bool {
    deliver(apic, message(Destination::Physical(0), vector))
}

fn x2apic() -> LocalApic {
    let mut apic = apic();
    apic.set_base(apic.base() | 0x400).unwrap();
    apic
}

#[test]
fn higher_vectors_come_first_and_interrupt_lower_ones() {
    let mut apic = apic();
    for vector in [0x31, 0xf1, 0x42] {
        assert!(request(&mut apic, vector));
    }
    assert_eq!(apic.acknowledge(), Some(0xf1));
    assert_eq!(apic.acknowledge(), None);
    assert_eq!(read(&mut apic, PROCESSOR_PRIORITY), 0xf0);
    write(&mut apic, END, 0);
    assert_eq!(apic.acknowledge(), Some(0x42));
    assert!(request(&mut apic, 0x4f));
    assert_eq!(apic.offered(), None, "the same class does not interrupt");
    assert!(request(&mut apic, 0x50));
    assert_eq!(apic.acknowledge(), Some(0x50));
    assert_eq!(read(&mut apic, IN_SERVICE + 0x20), 1 << 2 | 1 << 16);
    assert_eq!(read(&mut apic, REQUESTED + 0x20), 1 << 15);
}

#[test]
fn the_task_priority_holds_off_its_class_and_all_below() {
    let mut apic = apic();
    request(&mut apic, 0x51);
    write(&mut apic, TASK_PRIORITY, 0x5f);
    assert_eq!((apic.offered(), apic.task_priority_class()), (None, 5));
    assert_eq!(apic.held_back_class(), Some(5));
    assert_eq!(read(&mut apic, PROCESSOR_PRIORITY), 0x5f);
    apic.set_task_priority_class(5);
    assert_eq!(read(&mut apic, TASK_PRIORITY), 0x5f, "CR8 has only the class");
    apic.set_task_priority_class(4);
    assert_eq!((apic.offered(), apic.held_back_class()), (Some(0x51), None));
    assert_eq!(read(&mut apic, TASK_PRIORITY), 0x40);

    // One that the handler of another holds back waits for the end of that, whatever the task priority.
    apic.acknowledge();
    request(&mut apic, 0x52);
    apic.set_task_priority_class(5);
    assert_eq!(apic.held_back_class(), None);
}

#[test]
fn ends_of_level_triggered_interrupts_are_told() {
    let mut apic = apic();
    deliver(&mut apic, Message { level: true, ..message(Destination::All, 0x60) });
    request(&mut apic, 0x70);
    apic.acknowledge();
    assert_eq!(write(&mut apic, END, 0), Effect::None);
    apic.acknowledge();
    assert_eq!(write(&mut apic, END, 0), Effect::Ended(0x60));
    assert_eq!(write(&mut apic, END, 0), Effect::None, "nothing is in service");
}

#[test]
fn one_shots_fire_once() {
    let mut apic = apic();
    write(&mut apic, TIMER, 0x40);
    write(&mut apic, DIVIDE, 0b0011);
    write(&mut apic, INITIAL_COUNT, 1000);
    assert_eq!(apic.deadline(at(0)), Some(GuestTime(16_000)), "1000 ticks of 16 ns");
    assert_eq!(apic.read_page(at(4_000), CURRENT_COUNT, 4), 750);
    apic.advance(at(15_999));
    assert_eq!(apic.offered(), None);
    apic.advance(at(16_000));
    assert_eq!(apic.offered(), Some(0x40));
    assert_eq!(apic.deadline(at(16_000)), None);
    assert_eq!(apic.read_page(at(17_000), CURRENT_COUNT, 4), 0);
}

#[test]
fn all_dividers_are_there() {
    for (bits, divider) in [
        (0b0000, 2),
        (0b0001, 4),
        (0b0010, 8),
        (0b0011, 16),
        (0b1000, 32),
        (0b1001, 64),
        (0b1010, 128),
        (BY_1, 1),
    ] {
        let mut apic = apic();
        write(&mut apic, TIMER, 0x40);
        write(&mut apic, DIVIDE, bits);
        write(&mut apic, INITIAL_COUNT, 1_000_000);
        assert_eq!(apic.deadline(at(0)), Some(GuestTime(divider * 1_000_000)));
    }
}

#[test]
fn periods_that_were_missed_fire_once_and_keep_their_grid() {
    let mut apic = apic();
    write(&mut apic, TIMER, 0x2_0040);
    write(&mut apic, DIVIDE, BY_1);
    write(&mut apic, INITIAL_COUNT, 1_000_000);
    apic.advance(at(3_400_000));
    assert_eq!(apic.acknowledge(), Some(0x40));
    write(&mut apic, END, 0);
    apic.advance(at(3_400_000));
    assert_eq!(apic.offered(), None);
    assert_eq!(apic.deadline(at(3_400_000)), Some(GuestTime(4_000_000)));
    assert_eq!(apic.read_page(at(3_400_000), CURRENT_COUNT, 4), 600_000);
}

#[test]
fn very_short_periods_are_stretched() {
    let mut apic = apic();
    write(&mut apic, TIMER, 0x2_0040);
    write(&mut apic, INITIAL_COUNT, 1);
    assert_eq!(apic.deadline(at(0)), Some(GuestTime(200_000)));
    apic.advance(at(200_000));
    assert_eq!(apic.deadline(at(200_000)), Some(GuestTime(400_000)));
}

#[test]
fn tsc_deadlines_follow_the_guests_tsc() {
    let mut apic = apic();
    apic.set_tsc_deadline(at(0), 5_000);
    assert_eq!(apic.tsc_deadline(), 0, "not in this mode");
    write(&mut apic, TIMER, 0x4_0040);
    apic.set_tsc_deadline(at(0), 5_001);
    assert_eq!(apic.deadline(at(1_000)), Some(GuestTime(2_501)), "rounded up");
    apic.advance(at(2_500));
    assert_eq!((apic.tsc_deadline(), apic.offered()), (5_001, None));
    apic.advance(at(2_501));
    assert_eq!((apic.tsc_deadline(), apic.acknowledge()), (0, Some(0x40)));
    write(&mut apic, END, 0);
    apic.set_tsc_deadline(at(9_000), 1);
    assert_eq!(apic.offered(), Some(0x40), "one that is over fires at once");
}

#[test]
fn changing_to_or_from_tsc_deadline_disarms() {
    let mut apic = apic();
    write(&mut apic, TIMER, 0x4_0040);
    apic.set_tsc_deadline(at(0), 5_000);
    write(&mut apic, INITIAL_COUNT, 7);
    write(&mut apic, TIMER, 0x40);
    assert_eq!((apic.tsc_deadline(), apic.deadline(at(0))), (0, None));
    write(&mut apic, INITIAL_COUNT, 7);
    write(&mut apic, TIMER, 0x4_0040);
    assert_eq!(apic.deadline(at(0)), None);
}

#[test]
fn what_fires_while_it_is_masked_is_lost() {
    let mut apic = apic();
    write(&mut apic, TIMER, 0x1_0040);
    write(&mut apic, DIVIDE, BY_1);
    write(&mut apic, INITIAL_COUNT, 100);
    assert_eq!(apic.deadline(at(0)), None, "nobody would see it");
    apic.write_page(at(1_000), TIMER, 4, 0x40);
    apic.advance(at(1_000));
    assert_eq!(apic.offered(), None);
}

#[test]
fn commands_become_messages() {
    let mut apic = apic();
    for (high, low, destination, delivery) in [
        (0x0300_0000, 0x0_00a0, Destination::Physical(3), Delivery::Fixed),
        (0x0300_0000, 0x0_08a0, Destination::Logical(3), Delivery::Fixed),
        (0, 0x4_00a0, Destination::Sender, Delivery::Fixed),
        (0, 0x8_00a0, Destination::All, Delivery::Fixed),
        (0, 0xc_04a0, Destination::Others, Delivery::Nmi),
        (0x0100_0000, 0x0_45a0, Destination::Physical(1), Delivery::Init),
        (0x0100_0000, 0x0_46a0, Destination::Physical(1), Delivery::StartUp),
    ] {
        write(&mut apic, COMMAND_HIGH, high);
        let wanted = Message { destination, delivery, vector: 0xa0, level: false };
        assert_eq!(write(&mut apic, COMMAND, low), Effect::Send(wanted));
        assert_eq!((read(&mut apic, COMMAND), read(&mut apic, COMMAND_HIGH)), (low, high));
    }
}

#[test]
fn illegal_vectors_are_errors() {
    let mut apic = apic();
    write(&mut apic, ERROR, 0xfe);
    assert_eq!(write(&mut apic, COMMAND, 0x4_0005), Effect::None);
    assert_eq!(apic.acknowledge(), Some(0xfe));
    assert!(!request(&mut apic, 0x0f));
    assert_eq!(read(&mut apic, ERROR_STATUS), 0, "not before it is written");
    write(&mut apic, ERROR_STATUS, 0);
    assert_eq!(read(&mut apic, ERROR_STATUS), 0x60);
    write(&mut apic, ERROR_STATUS, 0);
    assert_eq!(read(&mut apic, ERROR_STATUS), 0);
    read(&mut apic, 0x3f0);
    write(&mut apic, ERROR_STATUS, 0);
    assert_eq!(read(&mut apic, ERROR_STATUS), 0x80, "there is no such register");
}

#[test]
fn logical_destinations_match_flat_and_by_cluster() {
    let mut apic = apic();
    write(&mut apic, LOGICAL_DESTINATION, 0x2400_0000);
    assert!(deliver(&mut apic, message(Destination::Logical(0x04), 0x40)), "flat: any common bit");
    assert!(!deliver(&mut apic, message(Destination::Logical(0x18), 0x40)));
    write(&mut apic, DESTINATION_FORMAT, 0);
    assert!(deliver(&mut apic, message(Destination::Logical(0x25), 0x40)), "cluster 2, CPU bit 2");
    assert!(!deliver(&mut apic, message(Destination::Logical(0x34), 0x40)));
    assert!(deliver(&mut apic, message(Destination::Logical(0xff), 0x40)));
    assert!(!deliver(&mut apic, message(Destination::Physical(1), 0x40)));
    assert!(deliver(&mut apic, message(Destination::All, 0x40)));
    assert!(!deliver(&mut apic, message(Destination::Others, 0x40)));
}

#[test]
fn switched_off_by_software_it_takes_no_vectors_and_masks_all() {
    let mut apic = apic();
    write(&mut apic, TIMER, 0x40);
    write(&mut apic, SPURIOUS, 0xff);
    assert!(!request(&mut apic, 0x40));
    assert_eq!(read(&mut apic, TIMER), 0x1_0040);
    write(&mut apic, TIMER, 0x40);
    assert_eq!(read(&mut apic, TIMER), 0x1_0040, "and keeps them so");
    assert!(deliver(&mut apic, Message { delivery: Delivery::Nmi, ..message(Destination::All, 0) }));
    assert!(apic.take_nmi() && !apic.take_nmi());
    assert!(!apic.passes_external());
}

#[test]
fn virtual_wire_passes_external_interrupts() {
    let mut apic = apic();
    assert!(apic.passes_external(), "as firmware leaves it");
    write(&mut apic, PIN0, 0x1_0700);
    assert!(!apic.passes_external());
    assert!(deliver(&mut apic, Message { delivery: Delivery::External, ..message(Destination::All, 0) }));
    assert!(apic.passes_external(), "it came as a message");
    apic.external_acknowledged();
    assert!(!apic.passes_external());
    write(&mut apic, PIN0, 0x45);
    apic.set_pin0(true);
    apic.set_pin0(true);
    assert_eq!((apic.acknowledge(), apic.acknowledge()), (Some(0x45), None), "a fixed vector, once an edge");
}

#[test]
fn modes_change_only_as_they_may() {
    let base = apic().base();
    assert_eq!(base, 0xfee0_0900);
    let off = base & !0x800;
    for (from, to, allowed) in [
        (base, off, true),
        (base, base | 0x400, true),
        (base | 0x400, base, false),
        (base | 0x400, off, true),
        (off, base, true),
        (off, off | 0xc00, false),
        (base, off | 0x400, false),
        (base, base + 0x1000, false),
        (base, base | 1, false),
        (base, base | 1 << 52, false),
    ] {
        let mut apic = apic();
        apic.set_base(from).unwrap();
        assert_eq!(apic.set_base(to).is_ok(), allowed, "{from:#x} to {to:#x}");
        assert_eq!(apic.base(), if allowed { to } else { from });
    }
}

#[test]
fn off_it_forgets_all_and_its_page_is_gone() {
    let mut apic = apic();
    request(&mut apic, 0x40);
    apic.set_base(apic.base() & !0x800).unwrap();
    assert_eq!((apic.offered(), read(&mut apic, SPURIOUS)), (None, 0xffff_ffff));
    assert!(apic.passes_external() && !request(&mut apic, 0x40));
    apic.set_base(apic.base() | 0x800).unwrap();
    assert_eq!(read(&mut apic, SPURIOUS), 0xff);
}

#[test]
fn x2apic_registers_are_msrs() {
    let mut apic = apic();
    assert_eq!(apic.read_msr(at(0), 0x02), Err(Refused), "not in xAPIC mode");
    let mut apic = x2apic();
    assert_eq!(read(&mut apic, SPURIOUS), 0xffff_ffff, "the page is gone");
    assert_eq!(apic.read_msr(at(0), 0x03), Ok(0x5_0014));
    assert_eq!(apic.read_msr(at(0), 0x0d), Ok(1), "cluster 0, CPU 0");
    for write_only in [0x0b, 0x3f] {
        assert_eq!(apic.read_msr(at(0), write_only), Err(Refused));
    }
    for missing in [0x00, 0x0e, 0x2f, 0x31, 0x3a, 0x40] {
        assert_eq!(apic.read_msr(at(0), missing), Err(Refused));
        assert_eq!(apic.write_msr(at(0), missing, 0), Err(Refused));
    }
    for (number, value) in [(0x02, 0), (0x0b, 1), (0x08, 0x100), (0x28, 1), (0x32, 1 << 32), (0x3e, 4)] {
        assert_eq!(apic.write_msr(at(0), number, value), Err(Refused), "{number:#x}");
    }
    let wanted = message(Destination::Physical(0x1234_5678), 0xa0);
    assert_eq!(apic.write_msr(at(0), 0x30, 0x1234_5678_0000_00a0), Ok(Effect::Send(wanted)));
    assert_eq!(apic.read_msr(at(0), 0x30), Ok(0x1234_5678_0000_00a0));
    let to_self = message(Destination::Sender, 0xb0);
    assert_eq!(apic.write_msr(at(0), 0x3f, 0xb0), Ok(Effect::Send(to_self)));
    assert!(!deliver(&mut apic, message(Destination::Logical(0x1_0001), 0x41)), "another cluster");
    assert!(deliver(&mut apic, message(Destination::Logical(0x3), 0x41)));
}

#[test]
fn narrow_reads_see_their_bytes_and_narrow_writes_nothing() {
    let mut apic = apic();
    assert_eq!(apic.read_page(at(0), 0x030, 1), 0x14);
    assert_eq!(apic.read_page(at(0), 0x032, 1), 0x05);
    assert_eq!(apic.read_page(at(0), 0x030, 8), 0x5_0014);
    assert_eq!(apic.read_page(at(0), 0x034, 4), 0);
    apic.write_page(at(0), TASK_PRIORITY, 1, 0x50);
    apic.write_page(at(0), TASK_PRIORITY + 4, 4, 0x50);
    assert_eq!(apic.task_priority_class(), 0);
}

#[test]
fn the_edges_of_time_are_survived() {
    let end = Now { time: GuestTime(u64::MAX), tsc: u64::MAX };
    for mode in [0x40, 0x2_0040, 0x4_0040] {
        let mut apic = apic();
        apic.write_page(end, TIMER, 4, mode);
        apic.write_page(end, INITIAL_COUNT, 4, u64::MAX);
        apic.set_tsc_deadline(at(0), u64::MAX);
        apic.deadline(at(0));
        apic.advance(at(0));
        apic.advance(end);
        apic.read_page(end, CURRENT_COUNT, 4);
        apic.set_tsc_hz(0);
        apic.set_tsc_deadline(at(0), u64::MAX);
        apic.deadline(at(0));
    }
}
