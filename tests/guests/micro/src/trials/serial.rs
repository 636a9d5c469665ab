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
    trial::{Outcome, check, name},
};

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

/// What the port did while nothing could be printed.
#[derive(Default)]
struct Seen {
    empty: bool,
    cause: u8,
    cause_after: u8,
    modem: [u8; 2],
    echoed: [u8; 16],
    count: usize,
    overrun_free: bool,
}

pub(super) fn interrupts(_: &Asked<'_>) -> Outcome {
    listen();
    let mut seen = Seen::default();
    enable();
    // The transmitter is empty: enabling its interrupt raises it; reading the cause takes it back.
    write(INTERRUPT_ENABLE, 2);
    seen.empty = wait(WAIT_MS, || hits(VECTOR) > 0);
    seen.cause = read(IDENTIFICATION) & 0xf;
    seen.cause_after = read(IDENTIFICATION) & 0xf;
    unlisten();

    // FIFOs on and clear, 14 bytes to the trigger; what is sent comes back, in order.
    write(FIFO_CONTROL, 0xc7);
    write(MODEM_CONTROL, LOOPBACK | 0b0101);
    seen.modem[0] = read(MODEM_STATUS) >> 4;
    write(MODEM_CONTROL, LOOPBACK | 0b1010);
    seen.modem[1] = read(MODEM_STATUS) >> 4;
    for byte in 0..16 {
        wait(WAIT_MS, || read(LINE_STATUS) & 0x20 != 0);
        write(DATA, 0xa0 + byte);
    }
    seen.overrun_free = true;
    for place in &mut seen.echoed {
        if !wait(WAIT_MS, || read(LINE_STATUS) & DATA_READY != 0) {
            break;
        }
        seen.overrun_free &= read(LINE_STATUS) & 2 == 0;
        *place = read(DATA);
        seen.count += 1;
    }
    write(MODEM_CONTROL, LINES);
    console::start();

    check!(seen.empty, "no interrupt came of an empty transmitter");
    check!(
        seen.cause == 2 && seen.cause_after & 1 == 1,
        "the interrupt's cause is {:#x} and then {:#x}, not 2 and none",
        seen.cause,
        seen.cause_after
    );
    // DTR to DSR, RTS to CTS, OUT1 to RI, OUT2 to DCD.
    check!(seen.modem == [0b0110, 0b1001], "loopback shows modem lines {:x?}, not 6 and 9", seen.modem);
    let expected = core::array::from_fn(|place| 0xa0 + place as u8);
    check!(
        seen.count == 16 && seen.echoed == expected && seen.overrun_free,
        "{} of 16 bytes came back by loopback: {:x?}",
        seen.count,
        seen.echoed
    );
    Ok(())
}

/// Says every line that is typed, with its number, until the line `quit`. Bytes arrive by interrupt.
pub(super) fn echo(_: &Asked<'_>) -> Outcome {
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
