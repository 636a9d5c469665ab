//! The PCI Express memory-mapped configuration table (PCI Firmware Specification 3.3, 4.1.2).

use alloc::{format, vec::Vec};

use super::{
    notes::Notes,
    table::{HEADER_BYTES, Table},
};
use crate::{
    fields::{u8_at, u16_at, u64_at},
    physical::PHYSICAL_END,
};

/// Offset of the first entry: the header and 8 reserved bytes.
const ENTRIES: usize = HEADER_BYTES + 8;
/// Bytes of one entry (table 4-3).
const ENTRY_BYTES: usize = 16;
/// Regions that are kept; large machines have a dozen.
const MAX_REGIONS: usize = 256;
/// Bytes of configuration space of one bus: 32 devices of 8 functions of 4 KiB.
const BUS_BYTES: u64 = 1 << 20;
/// Configuration space of a range of buses, in memory (PCI Express 6.0, 7.2.2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EcamRegion {
    /// Physical address where bus 0 of the segment would lie; the region starts `start_bus` MiB after it.
    pub base: u64,
    /// Segment group.
    pub segment: u16,
    /// First bus.
    pub start_bus: u8,
    /// Last bus.
    pub end_bus: u8,
}

impl EcamRegion {
    /// Physical address of the first byte of the region.
    pub const fn start(&self) -> u64 {
        self.base + self.start_bus as u64 * BUS_BYTES
    }

    /// Length of the region in bytes.
    pub const fn bytes(&self) -> u64 {
        (self.end_bus as u64 - self.start_bus as u64 + 1) * BUS_BYTES
    }
}

/// Reads the whole table; entries that are wrong leave a note and the rest counts.
pub(crate) fn parse(table: &Table, notes: &mut Notes) -> Vec<EcamRegion> {
    let mut regions: Vec<EcamRegion> = Vec::new();
    for entry in table.bytes.get(ENTRIES..).unwrap_or_default().chunks_exact(ENTRY_BYTES).take(MAX_REGIONS) {
        let (Some(base), Some(segment), Some(start_bus), Some(end_bus)) =
            (u64_at(entry, 0), u16_at(entry, 8), u8_at(entry, 10), u8_at(entry, 11))
        else {
            continue;
        };
        let region = EcamRegion { base, segment, start_bus, end_bus };
        match wrong(&region, &regions) {
            None => regions.push(region),
            Some(wrong) => notes.add(|| {
                format!("ACPI MCFG: segment {segment} buses {start_bus} to {end_bus} at {base:#x} {wrong}; left out")
            }),
        }
    }
    regions
}

fn wrong(region: &EcamRegion, known: &[EcamRegion]) -> Option<&'static str> {
    if region.start_bus > region.end_bus {
        return Some("are in the wrong order");
    }
    if region.base == 0 || !region.base.is_multiple_of(BUS_BYTES) {
        return Some("do not start on a MiB");
    }
    let length = (u64::from(region.end_bus) + 1) * BUS_BYTES;
    if region.base.checked_add(length).is_none_or(|end| end > PHYSICAL_END) {
        return Some("end beyond the physical address space");
    }
    let overlaps = known.iter().any(|other| {
        other.segment == region.segment
            && other.start_bus <= region.end_bus
            && region.start_bus <= other.end_bus
    });
    overlaps.then_some("were listed already")
}
