//! The root system description pointer: where the list of tables lies (ACPI 6.5, 5.2.5).

use alloc::format;
use core::fmt;

use super::{notes::Notes, table::checksum};
use crate::{
    fields::{u32_at, u64_at},
    physical::PhysicalMemory,
};

/// What the structure begins with, on a 16-byte boundary.
const SIGNATURE: [u8; 8] = *b"RSD PTR ";
/// Bytes of the structure of ACPI 1.0, which its first checksum covers.
const V1_BYTES: usize = 20;
/// Bytes of the structure since ACPI 2.0, which its extended checksum covers.
const V2_BYTES: usize = 36;
/// Where the BIOS keeps the segment of its extended data area.
const EBDA_SEGMENT: u64 = 0x40e;
/// How much of the extended data area is searched (5.2.5.1).
const EBDA_SEARCHED_BYTES: u64 = 1024;
/// The BIOS read-only memory that is searched (5.2.5.1).
const BIOS_START: u64 = 0xe_0000;
const BIOS_END: u64 = 0x10_0000;
/// The structure's alignment.
const STEP: usize = 16;

/// A root pointer whose checksums are right.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Rsdp {
    /// Where it lies.
    pub(crate) address: u64,
    /// The list of tables by 32-bit addresses.
    pub(crate) rsdt: Option<u64>,
    /// The list of tables by 64-bit addresses, to be preferred.
    pub(crate) xsdt: Option<u64>,
}

/// Why there is no root pointer at an address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum RsdpError {
    Unreadable,
    NoSignature,
    Checksum { off_by: u8 },
}

/// The root pointer at `given`, else the first good one where a BIOS leaves it.
pub(crate) fn find(memory: &impl PhysicalMemory, given: Option<u64>, notes: &mut Notes) -> Option<Rsdp> {
    if let Some(address) = given {
        match read(memory, address, notes) {
            Ok(rsdp) => return Some(rsdp),
            Err(error) => notes.add(|| {
                format!("ACPI RSDP at {address:#x}, as the boot path names it: {error}; the BIOS areas are searched")
            }),
        }
    }
    let found = ebda(memory)
        .and_then(|start| scan(memory, start, start + EBDA_SEARCHED_BYTES, notes))
        .or_else(|| scan(memory, BIOS_START, BIOS_END, notes));
    if found.is_none() {
        notes.add(|| {
            "ACPI: there is no root pointer (RSDP); the host runs on one CPU and cannot switch the machine off".into()
        });
    }
    found
}

/// Where the extended BIOS data area starts, if the BIOS names a place below the video memory.
fn ebda(memory: &impl PhysicalMemory) -> Option<u64> {
    let mut segment = [0; 2];
    memory.read(EBDA_SEGMENT, &mut segment).ok()?;
    let start = u64::from(u16::from_le_bytes(segment)) << 4;
    (0x500..=0xa_0000 - EBDA_SEARCHED_BYTES).contains(&start).then_some(start)
}

fn scan(memory: &impl PhysicalMemory, start: u64, end: u64, notes: &mut Notes) -> Option<Rsdp> {
    (start..end).step_by(STEP).find_map(|address| match read(memory, address, notes) {
        Ok(rsdp) => Some(rsdp),
        Err(RsdpError::Unreadable | RsdpError::NoSignature) => None,
        Err(error) => {
            notes.add(|| format!("ACPI RSDP at {address:#x}: {error}; the search goes on"));
            None
        }
    })
}

/// Reads the structure at `address` (table 5.3). A bad extended part is left out with a note: the first part
/// still counts.
fn read(memory: &impl PhysicalMemory, address: u64, notes: &mut Notes) -> Result<Rsdp, RsdpError> {
    let mut v1 = [0; V1_BYTES];
    let (signature, _) = v1.split_at_mut(SIGNATURE.len());
    memory.read(address, signature).map_err(|_| RsdpError::Unreadable)?;
    if signature != SIGNATURE {
        return Err(RsdpError::NoSignature);
    }
    memory.read(address, &mut v1).map_err(|_| RsdpError::Unreadable)?;
    match checksum(&v1) {
        0 => (),
        off_by => return Err(RsdpError::Checksum { off_by }),
    }
    // Offset 15: revision; 16: RsdtAddress.
    let [.., revision, _, _, _, _] = v1;
    let rsdt = u32_at(&v1, 16).map(u64::from).filter(|&address| address != 0);
    let xsdt = if revision < 2 { None } else { read_xsdt_address(memory, address, notes) };
    Ok(Rsdp { address, rsdt, xsdt })
}

fn read_xsdt_address(memory: &impl PhysicalMemory, address: u64, notes: &mut Notes) -> Option<u64> {
    let mut v2 = [0; V2_BYTES];
    // Offset 24: XsdtAddress. The length at 20 is not looked at: only 36 bytes are defined, and ACPICA, which
    // firmware is tested with, checks these whatever the field says.
    let wrong = if memory.read(address, &mut v2).is_err() {
        "cannot be read"
    } else if checksum(&v2) != 0 {
        "has a wrong checksum"
    } else {
        return u64_at(&v2, 24).filter(|&address| address != 0);
    };
    notes.add(|| format!("ACPI RSDP at {address:#x}: its extended part {wrong}; its RSDT is used"));
    None
}

impl fmt::Display for RsdpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable => write!(f, "cannot be read"),
            Self::NoSignature => write!(f, "has no signature"),
            Self::Checksum { off_by } => write!(f, "its checksum is off by {off_by:#04x}"),
        }
    }
}
