//! The FADT: the board's fixed hardware (ACPI 6.5, table 5.9).

use alloc::vec::Vec;

use godwit_guest::GuestAddress;

use super::writer::Table;
use crate::{power, reset, rtc};

/// The length of revision 6.
const BYTES: usize = 276;

/// What the boot flags say: ISA devices (COM1) are there, and neither VGA nor PCI Express power management.
/// That the flag for a keyboard controller (bit 1) is clear says that there is none.
const BOOT_FLAGS: u16 = LEGACY_DEVICES | NO_VGA | NO_ASPM;
const LEGACY_DEVICES: u16 = 1 << 0;
const NO_VGA: u16 = 1 << 2;
const NO_ASPM: u16 = 1 << 4;

/// The feature flags. The power button and the clock's alarm are fixed ones (bits 4 and 6 clear), the hardware is not
/// reduced (bit 20 clear).
const FLAGS: u32 = WBINVD | PROC_C1 | NO_SLEEP_BUTTON | TIMER_32_BITS | RESET_REGISTER;
const WBINVD: u32 = 1 << 0;
const PROC_C1: u32 = 1 << 2;
const NO_SLEEP_BUTTON: u32 = 1 << 5;
const TIMER_32_BITS: u32 = 1 << 8;
const RESET_REGISTER: u32 = 1 << 10;

/// A latency so long that the C state is not there (C2, C3).
const NO_C2_US: u16 = 101;
const NO_C3_US: u16 = 1001;

/// A generic address structure in I/O space (5.2.3.2).
fn port(port: u16, bits: u8) -> [u8; 12] {
    const IO_SPACE: u8 = 1;
    // 1 is byte access, 2 word, 3 double word; event registers are words in a block of two.
    let access = match bits {
        8 => 1,
        16 => 2,
        _ => 3,
    };
    let [low, high] = port.to_le_bytes();
    [IO_SPACE, bits, 0, access, low, high, 0, 0, 0, 0, 0, 0]
}

/// The FACS has only its 32-bit address filled in, the DSDT both, as 5.2.9 asks for.
pub(super) fn table(facs: GuestAddress, dsdt: GuestAddress) -> Vec<u8> {
    let mut table = Table::new(b"FACP", 6);
    table.resize(BYTES);
    let low = |address: GuestAddress| (address.0 as u32).to_le_bytes();
    let io = |port: u16| u32::from(port).to_le_bytes();
    table.put(36, &low(facs));
    table.put(40, &low(dsdt));
    table.put(46, &u16::from(power::IRQ).to_le_bytes());
    // SMI_CMD at 48 stays 0: the board is always in ACPI mode.
    table.put(56, &io(power::EVENT_PORT));
    table.put(64, &io(power::CONTROL_PORT));
    table.put(76, &io(power::TIMER_PORT));
    // Lengths of event, control, PM2 control (none) and timer block.
    table.put(88, &[4, 2, 0, 4]);
    table.put(96, &NO_C2_US.to_le_bytes());
    table.put(98, &NO_C3_US.to_le_bytes());
    table.put(108, &[rtc::CENTURY_REGISTER]);
    table.put(109, &BOOT_FLAGS.to_le_bytes());
    table.put(112, &FLAGS.to_le_bytes());
    table.put(116, &port(reset::CONTROL_PORT, 8));
    table.put(128, &[reset::CONTROL_RESET]);
    // Minor version of revision 6.5.
    table.put(131, &[5]);
    table.put(140, &dsdt.0.to_le_bytes());
    table.put(148, &port(power::EVENT_PORT, 32));
    table.put(172, &port(power::CONTROL_PORT, 16));
    table.put(208, &port(power::TIMER_PORT, 32));
    table.put(268, b"Godwit\0\0");
    table.finish()
}
