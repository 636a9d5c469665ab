use core::cell::RefCell;

use godwit_guest::{GuestAddress, GuestMemory, NotRam, VcpuIndex};

use super::{Board, BoardConfig};
use crate::refused::Refused;
use crate::reset::PowerRequest;
use crate::time::{GuestTime, Now};

const CONFIG: BoardConfig = BoardConfig {
    cpus: 1,
    memory_bytes: 256 << 20,
    tsc_hz: 2_000_000_000,
    wall_clock_start_s: 1_700_000_000,
};
const BOOT: VcpuIndex = VcpuIndex::BOOT;
const LOCAL_APIC: u64 = 0xfee0_0000;
const IO_APIC: u64 = 0xfec0_0000;
const COM1: u16 = 0x3f8;

/// One page.
struct Memory(RefCell<[u8; 4096]>);

impl GuestMemory for Memory {
    fn read(&self, at: GuestAddress, out: &mut [u8]) -> Result<(), NotRam> {
        let from = usize::try_from(at.0).map_err(|_| NotRam { at })?;
        let bytes = self.0.borrow();
        out.copy_from_slice(bytes.get(from..).and_then(|it| it.get(..out.len())).ok_or(NotRam { at })?);
        Ok(())
    }

    fn write(&self, at: GuestAddress, new: &[u8]) -> Result<(), NotRam> {
        let from = usize::try_from(at.0).map_err(|_| NotRam { at })?;
        let mut bytes = self.0.borrow_mut();
        let to = bytes.get_mut(from..).and_then(|it| it.get_mut(..new.len())).ok_or(NotRam { at })?;
        to.copy_from_slice(new);
        Ok(())
    }
}

fn memory() -> Memory {
    Memory(RefCell::new([0; 4096]))
}

fn at(nanoseconds: u64) -> Now {
    Now { time: GuestTime(nanoseconds), tsc: nanoseconds.wrapping_mul(2) }
}

fn board() -> Board {
    Board::new(&CONFIG)
}

fn out(board: &mut Board, writes: &[(u16, u32)]) {
    for (port, value) in writes {
        board.write_port(at(0), *port, 1, *value);
    }
}

/// Both 8259A at vectors 0x30 and 0x38, with these masks.
fn set_up_pic(board: &mut Board, masks: [u32; 2]) {
    let [primary, secondary] = masks;
    let words = [(0x20, 0x11), (0x21, 0x30), (0x21, 4), (0x21, 1), (0x21, primary)];
    out(board, &words);
    let words = [(0xa0, 0x11), (0xa1, 0x38), (0xa1, 2), (0xa1, 1), (0xa1, secondary)];
    out(board, &words);
}

fn set_io_apic_entry(board: &mut Board, pin: u64, low: u64) {
    board.write_mmio(at(0), BOOT, IO_APIC, 4, 0x10 + 2 * pin);
    board.write_mmio(at(0), BOOT, IO_APIC + 0x10, 4, low);
}

/// A timer at 1 kHz, as square wave.
fn start_timer(board: &mut Board) {
    out(board, &[(0x43, 0x36), (0x40, 0xa9), (0x40, 0x04)]);
}

#[test]
fn the_timer_interrupts_through_the_8259a_in_virtual_wire_mode() {
    let mut board = board();
    // Its output rises with the control word already, an edge that initialization forgets.
    start_timer(&mut board);
    set_up_pic(&mut board, [0xfe, 0xff]);
    let due = board.deadline(at(0), BOOT).expect("the timer runs");
    assert!((990_000..1_010_000).contains(&due.0), "{due:?}");
    assert!(!board.has_interrupt(BOOT));
    board.advance(at(due.0));
    assert!(board.has_interrupt(BOOT));
    board.set_task_priority(BOOT, 15);
    assert!(board.has_interrupt(BOOT), "the 8259A knows no task priority");
    assert_eq!(board.accept_interrupt(BOOT), Some(0x30));
    assert_eq!((board.has_interrupt(BOOT), board.accept_interrupt(BOOT)), (false, None));
}

#[test]
fn the_timer_interrupts_through_the_io_apics_pin_2() {
    let mut board = board();
    set_io_apic_entry(&mut board, 2, 0x51);
    start_timer(&mut board);
    let due = board.deadline(at(0), BOOT).expect("the timer runs");
    board.advance(at(due.0 * 10));
    assert_eq!(board.accept_interrupt(BOOT), Some(0x51));
    board.write_mmio(at(due.0 * 10), BOOT, LOCAL_APIC + 0xb0, 4, 0);
    assert_eq!(board.accept_interrupt(BOOT), None, "ten periods are one interrupt");
}

#[test]
fn com1_interrupts_by_an_edge_on_pin_4() {
    let mut board = board();
    set_io_apic_entry(&mut board, 4, 0x34);
    out(&mut board, &[(COM1 + 4, 0x0b), (COM1 + 1, 0x01)]);
    assert!(board.type_byte(at(0), b'x'));
    assert_eq!(board.accept_interrupt(BOOT), Some(0x34));
    assert_eq!(board.read_port(at(0), COM1, 1), u32::from(b'x'));
}

#[test]
fn an_alarm_of_the_clock_is_an_acpi_event_once() {
    let mut board = board();
    set_io_apic_entry(&mut board, 9, 0x8049);
    board.write_port(at(0), 0x602, 2, 0x0400);
    assert_eq!(board.read_port(at(0), 0x602, 2), 0x0400, "the event can be enabled");
    // An alarm in every second; the clock counts in 24 hours and BCD.
    for (register, value) in [(1, 0xff), (3, 0xff), (5, 0xff), (0x0b, 0x22)] {
        out(&mut board, &[(0x70, register), (0x71, value)]);
    }
    assert_eq!(board.read_port(at(0), 0x600, 2), 0);
    let later = at(2_000_000_000);
    board.advance(later);
    assert_eq!(board.read_port(later, 0x600, 2), 0x0400);
    assert_eq!(board.accept_interrupt(BOOT), Some(0x49));
    board.write_port(later, 0x600, 2, 0x0400);
    assert_eq!(board.read_port(later, 0x600, 2), 0, "its line is still up, and did not rise again");
    let mut moved = Board::restore(&CONFIG, later, &board.save(later)).expect("it was saved");
    assert_eq!(moved.read_port(later, 0x600, 2), 0, "nor did it on the way");
}

/// Level-triggered, active high, as the MADT says: it comes again until the guest clears the event.
#[test]
fn the_power_button_interrupts_until_it_is_cleared() {
    let mut board = board();
    set_io_apic_entry(&mut board, 9, 0x8049);
    board.write_port(at(0), 0x602, 2, 0x0100);
    board.press_power_button(at(0));
    for _ in 0..2 {
        assert_eq!(board.accept_interrupt(BOOT), Some(0x49));
        assert_eq!(board.accept_interrupt(BOOT), None);
        board.write_mmio(at(0), BOOT, LOCAL_APIC + 0xb0, 4, 0);
    }
    assert_eq!(board.accept_interrupt(BOOT), Some(0x49));
    board.write_port(at(0), 0x600, 2, 0x0100);
    board.write_mmio(at(0), BOOT, LOCAL_APIC + 0xb0, 4, 0);
    assert_eq!(board.accept_interrupt(BOOT), None);
}

#[test]
fn the_clock_interrupts_on_irq_8() {
    let mut board = board();
    set_up_pic(&mut board, [0xfb, 0xfe]);
    out(&mut board, &[(0x70, 0x0b), (0x71, 0x12)]);
    let due = board.deadline(at(0), BOOT).expect("an update is due");
    board.advance(at(due.0));
    assert_eq!(board.accept_interrupt(BOOT), Some(0x38));
    assert_eq!(board.deadline(at(due.0), BOOT), None, "until the flags are read");
}

#[test]
fn an_interrupt_to_itself_arrives_in_both_modes() {
    let mut board = board();
    board.write_mmio(at(0), BOOT, LOCAL_APIC + 0x300, 4, 0x4_0055);
    assert_eq!(board.accept_interrupt(BOOT), Some(0x55));
    let memory = memory();
    let base = board.read_msr(at(0), BOOT, 0x1b).unwrap().unwrap();
    assert_eq!(board.write_msr(at(0), BOOT, 0x1b, base | 0x400, &memory), Some(Ok(())));
    assert_eq!(board.write_msr(at(0), BOOT, 0x83f, 0x66, &memory), Some(Ok(())));
    assert_eq!(board.accept_interrupt(BOOT), Some(0x66));
    assert_eq!(board.write_msr(at(0), BOOT, 0x80b, 0, &memory), Some(Ok(())));
    assert_eq!(board.write_msr(at(0), BOOT, 0x80b, 1, &memory), Some(Err(Refused)));
}

#[test]
fn the_tsc_deadline_is_a_deadline() {
    let mut board = board();
    let memory = memory();
    board.write_mmio(at(0), BOOT, LOCAL_APIC + 0x320, 4, 0x4_0077);
    assert_eq!(board.write_msr(at(0), BOOT, 0x6e0, 6_000, &memory), Some(Ok(())));
    assert_eq!(board.deadline(at(1_000), BOOT), Some(GuestTime(3_000)));
    assert_eq!(board.read_msr(at(2_999), BOOT, 0x6e0), Some(Ok(6_000)));
    assert_eq!(board.read_msr(at(3_000), BOOT, 0x6e0), Some(Ok(0)));
    assert_eq!(board.accept_interrupt(BOOT), Some(0x77));
}

#[test]
fn the_clock_page_is_written_through_the_one_door() {
    let mut board = board();
    let memory = memory();
    assert_eq!(board.write_msr(at(7), BOOT, 0x4b56_4d01, 0x101, &memory), Some(Ok(())));
    assert_eq!(board.read_msr(at(7), BOOT, 0x12), Some(Ok(0x101)), "the old number is the same register");
    assert_eq!(memory.0.borrow()[0x110..0x118], 7u64.to_le_bytes());
    assert_eq!(board.write_msr(at(0), BOOT, 0x11, 0x200, &memory), Some(Ok(())));
    assert_eq!(memory.0.borrow()[0x204..0x208], 1_700_000_000u32.to_le_bytes());
    assert_eq!(board.write_msr(at(0), BOOT, 0x12, 0x1001, &memory), Some(Err(Refused)));
    board.after_pause(at(1_000), &memory);
    assert_eq!(memory.0.borrow()[0x11d], 0x03);
    assert_eq!(board.counters().clock_page_failures, 0);
}

#[test]
fn power_off_and_every_way_to_reset_are_requests() {
    for (port, bytes, value, wanted) in [
        (0x604, 2, 5 << 10 | 1 << 13, Some(PowerRequest::PowerOff)),
        (0x604, 2, 5 << 10, None),
        (0xcf9, 1, 0x06, Some(PowerRequest::Reset)),
        (0xcf9, 1, 0x02, None),
        (0x64, 1, 0xfe, Some(PowerRequest::Reset)),
        (0x64, 1, 0xaa, None),
        (0xcf8, 4, 0xffff_ffff, None),
    ] {
        let mut board = board();
        board.write_port(at(0), port, bytes, value);
        assert_eq!(board.take_request(), wanted, "{value:#x} to {port:#x}");
        assert_eq!(board.take_request(), None);
    }
}

#[test]
fn what_is_absent_reads_as_ones_and_is_counted() {
    let mut board = board();
    assert_eq!(board.read_port(at(0), 0x2f8, 1), 0xff);
    assert_eq!(board.read_port(at(0), 0x1f0, 2), 0xffff);
    assert_eq!(board.read_port(at(0), 0xffff, 4), 0xffff_ffff);
    board.write_port(at(0), 0x378, 1, 0);
    assert_eq!(board.counters().absent_ports, 5);
    assert_eq!(board.counters().last_absent_port, Some(0x378));

    board.write_port(at(0), 0x80, 1, 0x55);
    board.write_port(at(0), 0xcf8, 4, 0x8000_0800);
    assert_eq!(board.read_port(at(0), 0xcf8, 4), 0x8000_0800);
    assert_eq!(board.read_port(at(0), 0xcfc, 4), 0xffff_ffff, "nothing is on the PCI bus");
    assert_eq!(board.read_port(at(0), 0x64, 1), 0, "nobody waits for a keyboard controller");
    assert_eq!(board.counters().absent_ports, 5, "these are no surprise");
}

#[test]
fn wide_accesses_are_one_to_each_port() {
    let mut board = board();
    let now = at(1_000_000_000);
    assert_eq!(board.read_port(now, 0x608, 4), 3_579_545);
    assert_eq!(board.read_port(now, 0x608, 2), 3_579_545 & 0xffff);
    board.write_port(now, COM1 + 7, 1, 0x5a);
    assert_eq!(board.read_port(now, COM1 + 6, 2), 0x5ab0);
}

#[test]
fn only_two_pages_are_device_memory() {
    let board = board();
    for (address, device) in [
        (LOCAL_APIC, true),
        (LOCAL_APIC + 0xfff, true),
        (LOCAL_APIC + 0x1000, false),
        (LOCAL_APIC - 1, false),
        (IO_APIC + 0x40, true),
        (IO_APIC + 0x1000, false),
        (0, false),
        (u64::MAX, false),
    ] {
        assert_eq!(board.has_mmio(address), device, "{address:#x}");
    }
    let mut board = board;
    assert_eq!(board.read_mmio(at(0), BOOT, u64::MAX, 8), u64::MAX);
    assert_eq!(board.read_msr(at(0), BOOT, 0x10), None);
    assert_eq!(board.write_msr(at(0), BOOT, 0xc000_0080, 0, &memory()), None);
}

#[test]
fn the_task_priority_is_the_apics() {
    let mut board = board();
    board.set_task_priority(BOOT, 0xfa);
    assert_eq!(board.task_priority(BOOT), 0x0a, "it has four bits");
    assert_eq!(board.read_mmio(at(0), BOOT, LOCAL_APIC + 0x80, 4), 0xa0);
    board.write_mmio(at(0), BOOT, LOCAL_APIC + 0x80, 4, 0x37);
    assert_eq!(board.task_priority(BOOT), 0x03);
}
