//! The fixed part at a bundle's start.

use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::{BundleError, MAX_MANIFEST_BYTES};
use crate::file::{File, read_array};

/// What a bundle begins with.
const MAGIC: [u8; 8] = *b"GODWIT\x1aB";
/// The version that is written and read. A change to the header or to the manifest's types is a new one.
pub(super) const VERSION: u32 = 2;
/// Bytes of the header; the manifest follows.
pub(super) const HEADER_BYTES: u64 = 32;

/// The header: where the manifest ends, and what the rest must be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Header {
    /// Length of the manifest.
    pub(super) manifest_bytes: u32,
    /// XXH3 sum of the manifest, with the bundle's length as seed: a changed header is noticed as well.
    pub(super) manifest_sum: u64,
    /// Length of the bundle.
    pub(super) bundle_bytes: u64,
}

impl Header {
    /// The header for `manifest` in a bundle of `bundle_bytes`.
    pub(super) fn new(manifest: &[u8], manifest_bytes: u32, bundle_bytes: u64) -> Self {
        Self { manifest_bytes, manifest_sum: xxh3_64_with_seed(manifest, bundle_bytes), bundle_bytes }
    }

    /// Whether `manifest` is the one that was written.
    pub(super) fn belongs_to(self, manifest: &[u8]) -> bool {
        xxh3_64_with_seed(manifest, self.bundle_bytes) == self.manifest_sum
    }

    pub(super) fn encode(self) -> [u8; HEADER_BYTES as usize] {
        let mut bytes = [0; HEADER_BYTES as usize];
        bytes[0..8].copy_from_slice(&MAGIC);
        bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.manifest_bytes.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.manifest_sum.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.bundle_bytes.to_le_bytes());
        bytes
    }

    /// Reads and checks the header of `source`.
    pub(super) fn read(source: &dyn File) -> Result<Self, BundleError> {
        if read_array::<8>(source, 0)? != MAGIC {
            return Err(BundleError::NotABundle);
        }
        let version = u32::from_le_bytes(read_array(source, 8)?);
        if version != VERSION {
            return Err(BundleError::Version { version });
        }
        let header = Self {
            manifest_bytes: u32::from_le_bytes(read_array(source, 12)?),
            manifest_sum: u64::from_le_bytes(read_array(source, 16)?),
            bundle_bytes: u64::from_le_bytes(read_array(source, 24)?),
        };
        if header.manifest_bytes > MAX_MANIFEST_BYTES {
            return Err(BundleError::ManifestTooLong { bytes: header.manifest_bytes });
        }
        let least = HEADER_BYTES + u64::from(header.manifest_bytes);
        let wanted = header.bundle_bytes.max(least);
        // A boot loader may hand over more than the file: whole pages, for one.
        if source.bytes() < wanted {
            return Err(BundleError::Truncated { wanted, found: source.bytes() });
        }
        Ok(header)
    }
}
