use super::IoApic;
use crate::message::{Delivery, Destination, Message, MessageBus};

const SELECT: u64 = 0x00;
const WINDOW: u64 = 0x10;
const END: u64 = 0x40;
const LEVEL: u32 = 0x8000;
const MASKED: u32 = 0x1_0000;
const REMOTE_IRR: u32 = 0x4000;

/// Takes everything, or nothing.
struct Bus {
    taken: Vec<Message>,
    takes: bool,
}

impl MessageBus for Bus {
    fn deliver(&mut self, message: Message) -> bool {
        if self.takes {
            self.taken.push(message);
        }
        self.takes
    }
}

fn bus() -> Bus {
    Bus { taken: Vec::new(), takes: true }
}

fn write(io_apic: &mut IoApic, register: u64, value: u32, bus: &mut Bus) {
    io_apic.write(SELECT, 4, register, bus);
    io_apic.write(WINDOW, 4, value.into(), bus);
}

fn read(io_apic: &mut IoApic, register: u64) -> u32 {
    io_apic.write(SELECT, 4, register, &mut bus());
    io_apic.read(WINDOW, 4) as u32
}

fn set_entry(io_apic: &mut IoApic, pin: u64, high: u32, low: u32, bus: &mut Bus) {
    write(io_apic, 0x11 + 2 * pin, high, bus);
    write(io_apic, 0x10 + 2 * pin, low, bus);
}

#[test]
fn it_says_what_it_is() {
    let mut io_apic = IoApic::new();
    assert_eq!(read(&mut io_apic, 1), 0x0017_0020);
    write(&mut io_apic, 0, u32::MAX, &mut bus());
    assert_eq!((read(&mut io_apic, 0), read(&mut io_apic, 2)), (0x0f00_0000, 0x0f00_0000));
    assert_eq!(read(&mut io_apic, 0x10), MASKED);
    assert_eq!((read(&mut io_apic, 0x40), read(&mut io_apic, 0xff)), (0, 0), "beyond the last");
}

#[test]
fn edges_send_once() {
    let (mut io_apic, mut bus) = (IoApic::new(), bus());
    set_entry(&mut io_apic, 4, 0x0300_0000, 0x31, &mut bus);
    io_apic.set_pin(4, true, &mut bus);
    io_apic.set_pin(4, true, &mut bus);
    let wanted = Message {
        destination: Destination::Physical(3),
        delivery: Delivery::Fixed,
        vector: 0x31,
        level: false,
    };
    assert_eq!(bus.taken, [wanted]);
    io_apic.set_pin(4, false, &mut bus);
    io_apic.set_pin(4, true, &mut bus);
    assert_eq!(bus.taken.len(), 2);
    assert_eq!(read(&mut io_apic, 0x18) & REMOTE_IRR, 0);
}

#[test]
fn levels_send_until_they_end() {
    let (mut io_apic, mut bus) = (IoApic::new(), bus());
    set_entry(&mut io_apic, 9, 0, LEVEL | 0x49, &mut bus);
    io_apic.set_pin(9, true, &mut bus);
    assert_eq!((bus.taken.len(), read(&mut io_apic, 0x22) & REMOTE_IRR), (1, REMOTE_IRR));
    io_apic.set_pin(9, false, &mut bus);
    io_apic.set_pin(9, true, &mut bus);
    assert_eq!(bus.taken.len(), 1, "the first is still under way");
    io_apic.end_of_interrupt(0x50, &mut bus);
    assert_eq!(bus.taken.len(), 1, "that is another vector");
    io_apic.end_of_interrupt(0x49, &mut bus);
    assert_eq!(bus.taken.len(), 2, "still active");
    io_apic.set_pin(9, false, &mut bus);
    io_apic.write(END, 4, 0x49, &mut bus);
    assert_eq!((bus.taken.len(), read(&mut io_apic, 0x22) & REMOTE_IRR), (2, 0));
}

#[test]
fn masked_edges_are_lost_and_masked_levels_wait() {
    let (mut io_apic, mut bus) = (IoApic::new(), bus());
    set_entry(&mut io_apic, 4, 0, MASKED | 0x44, &mut bus);
    set_entry(&mut io_apic, 9, 0, MASKED | LEVEL | 0x49, &mut bus);
    io_apic.set_pin(4, true, &mut bus);
    io_apic.set_pin(9, true, &mut bus);
    set_entry(&mut io_apic, 4, 0, 0x44, &mut bus);
    set_entry(&mut io_apic, 9, 0, LEVEL | 0x49, &mut bus);
    assert_eq!(bus.taken.iter().map(|message| message.vector).collect::<Vec<_>>(), [0x49]);
}

#[test]
fn a_level_that_nobody_took_is_not_under_way() {
    let (mut io_apic, mut bus) = (IoApic::new(), bus());
    bus.takes = false;
    set_entry(&mut io_apic, 9, 0, LEVEL | 0x49, &mut bus);
    io_apic.set_pin(9, true, &mut bus);
    assert_eq!(read(&mut io_apic, 0x22) & REMOTE_IRR, 0);
    bus.takes = true;
    set_entry(&mut io_apic, 9, 0, LEVEL | 0x49, &mut bus);
    assert_eq!(bus.taken.len(), 1);
}

#[test]
fn becoming_edge_triggered_ends_what_is_under_way() {
    let (mut io_apic, mut bus) = (IoApic::new(), bus());
    set_entry(&mut io_apic, 9, 0, LEVEL | 0x49, &mut bus);
    io_apic.set_pin(9, true, &mut bus);
    write(&mut io_apic, 0x22, MASKED | 0x49, &mut bus);
    write(&mut io_apic, 0x22, MASKED | LEVEL | 0x49, &mut bus);
    assert_eq!(read(&mut io_apic, 0x22) & REMOTE_IRR, 0);
}

#[test]
fn destinations_and_modes_are_passed_on() {
    for (high, low, destination, delivery) in [
        (0xff00_0000, 0x040, Destination::All, Delivery::Fixed),
        (0x0100_0000, 0x940, Destination::Logical(1), Delivery::LowestPriority),
        (0x0000_0000, 0x440, Destination::Physical(0), Delivery::Nmi),
        (0x0000_0000, 0x740, Destination::Physical(0), Delivery::External),
    ] {
        let (mut io_apic, mut bus) = (IoApic::new(), bus());
        set_entry(&mut io_apic, 1, high, low, &mut bus);
        io_apic.set_pin(1, true, &mut bus);
        let message = bus.taken.first().expect("it was sent");
        assert_eq!((message.destination, message.delivery), (destination, delivery));
    }
    let (mut io_apic, mut bus) = (IoApic::new(), bus());
    set_entry(&mut io_apic, 1, 0, 0x340, &mut bus);
    io_apic.set_pin(1, true, &mut bus);
    assert!(bus.taken.is_empty(), "a reserved mode");
}

#[test]
fn the_guest_cannot_write_what_the_chip_says() {
    let (mut io_apic, mut bus) = (IoApic::new(), bus());
    set_entry(&mut io_apic, 3, u32::MAX, u32::MAX, &mut bus);
    assert_eq!((read(&mut io_apic, 0x17), read(&mut io_apic, 0x16)), (0xff00_0000, 0x1_afff));
    io_apic.set_pin(24, true, &mut bus);
    io_apic.set_pin(255, true, &mut bus);
    assert!(bus.taken.is_empty());
}
