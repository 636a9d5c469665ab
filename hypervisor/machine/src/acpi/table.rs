//! System description tables: header, checksum, and the list of all of them (ACPI 6.5, 5.2.6 to 5.2.8).

use alloc::{format, vec::Vec};
use core::fmt;

use super::{notes::Notes, rsdp::Rsdp};
use crate::{
    fields::{bytes_at, u8_at, u32_at, u64_at},
    physical::PhysicalMemory,
};

/// Bytes of `DESCRIPTION_HEADER` (table 5.4).
pub(crate) const HEADER_BYTES: usize = 36;
/// The longest table that is read.
pub(crate) const MAX_TABLE_BYTES: usize = 1 << 20;
/// Entries of the list of tables that are looked at. Machines have a few dozen.
const MAX_TABLES: usize = 512;

/// A table's four-letter name.
pub(crate) type Signature = [u8; 4];

/// A table whose length and checksum are right.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    /// All of it, the header counted, so that offsets are those of the specification.
    pub(crate) bytes: Vec<u8>,
}

/// Why a table was refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum TableError {
    /// Part of it cannot be read.
    Unreadable,
    /// It is another table than the one that should be there.
    Signature { found: Signature },
    /// It is too short for a header or absurdly long.
    Length { bytes: u32 },
    /// The sum of its bytes is not zero.
    Checksum { off_by: u8 },
    /// There is no heap left to hold it.
    NoMemory { bytes: u32 },
}

/// Where a table lies and which it claims to be; nothing of it has been checked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct TablePointer {
    pub(crate) signature: Signature,
    pub(crate) address: u64,
}

/// The sum of all bytes, which is 0 for a good structure.
pub(crate) fn checksum(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0, |sum, byte| sum.wrapping_add(*byte))
}

impl Table {
    /// Reads and checks the table at `address`, which must be a `signature`.
    pub(crate) fn load(
        memory: &impl PhysicalMemory,
        address: u64,
        signature: Signature,
    ) -> Result<Self, TableError> {
        let mut header = [0; HEADER_BYTES];
        memory.read(address, &mut header).map_err(|_| TableError::Unreadable)?;
        let found = bytes_at(&header, 0).ok_or(TableError::Unreadable)?;
        if found != signature {
            return Err(TableError::Signature { found });
        }
        let bytes = u32_at(&header, 4).ok_or(TableError::Unreadable)?;
        let length = bytes as usize;
        if !(HEADER_BYTES..=MAX_TABLE_BYTES).contains(&length) {
            return Err(TableError::Length { bytes });
        }
        let mut content = Vec::new();
        content.try_reserve_exact(length).map_err(|_| TableError::NoMemory { bytes })?;
        content.resize(length, 0);
        memory.read(address, &mut content).map_err(|_| TableError::Unreadable)?;
        match checksum(&content) {
            0 => Ok(Self { bytes: content }),
            off_by => Err(TableError::Checksum { off_by }),
        }
    }
}

/// Every table that the root pointer leads to, in the firmware's order, each address once.
///
/// The XSDT counts; where it is missing or refused, the RSDT does.
pub(crate) fn list(memory: &impl PhysicalMemory, rsdp: &Rsdp, notes: &mut Notes) -> Vec<TablePointer> {
    let roots = [(rsdp.xsdt, *b"XSDT", 8), (rsdp.rsdt, *b"RSDT", 4)];
    for (address, signature, entry_bytes) in roots {
        let Some(address) = address else { continue };
        match Table::load(memory, address, signature) {
            Ok(root) => return walk(memory, &root, entry_bytes, notes),
            Err(error) => notes.add(|| refusal(signature, address, error)),
        }
    }
    notes.add(|| format!("ACPI RSDP at {:#x}: leads to no list of tables", rsdp.address));
    Vec::new()
}

/// The entries of the list `root`, each `entry_bytes` long (5.2.7, 5.2.8).
fn walk(
    memory: &impl PhysicalMemory,
    root: &Table,
    entry_bytes: usize,
    notes: &mut Notes,
) -> Vec<TablePointer> {
    let entries = root.bytes.get(HEADER_BYTES..).unwrap_or_default().chunks_exact(entry_bytes);
    if entries.len() > MAX_TABLES {
        notes.add(|| format!("ACPI: {} tables are listed; the first {MAX_TABLES} are used", entries.len()));
    }
    let mut found: Vec<TablePointer> = Vec::new();
    for entry in entries.take(MAX_TABLES) {
        let Some(address) = u64_at(entry, 0).or_else(|| u32_at(entry, 0).map(u64::from)) else { continue };
        // Firmware leaves null entries for tables that it did not build.
        if address == 0 || found.iter().any(|pointer| pointer.address == address) {
            continue;
        }
        let mut signature = [0; 4];
        if memory.read(address, &mut signature).is_err() {
            notes.add(|| format!("ACPI table at {address:#x}: cannot be read; left out"));
            continue;
        }
        found.push(TablePointer { signature, address });
    }
    found
}

/// The first table of that name that is whole; those before it leave a note, those after it too.
pub(crate) fn load_first(
    memory: &impl PhysicalMemory,
    tables: &[TablePointer],
    signature: Signature,
    notes: &mut Notes,
) -> Option<Table> {
    let mut loaded = None;
    for pointer in tables.iter().filter(|pointer| pointer.signature == signature) {
        if loaded.is_some() {
            let (name, address) = (Name(signature), pointer.address);
            notes.add(|| format!("ACPI {name} at {address:#x}: there is one already; left out"));
            continue;
        }
        match Table::load(memory, pointer.address, signature) {
            Ok(table) => loaded = Some(table),
            Err(error) => notes.add(|| refusal(signature, pointer.address, error)),
        }
    }
    loaded
}

/// The note that says that a table was refused, and why.
pub(crate) fn refusal(signature: Signature, address: u64, error: TableError) -> alloc::string::String {
    format!("ACPI {} at {address:#x}: {error}; refused", Name(signature))
}

/// A table's name for a person: the usual one where the signature is another, and never a control character.
pub(crate) struct Name(pub(crate) Signature);

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            b"APIC" => f.write_str("MADT"),
            b"FACP" => f.write_str("FADT"),
            other => write!(f, "{}", other.escape_ascii()),
        }
    }
}

impl fmt::Display for TableError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable => write!(f, "cannot be read"),
            Self::Signature { found } => write!(f, "holds \"{}\"", found.escape_ascii()),
            Self::Length { bytes } => {
                write!(f, "is {bytes} bytes long, not {HEADER_BYTES} to {MAX_TABLE_BYTES}")
            }
            Self::Checksum { off_by } => write!(f, "its checksum is off by {off_by:#04x}"),
            Self::NoMemory { bytes } => write!(f, "there is no heap for its {bytes} bytes"),
        }
    }
}

/// The byte at `offset` of a table, 0 where an older revision ends before it: a zero field says "absent" in
/// ACPI.
pub(crate) fn u8_or_zero(table: &Table, offset: usize) -> u8 {
    u8_at(&table.bytes, offset).unwrap_or(0)
}

/// The 32-bit field at `offset` of a table, likewise.
pub(crate) fn u32_or_zero(table: &Table, offset: usize) -> u32 {
    u32_at(&table.bytes, offset).unwrap_or(0)
}

/// The 64-bit field at `offset` of a table, likewise.
pub(crate) fn u64_or_zero(table: &Table, offset: usize) -> u64 {
    u64_at(&table.bytes, offset).unwrap_or(0)
}
