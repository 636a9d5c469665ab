//! The DSDT: what systems can only learn by AML. That is the sleep type for powering off.

use alloc::vec::Vec;

use super::writer::Table;
use crate::power::SLEEP_TYPE_S5;

/// `Name (\_S5_, Package () { 5, 5, 0, 0 })` (ACPI 6.5, 7.4.2 and 20.2).
const SLEEP_STATE_5: [u8; 14] = [
    0x08, // NameOp
    b'_',
    b'S',
    b'5',
    b'_',
    0x12, // PackageOp
    0x08, // length of the package: this byte and those that follow
    0x04, // four elements
    0x0a, // BytePrefix: the sleep type for PM1a_CNT
    SLEEP_TYPE_S5,
    0x0a, // BytePrefix: the sleep type for PM1b_CNT, which there is not
    SLEEP_TYPE_S5,
    0x00, // ZeroOp: reserved
    0x00, // ZeroOp: reserved
];

pub(super) fn table() -> Vec<u8> {
    let mut table = Table::new(b"DSDT", 2);
    table.extend(&SLEEP_STATE_5);
    table.finish()
}
