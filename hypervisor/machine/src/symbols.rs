//! Function names by address, from the symbol blob that the image carries.
//!
//! The blob, all numbers little-endian: the magic `GWSYMS01`, the count of symbols (u32), the length of the
//! names in bytes (u32); for each symbol its address (u64), its name's offset in the names (u32) and length
//! (u32), sorted by address; then the names, in UTF-8.
//!
//! A lookup allocates nothing, takes no lock and cannot fail on a damaged blob: fault reports use it.
#![forbid(unsafe_code)]

use core::fmt;

use crate::fields::{bytes_at, u32_at, u64_at};

#[cfg(test)]
mod tests;

/// What a blob begins with.
pub const MAGIC: [u8; 8] = *b"GWSYMS01";
/// Bytes before the first symbol.
pub const HEADER_BYTES: usize = 16;
/// Bytes of one symbol's entry.
pub const ENTRY_BYTES: usize = 16;

/// A symbol blob whose parts are all there. Its entries are looked at only when they are needed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Symbols<'a> {
    entries: &'a [[u8; ENTRY_BYTES]],
    names: &'a [u8],
}

/// Why bytes are no symbol blob.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SymbolsError {
    /// It begins with something else.
    BadMagic,
    /// It ends before what its header announces.
    Cut,
}

impl<'a> Symbols<'a> {
    /// The blob at the start of `bytes`; what follows it is left alone.
    ///
    /// # Errors
    /// [`SymbolsError`] where there is none.
    pub fn new(bytes: &'a [u8]) -> Result<Self, SymbolsError> {
        if bytes_at(bytes, 0) != Some(MAGIC) {
            return Err(SymbolsError::BadMagic);
        }
        Self::split(bytes).ok_or(SymbolsError::Cut)
    }

    fn split(bytes: &'a [u8]) -> Option<Self> {
        let count = u32_at(bytes, 8)? as usize;
        let names_bytes = u32_at(bytes, 12)? as usize;
        let (entries, rest) = bytes.get(HEADER_BYTES..)?.split_at_checked(count.checked_mul(ENTRY_BYTES)?)?;
        let (entries, _) = entries.as_chunks();
        Some(Self { entries, names: rest.get(..names_bytes)? })
    }

    /// The name of the last symbol at or below `address`, and how many bytes beyond it `address` lies.
    ///
    /// Symbols have no length: the caller knows where code ends. `None` below the first symbol, and where a
    /// damaged blob gives no name.
    pub fn lookup(&self, address: u64) -> Option<(&'a str, u64)> {
        let above = self.entries.partition_point(|entry| start(entry).is_some_and(|start| start <= address));
        let entry = self.entries.get(above.checked_sub(1)?)?;
        let offset = address.checked_sub(start(entry)?)?;
        let name_start = u32_at(entry, 8)? as usize;
        let name_end = name_start.checked_add(u32_at(entry, 12)? as usize)?;
        let name = core::str::from_utf8(self.names.get(name_start..name_end)?).ok()?;
        Some((name, offset))
    }
}

fn start(entry: &[u8; ENTRY_BYTES]) -> Option<u64> {
    u64_at(entry, 0)
}

impl fmt::Display for SymbolsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BadMagic => "there are no symbols: the magic GWSYMS01 is missing",
            Self::Cut => "the symbols end before what their header announces",
        })
    }
}

impl core::error::Error for SymbolsError {}
