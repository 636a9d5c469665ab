//! How to switch the machine off: entering S5 (ACPI 6.5, 7.4.2 and 16.1.7).

use alloc::format;

use super::{
    fadt::{AcpiEnable, Fadt, Pm1},
    notes::Notes,
    register::Register,
    sleep::{SleepTypes, find_s5},
    table::{HEADER_BYTES, Table, TablePointer, refusal},
};
use crate::physical::PhysicalMemory;

/// Secondary tables that are searched for `_S5_`.
const MAX_SSDTS: usize = 64;

/// How to switch the machine off.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PowerOff {
    /// By the PM1 control registers: take them over where `enable` says how and SCI_EN is clear, clear what
    /// is pending in `status` by writing ones, then write [`PowerOff::pm1_control`] to block a and to block
    /// b.
    Pm1 {
        /// PM1 status registers, 16 bits each.
        status: Option<Pm1>,
        /// PM1 control registers, 16 bits each.
        control: Pm1,
        /// What to write to their SLP_TYP.
        sleep_types: SleepTypes,
        /// How to take them over from the firmware.
        enable: Option<AcpiEnable>,
    },
    /// By the sleep control register of a hardware-reduced machine: write [`PowerOff::sleep_control`] to it.
    SleepControl {
        /// The 8-bit register.
        register: Register,
        /// What to write to its SLP_TYP.
        sleep_type: u8,
    },
}

impl PowerOff {
    /// Bit 0 of PM1 control, SCI_EN: the registers belong to the system, not to the firmware (table 4.13).
    pub const SCI_EN: u16 = 1;

    /// Bit 13 of PM1 control, SLP_EN: go to sleep now (table 4.13).
    pub const SLP_EN: u16 = 1 << 13;

    /// What to write to a PM1 control register that reads as `current` (table 4.13): SLP_TYP in bits 12:10,
    /// SLP_EN in bit 13.
    pub const fn pm1_control(current: u16, sleep_type: u8) -> u16 {
        current & !(7 << 10) | (sleep_type as u16 & 7) << 10 | Self::SLP_EN
    }

    /// What to write to the sleep control register (table 4.19): SLP_TYP in bits 4:2, SLP_EN in bit 5.
    pub const fn sleep_control(sleep_type: u8) -> u8 {
        (sleep_type & 7) << 2 | 1 << 5
    }
}

/// Puts the registers of the FADT and the sleep types of the AML tables together.
pub(super) fn find(
    memory: &impl PhysicalMemory,
    tables: &[TablePointer],
    fadt: &Fadt,
    notes: &mut Notes,
) -> Option<PowerOff> {
    if fadt.pm1_control.is_none() && fadt.sleep_control.is_none() {
        notes.add(|| "ACPI FADT: names no register to switch the machine off by".into());
        return None;
    }
    let Some(sleep_types) = find_sleep_types(memory, tables, fadt, notes) else {
        notes.add(|| {
            "ACPI: no DSDT or SSDT holds the sleep types of S5; the host cannot switch the machine off".into()
        });
        return None;
    };
    match (fadt.pm1_control, fadt.sleep_control) {
        (Some(control), _) => {
            Some(PowerOff::Pm1 { status: fadt.pm1_status, control, sleep_types, enable: fadt.enable })
        }
        (None, Some(register)) => Some(PowerOff::SleepControl { register, sleep_type: sleep_types.a }),
        (None, None) => None,
    }
}

/// Looks into the DSDT, then into the SSDTs, one table in memory at a time.
fn find_sleep_types(
    memory: &impl PhysicalMemory,
    tables: &[TablePointer],
    fadt: &Fadt,
    notes: &mut Notes,
) -> Option<SleepTypes> {
    if fadt.dsdt.is_none() {
        notes.add(|| "ACPI FADT: names no DSDT".into());
    }
    let dsdt = fadt.dsdt.map(|address| TablePointer { signature: *b"DSDT", address });
    let ssdts = tables.iter().copied().filter(|pointer| pointer.signature == *b"SSDT");
    if ssdts.clone().count() > MAX_SSDTS {
        notes.add(|| {
            format!("ACPI: the first {MAX_SSDTS} SSDTs are searched for the sleep types of S5, no more")
        });
    }
    dsdt.into_iter().chain(ssdts.take(MAX_SSDTS)).find_map(|pointer| {
        match Table::load(memory, pointer.address, pointer.signature) {
            Ok(table) => find_s5(table.bytes.get(HEADER_BYTES..)?),
            Err(error) => {
                notes.add(|| refusal(pointer.signature, pointer.address, error));
                None
            }
        }
    })
}
