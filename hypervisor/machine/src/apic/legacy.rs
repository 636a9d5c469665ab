//! The two 8259 interrupt controllers: moved away from the exception vectors and masked for good.

use x86_64::instructions::port::PortWriteOnly;

use crate::interrupts::vectors::LEGACY;

/// Initialises both controllers so that a spurious interrupt lands on [`LEGACY`] and up, then masks every input (Intel
/// 8259A data sheet, ICW1–ICW4 and OCW1).
pub fn silence() {
    let write = |port: u16, value: u8| {
        // SAFETY: ports 0x20, 0x21, 0xa0 and 0xa1 are the interrupt controllers' on every PC; masked, they can only be
        // spurious, and those vectors have gates.
        unsafe { PortWriteOnly::<u8>::new(port).write(value) };
    };
    for (command, data, first_vector, wiring) in [(0x20, 0x21, LEGACY, 4), (0xa0, 0xa1, LEGACY + 8, 2)] {
        write(command, 0x11);
        write(data, first_vector);
        write(data, wiring);
        write(data, 0x01);
        write(data, 0xff);
    }
}
