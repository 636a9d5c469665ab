//! The MADT: interrupt controllers and how ISA interrupts reach them (ACPI 6.5, 5.2.12).

use alloc::vec::Vec;

use super::writer::Table;
use crate::board::TIMER_PIN;
use crate::{io_apic, local_apic, pit, power};

/// Flags of the table: there is a pair of 8259A as well.
const PC_COMPATIBLE: u32 = 1;
/// An override's flags: active high, level-triggered.
const HIGH_LEVEL: u16 = 0b11 << 2 | 0b01;
/// An override's flags: as the ISA bus has it.
const AS_BUS: u16 = 0;

pub(super) fn table(cpus: u8) -> Vec<u8> {
    let mut table = Table::new(b"APIC", 5);
    table.extend(&(local_apic::BASE as u32).to_le_bytes());
    table.extend(&PC_COMPATIBLE.to_le_bytes());
    for cpu in 0..cpus {
        const ENABLED: u8 = 1;
        // Processor local APIC: processor's and APIC's id, flags.
        table.extend(&[0, 8, cpu, cpu, ENABLED, 0, 0, 0]);
    }
    // IO-APIC: id, address, the first interrupt.
    table.extend(&[1, 12, 0, 0]);
    table.extend(&(io_apic::BASE as u32).to_le_bytes());
    table.extend(&0u32.to_le_bytes());
    for (irq, pin, flags) in [(pit::IRQ, TIMER_PIN, AS_BUS), (power::IRQ, power::IRQ, HIGH_LEVEL)] {
        // Interrupt source override: ISA bus, its interrupt, the pin.
        table.extend(&[2, 10, 0, irq]);
        table.extend(&u32::from(pin).to_le_bytes());
        table.extend(&flags.to_le_bytes());
    }
    // Local APIC NMI: all processors, LINT1.
    table.extend(&[4, 6, 0xff, 0, 0, 1]);
    table.finish()
}
