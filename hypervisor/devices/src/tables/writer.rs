//! Laying out tables: the header all share (ACPI 6.5, 5.2.6), checksums, placement.

use alloc::vec::Vec;

use godwit_guest::GuestAddress;

use super::MAKER;

/// Where the header has the table's length.
const LENGTH_AT: usize = 4;
/// Where the header has the checksum.
const CHECKSUM_AT: usize = 9;

/// One table that grows.
pub(super) struct Table {
    bytes: Vec<u8>,
}

impl Table {
    pub(super) fn new(signature: &[u8; 4], revision: u8) -> Self {
        let mut table = Self { bytes: Vec::new() };
        table.extend(signature);
        // Length; filled in at the end, as is the checksum.
        table.extend(&[0; 4]);
        table.extend(&[revision, 0]);
        table.extend(MAKER);
        table.extend(b"BOARD   ");
        // OEM revision, maker and version of the tool that wrote it.
        table.extend(&1u32.to_le_bytes());
        table.extend(b"GDWT");
        table.extend(&1u32.to_le_bytes());
        table
    }

    pub(super) fn extend(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Makes the table `bytes` long.
    pub(super) fn resize(&mut self, bytes: usize) {
        self.bytes.resize(bytes, 0);
    }

    /// Writes a field; what would lie behind the end is dropped.
    pub(super) fn put(&mut self, at: usize, field: &[u8]) {
        put(&mut self.bytes, at, field);
    }

    pub(super) fn finish(mut self) -> Vec<u8> {
        let length = self.bytes.len() as u32;
        self.put(LENGTH_AT, &length.to_le_bytes());
        let sum = checksum(self.bytes.iter());
        self.put(CHECKSUM_AT, &[sum]);
        self.bytes
    }
}

/// What has to be added to `bytes` for a sum of 0.
pub(super) fn checksum<'a>(bytes: impl Iterator<Item = &'a u8>) -> u8 {
    bytes.fold(0u8, |sum, byte| sum.wrapping_add(*byte)).wrapping_neg()
}

/// Copies `field` to `at` in `bytes`, as far as it fits.
pub(super) fn put(bytes: &mut [u8], at: usize, field: &[u8]) {
    for (to, from) in bytes.iter_mut().skip(at).zip(field) {
        *to = *from;
    }
}

/// Guest memory that is filled from its start on.
pub(super) struct Area {
    at: GuestAddress,
    bytes: Vec<u8>,
}

impl Area {
    pub(super) fn new(at: GuestAddress) -> Self {
        Self { at, bytes: Vec::new() }
    }

    /// Adds `table` at the next multiple of `alignment` and says where.
    pub(super) fn place(&mut self, alignment: u64, table: &[u8]) -> GuestAddress {
        while !self.end().is_multiple_of(alignment) {
            self.bytes.push(0);
        }
        let at = self.end();
        self.bytes.extend_from_slice(table);
        GuestAddress(at)
    }

    /// Writes over what was placed at `at`.
    pub(super) fn replace(&mut self, at: GuestAddress, table: &[u8]) {
        put(&mut self.bytes, at.0.wrapping_sub(self.at.0) as usize, table);
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    fn end(&self) -> u64 {
        self.at.0.wrapping_add(self.bytes.len() as u64)
    }
}
