//! The two 8259A interrupt controllers.

use x86_64::instructions::port::Port;

/// The vector of IRQ 0.
pub(crate) const FIRST_VECTOR: u8 = 0x20;

const MASTER: u16 = 0x20;
const SLAVE: u16 = 0xa0;
const END_OF_INTERRUPT: u8 = 0x20;

fn out(port: u16, value: u8) {
    // SAFETY: these ports are the interrupt controllers', and the guest's trials are their only users.
    unsafe { Port::<u8>::new(port).write(value) };
}

/// Initializes both, IRQ 0 at [`FIRST_VECTOR`], all masked but those in `enabled` (a bit for each IRQ).
pub(crate) fn start(enabled: u16) {
    let masks = !enabled;
    // ICW1: edge triggered, cascade, ICW4 follows. ICW2: vectors. ICW3: slave at IRQ 2. ICW4: 8086 mode.
    for (port, vector, wiring) in [(MASTER, FIRST_VECTOR, 4), (SLAVE, FIRST_VECTOR + 8, 2)] {
        out(port, 0x11);
        out(port + 1, vector);
        out(port + 1, wiring);
        out(port + 1, 1);
    }
    out(MASTER + 1, masks as u8);
    out(SLAVE + 1, (masks >> 8) as u8);
}

pub(crate) fn end_of_interrupt(vector: u8) {
    if vector >= FIRST_VECTOR + 8 {
        out(SLAVE, END_OF_INTERRUPT);
    }
    out(MASTER, END_OF_INTERRUPT);
}

/// The interrupts that a chip has in service, by OCW3.
pub(crate) fn in_service(slave: bool) -> u8 {
    let port = if slave { SLAVE } else { MASTER };
    out(port, 0x0b);
    // SAFETY: reading the register that the command above chose changes nothing.
    unsafe { Port::<u8>::new(port).read() }
}
