//! The ACPI tables that a guest finds (ACPI 6.5, chapter 5): RSDP, XSDT, FADT, FACS, DSDT, MADT.
//!
//! They say what the board has and nothing more: no keyboard controller, no VGA, a CMOS clock, one IO-APIC.

mod dsdt;
mod fadt;
mod madt;
#[cfg(test)]
mod tests;
mod writer;

use alloc::vec;
use alloc::vec::Vec;

use godwit_guest::GuestAddress;

use writer::{Area, Table, checksum};

/// Where the loader puts the tables: the last 128 KiB below 1 MiB, where systems look for the RSDP.
pub const RECOMMENDED: GuestAddress = GuestAddress(0xe_0000);
/// Who made the tables.
const MAKER: &[u8; 6] = b"GODWIT";

/// All tables, ready to be copied into guest memory.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AcpiTables {
    /// What to write, from the address on that they were built for.
    pub bytes: Vec<u8>,
    /// Where the RSDP will be then.
    pub rsdp: GuestAddress,
}

/// Builds the tables for `cpus` processors (with APIC ids from 0 on), to be written at `at`, below 4 GiB.
pub fn build(at: GuestAddress, cpus: u8) -> AcpiTables {
    const RSDP_BYTES: usize = 36;
    let mut area = Area::new(at);
    let rsdp = area.place(16, &[0; RSDP_BYTES]);
    let facs = area.place(64, &facs());
    let dsdt = area.place(16, &dsdt::table());
    let fadt = area.place(16, &fadt::table(facs, dsdt));
    let madt = area.place(16, &madt::table(cpus));
    let mut xsdt = Table::new(b"XSDT", 1);
    for table in [fadt, madt] {
        xsdt.extend(&table.0.to_le_bytes());
    }
    let xsdt = area.place(16, &xsdt.finish());
    area.replace(rsdp, &root_pointer(xsdt));
    AcpiTables { bytes: area.into_bytes(), rsdp }
}

/// The firmware control structure (5.2.10): no waking, no global lock held.
fn facs() -> Vec<u8> {
    let mut bytes = vec![0; 64];
    let fields: [(usize, &[u8]); 3] = [(0, b"FACS"), (4, &64u32.to_le_bytes()), (32, &[2])];
    for (at, field) in fields {
        writer::put(&mut bytes, at, field);
    }
    bytes
}

/// The RSDP (5.2.5.3), with a sum over its first 20 bytes and one over all.
fn root_pointer(xsdt: GuestAddress) -> Vec<u8> {
    let mut bytes = vec![0; 36];
    let fields: [(usize, &[u8]); 5] =
        [(0, b"RSD PTR "), (9, MAKER), (15, &[2]), (20, &36u32.to_le_bytes()), (24, &xsdt.0.to_le_bytes())];
    for (at, field) in fields {
        writer::put(&mut bytes, at, field);
    }
    let first = checksum(bytes.iter().take(20));
    writer::put(&mut bytes, 8, &[first]);
    let whole = checksum(bytes.iter());
    writer::put(&mut bytes, 32, &[whole]);
    bytes
}
