use super::{FIFO_BYTES, OUTPUT_BYTES, Serial};

const DATA: u16 = 0;
const INTERRUPT_ENABLE: u16 = 1;
const IDENTIFY: u16 = 2;
const FIFO_CONTROL: u16 = 2;
const LINE_CONTROL: u16 = 3;
const MODEM_CONTROL: u16 = 4;
const LINE_STATUS: u16 = 5;
const MODEM_STATUS: u16 = 6;
const SCRATCH: u16 = 7;

const OUT2: u8 = 0x08;
const NOTHING: u8 = 0xc1;

fn with_fifos() -> Serial {
    let mut serial = Serial::new();
    serial.write(FIFO_CONTROL, 0x01);
    serial.write(MODEM_CONTROL, OUT2 | 0x03);
    serial
}

fn output(serial: &mut Serial) -> Vec<u8> {
    let mut output = Vec::new();
    serial.take_output(&mut |bytes| output.extend_from_slice(bytes));
    output
}

/// What Linux's 8250 driver asks before it believes in a 16550A, and in nothing newer.
#[test]
fn a_driver_that_probes_finds_a_16550a() {
    let mut serial = Serial::new();
    serial.write(INTERRUPT_ENABLE, 0);
    assert_eq!(serial.read(INTERRUPT_ENABLE) & 0x0f, 0);
    serial.write(INTERRUPT_ENABLE, 0xff);
    assert_eq!(serial.read(INTERRUPT_ENABLE), 0x0f, "sleep and low-power bits belong to later chips");
    serial.write(INTERRUPT_ENABLE, 0);

    serial.write(MODEM_CONTROL, 0x10 | 0x0a);
    assert_eq!(serial.read(MODEM_STATUS) & 0xf0, 0x90, "RTS and OUT2 come back as CTS and DCD");
    serial.write(MODEM_CONTROL, 0);

    serial.write(FIFO_CONTROL, 0x01);
    assert_eq!(serial.read(IDENTIFY) >> 6, 3, "FIFOs that work");
    serial.write(FIFO_CONTROL, 0x01 | 0x20);
    assert_eq!(serial.read(IDENTIFY) >> 5, 6, "no 64-byte FIFOs");
    serial.write(LINE_CONTROL, 0xbf);
    assert_ne!(serial.read(2), 0, "no enhanced feature register");
    serial.write(LINE_CONTROL, 0x03);

    serial.write(SCRATCH, 0x5a);
    assert_eq!(serial.read(SCRATCH), 0x5a);
}

#[test]
fn the_divisor_has_its_own_place() {
    let mut serial = Serial::new();
    serial.write(LINE_CONTROL, 0x83);
    serial.write(DATA, 0x34);
    serial.write(INTERRUPT_ENABLE, 0x12);
    assert_eq!((serial.read(DATA), serial.read(INTERRUPT_ENABLE)), (0x34, 0x12));
    serial.write(LINE_CONTROL, 0x03);
    assert_eq!(serial.read(INTERRUPT_ENABLE), 0);
    assert_eq!(output(&mut serial), b"");
}

#[test]
fn bytes_are_sent_in_order_and_at_once() {
    let mut serial = with_fifos();
    for byte in *b"ready" {
        assert_eq!(serial.read(LINE_STATUS) & 0x60, 0x60);
        serial.write(DATA, byte);
    }
    assert_eq!(output(&mut serial), b"ready");
    assert_eq!(output(&mut serial), b"");
}

#[test]
fn a_guest_waits_while_nobody_takes_its_output() {
    let mut serial = with_fifos();
    serial.write(INTERRUPT_ENABLE, 0x02);
    for _ in 0..OUTPUT_BYTES {
        serial.write(DATA, b'x');
    }
    assert_eq!(serial.read(LINE_STATUS) & 0x60, 0, "the transmitter is full");
    assert!(!serial.has_interrupt());
    serial.write(DATA, b'y');
    assert_eq!(serial.lost_bytes(), 1);

    assert_eq!(output(&mut serial), [b'x'; OUTPUT_BYTES]);
    assert_eq!(serial.read(LINE_STATUS) & 0x60, 0x60);
    assert!(serial.has_interrupt(), "the guest hears that it can go on");
    assert_eq!(serial.read(IDENTIFY), 0xc2);
}

#[test]
fn the_transmit_interrupt_comes_with_each_byte_and_each_time_it_is_allowed() {
    let mut serial = with_fifos();
    assert!(!serial.has_interrupt());
    serial.write(INTERRUPT_ENABLE, 0x02);
    assert!(serial.has_interrupt());
    assert_eq!(serial.read(IDENTIFY), 0xc2);
    assert!(!serial.has_interrupt(), "identified, it is over");
    assert_eq!(serial.read(IDENTIFY), NOTHING);
    serial.write(INTERRUPT_ENABLE, 0x02);
    assert!(!serial.has_interrupt(), "it was allowed before");
    serial.write(INTERRUPT_ENABLE, 0);
    serial.write(INTERRUPT_ENABLE, 0x02);
    assert_eq!(serial.read(IDENTIFY), 0xc2);
    serial.write(DATA, b'a');
    assert_eq!(serial.read(IDENTIFY), 0xc2);
}

#[test]
fn received_bytes_interrupt_by_trigger_or_timeout() {
    let mut serial = with_fifos();
    serial.write(FIFO_CONTROL, 0x41);
    serial.write(INTERRUPT_ENABLE, 0x01);
    assert!(serial.receive(b'1'));
    assert_eq!((serial.has_interrupt(), serial.read(IDENTIFY)), (true, 0xcc));
    for byte in *b"234" {
        assert!(serial.receive(byte));
    }
    assert_eq!(serial.read(IDENTIFY), 0xc4, "four bytes were asked for");
    assert_eq!(serial.read(LINE_STATUS) & 0x01, 0x01);
    let read: Vec<_> = (0..4).map(|_| serial.read(DATA)).collect();
    assert_eq!(read, b"1234");
    assert_eq!((serial.has_interrupt(), serial.read(LINE_STATUS) & 0x01), (false, 0));
}

#[test]
fn a_full_receiver_refuses_without_losing() {
    let mut serial = with_fifos();
    for byte in 0..FIFO_BYTES as u8 {
        assert!(serial.receive(byte));
    }
    assert!(!serial.receive(99));
    assert_eq!(serial.read(DATA), 0);
    assert!(serial.receive(16));
    assert_eq!((1..=16).map(|_| serial.read(DATA)).collect::<Vec<_>>(), (1..=16).collect::<Vec<_>>());

    let mut serial = Serial::new();
    assert!(serial.receive(1));
    assert!(!serial.receive(2), "without FIFOs there is room for one");
}

#[test]
fn resetting_or_switching_the_fifos_empties_the_receiver() {
    for control in [0x03, 0x00] {
        let mut serial = with_fifos();
        assert!(serial.receive(1));
        serial.write(FIFO_CONTROL, control);
        assert_eq!(serial.read(LINE_STATUS) & 0x01, 0, "control {control:#x}");
    }
}

#[test]
fn loopback_returns_bytes_and_keeps_the_terminal_out() {
    let mut serial = with_fifos();
    serial.write(MODEM_CONTROL, 0x10 | OUT2);
    serial.write(INTERRUPT_ENABLE, 0x05);
    for byte in 0..=FIFO_BYTES as u8 {
        serial.write(DATA, byte);
    }
    assert!(!serial.receive(7));
    assert!(!serial.has_interrupt(), "OUT2 is held inactive");
    assert_eq!(serial.read(IDENTIFY), 0xc6, "the seventeenth byte was an overrun");
    assert_eq!(serial.read(LINE_STATUS) & 0x03, 0x03);
    assert_eq!(serial.read(LINE_STATUS) & 0x03, 0x01);
    assert_eq!((0..16).map(|_| serial.read(DATA)).collect::<Vec<_>>(), (0..16).collect::<Vec<_>>());
    assert_eq!(output(&mut serial), b"");
}

#[test]
fn without_fifos_an_overrun_leaves_the_latest_byte() {
    let mut serial = Serial::new();
    serial.write(MODEM_CONTROL, 0x10);
    serial.write(DATA, 1);
    serial.write(DATA, 2);
    assert_eq!((serial.read(LINE_STATUS) & 0x03, serial.read(DATA)), (0x03, 2));
}

#[test]
fn modem_changes_are_told_once() {
    let mut serial = with_fifos();
    assert_eq!(serial.read(MODEM_STATUS), 0xb0, "a terminal that is ready");
    serial.write(INTERRUPT_ENABLE, 0x08);
    serial.write(MODEM_CONTROL, 0x10 | 0x04);
    assert_eq!(serial.read(MODEM_STATUS), 0x4b, "ring, and what changed");
    serial.write(MODEM_CONTROL, OUT2);
    assert!(serial.has_interrupt());
    assert_eq!(serial.read(IDENTIFY), 0xc0);
    assert_eq!(serial.read(MODEM_STATUS), 0xbf, "the end of ringing is a change");
    assert_eq!((serial.has_interrupt(), serial.read(MODEM_STATUS)), (false, 0xb0));
}

#[test]
fn without_out2_no_interrupt_leaves_the_port() {
    let mut serial = with_fifos();
    serial.write(INTERRUPT_ENABLE, 0x02);
    assert!(serial.has_interrupt());
    serial.write(MODEM_CONTROL, 0x03);
    assert!(!serial.has_interrupt());
    assert_eq!(serial.read(IDENTIFY), 0xc2);
}
