//! COM1 beyond polling: its interrupt, loopback, FIFO and modem lines; and lines that somebody types.

use x86_64::instructions::{
    interrupts::{disable, enable, enable_and_hlt},
    port::Port,
};

use crate::{
    apic,
    asked::Asked,
    console::{self, COM1, println},
    interrupts::{Controller, expect_from, hits},
    pic,
    time::wait,
    trial::{Outcome, Trial, check, name},
};

pub(super) const TRIALS: &[Trial] = &[
    Trial::new("serial-empty-transmitter-interrupts", transmitter),
    Trial::new("serial-loopback-leads-modem-lines-back", modem_lines),
    Trial::new("serial-loopback-echoes-in-order", loopback),
    Trial::endless("echo", echo),
];

/// COM1's pin of the IO-APIC, and where it leads here.
const PIN: u32 = 4;
const VECTOR: u8 = 0x44;

// Registers (TL16C550 data sheet).
const DATA: u16 = 0;
const INTERRUPT_ENABLE: u16 = 1;
const IDENTIFICATION: u16 = 2;
const FIFO_CONTROL: u16 = 2;
const MODEM_CONTROL: u16 = 4;
const LINE_STATUS: u16 = 5;
const MODEM_STATUS: u16 = 6;

/// Modem control: DTR, RTS and OUT2, which leads the interrupt out on a PC.
const LINES: u8 = 0b0_1011;
const LOOPBACK: u8 = 1 << 4;
const DATA_READY: u8 = 1;
const WAIT_MS: u64 = 2000;

fn read(register: u16) -> u8 {
    // SAFETY: COM1, which this trial has for itself.
    unsafe { Port::<u8>::new(COM1 + register).read() }
}

fn write(register: u16, value: u8) {
    // SAFETY: as above.
    unsafe { Port::<u8>::new(COM1 + register).write(value) };
}

/// Leads COM1's interrupt to this CPU.
fn listen() {
    pic::start(0);
    apic::start(false);
    expect_from(Controller::Apic);
    apic::route(PIN, Some(VECTOR));
    write(MODEM_CONTROL, LINES);
}

fn unlisten() {
    disable();
    write(INTERRUPT_ENABLE, 0);
    apic::route(PIN, None);
}

/// The transmitter is empty: enabling its interrupt raises it; reading the cause takes it back.
fn transmitter(_: &Asked<'_>) -> Outcome {
    listen();
    enable();
    write(INTERRUPT_ENABLE, 2);
    let came = wait(WAIT_MS, || hits(VECTOR) > 0);
    let (cause, after) = (read(IDENTIFICATION) & 0xf, read(IDENTIFICATION) & 0xf);
    unlisten();
    console::start();
    check!(came, "no interrupt came of an empty transmitter");
    check!(
        cause == 2 && after & 1 == 1,
        "the interrupt's cause is {cause:#x} and then {after:#x}, not 2 and none"
    );
    Ok(())
}

/// DTR to DSR, RTS to CTS, OUT1 to RI, OUT2 to DCD.
fn modem_lines(_: &Asked<'_>) -> Outcome {
    let seen = [0b0101, 0b1010].map(|lines| {
        write(MODEM_CONTROL, LOOPBACK | lines);
        read(MODEM_STATUS) >> 4
    });
    write(MODEM_CONTROL, LINES);
    console::start();
    check!(seen == [0b0110, 0b1001], "loopback shows modem lines {seen:x?}, not 6 and 9");
    Ok(())
}

/// FIFOs on and clear, 14 bytes to the trigger; what is sent comes back, in order.
fn loopback(_: &Asked<'_>) -> Outcome {
    write(FIFO_CONTROL, 0xc7);
    write(MODEM_CONTROL, LOOPBACK | 0b1010);
    for byte in 0..16 {
        wait(WAIT_MS, || read(LINE_STATUS) & 0x20 != 0);
        write(DATA, 0xa0 + byte);
    }
    let (mut echoed, mut count, mut overrun) = ([0_u8; 16], 0, false);
    for place in &mut echoed {
        if !wait(WAIT_MS, || read(LINE_STATUS) & DATA_READY != 0) {
            break;
        }
        overrun |= read(LINE_STATUS) & 2 != 0;
        *place = read(DATA);
        count += 1;
    }
    write(MODEM_CONTROL, LINES);
    console::start();
    let expected = core::array::from_fn(|place| 0xa0 + place as u8);
    check!(
        count == 16 && echoed == expected && !overrun,
        "{count} of 16 bytes came back by loopback, overrun {overrun}: {echoed:x?}"
    );
    Ok(())
}

/// Says every line that is typed, with its number, until the line `quit`. Bytes arrive by interrupt.
fn echo(_: &Asked<'_>) -> Outcome {
    println!("micro {} begins", name());
    listen();
    write(INTERRUPT_ENABLE, 1);
    let (mut line, mut bytes, mut lines) = ([0u8; 256], 0, 0u64);
    loop {
        // With interrupts off between the look and HLT, no byte can slip through.
        while read(LINE_STATUS) & DATA_READY == 0 {
            enable_and_hlt();
            disable();
        }
        match read(DATA) {
            b'\r' | b'\n' => {
                lines += 1;
                let text = core::str::from_utf8(&line[..bytes]).unwrap_or("unreadable");
                println!("echo {lines}: {text}");
                if text == "quit" {
                    break;
                }
                bytes = 0;
            }
            byte => {
                if let Some(place) = line.get_mut(bytes) {
                    *place = byte;
                    bytes += 1;
                }
            }
        }
    }
    unlisten();
    Ok(())
}
