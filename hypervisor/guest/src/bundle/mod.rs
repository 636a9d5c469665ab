//! Bundles: guests and the files they boot from, in one boot module.
//!
//! ```text
//! 0     header      magic, version, length and sum of the manifest, length of the bundle; 32 bytes, little-endian
//! 32    manifest    postcard: the files (name, place, sum) and the guests that boot from them
//! 4096n file        from a multiple of 4096 on; zeros fill the gaps
//! ```
//!
//! [`Builder`] writes and [`Bundle::read`] reads the same definition. Whatever is wrong with one guest refuses that guest
//! alone; only a bundle whose header or manifest is damaged is refused as a whole. Reading takes the manifest alone: files are
//! summed in bounded steps, by [`FileSum`], before a guest boots from them.

mod build;
mod error;
mod header;
mod manifest;
mod read;
mod sum;

use alloc::{string::String, vec::Vec};

pub use build::{Builder, FileId};
pub use error::{BuildError, BundleError, GuestError};
pub use sum::{FileSum, SumError};

use crate::{
    description::GuestDescription,
    file::{File, Truncated},
};

/// Files begin at multiples of this.
pub const FILE_ALIGNMENT: u64 = 4096;
/// Guests in a bundle at most.
pub const MAX_GUESTS: usize = 256;
/// Files in a bundle at most.
pub const MAX_FILES: usize = 512;
/// Bytes in the longest name of a file.
pub const MAX_FILE_NAME: usize = 255;
/// Bytes of the longest manifest: what the counts and lengths above allow fits.
pub const MAX_MANIFEST_BYTES: u32 = 1 << 20;

/// What a bundle holds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Bundle {
    guests: Vec<Guest>,
    refused: Vec<Refused>,
}

impl Bundle {
    /// The guests that can be tried, in the order of the bundle; no two have one name.
    pub fn guests(&self) -> &[Guest] {
        &self.guests
    }

    /// The guests that cannot, and why.
    pub fn refused(&self) -> &[Refused] {
        &self.refused
    }
}

/// A guest of a bundle.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Guest {
    /// What it is to be. Its memory is one that a layout exists for.
    pub description: GuestDescription,
    /// The kernel.
    pub kernel: FileRange,
    /// The initial RAM disk.
    pub initrd: Option<FileRange>,
}

/// A guest of a bundle that cannot be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refused {
    /// Which, counted from 0.
    pub index: usize,
    /// Its name as the bundle has it, whatever it looks like.
    pub name: String,
    /// Why not.
    pub error: GuestError,
}

/// Where a file lies in a bundle.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FileRange {
    /// What it was called where the bundle was built.
    pub name: String,
    /// Its first byte, from the start of the bundle.
    pub offset: u64,
    /// Its length.
    pub bytes: u64,
    /// Its XXH3 sum, 64 bits, seed 0.
    pub sum: u64,
}

impl FileRange {
    /// The file, read from the `bundle` it lies in.
    pub fn within<'f>(&'f self, bundle: &'f dyn File) -> PackedFile<'f> {
        PackedFile { range: self, bundle }
    }
}

/// A file in a bundle.
#[derive(Clone, Copy)]
pub struct PackedFile<'f> {
    range: &'f FileRange,
    bundle: &'f dyn File,
}

impl File for PackedFile<'_> {
    fn name(&self) -> &str {
        &self.range.name
    }

    fn bytes(&self) -> u64 {
        self.range.bytes
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), Truncated> {
        let end = offset.checked_add(out.len() as u64).ok_or(Truncated)?;
        if end > self.range.bytes {
            return Err(Truncated);
        }
        self.bundle.read(self.range.offset.checked_add(offset).ok_or(Truncated)?, out)
    }
}

#[cfg(test)]
mod tests;
