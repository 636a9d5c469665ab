//! Builds bundles.

use alloc::{string::String, vec::Vec};

use xxhash_rust::xxh3::xxh3_64;

use super::{
    BuildError, FILE_ALIGNMENT, MAX_FILE_NAME, MAX_FILES, MAX_GUESTS, MAX_MANIFEST_BYTES,
    header::{HEADER_BYTES, Header},
    manifest::{FileEntry, GuestEntry, Manifest},
};
use crate::{description::GuestDescription, file::Bytes};

/// A file that a [`Builder`] was given.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FileId(u32);

/// A bundle in the making.
#[derive(Clone, Debug, Default)]
pub struct Builder {
    manifest: Manifest,
    contents: Vec<Vec<u8>>,
}

impl Builder {
    /// A bundle with nothing in it.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a file. One file serves as many guests as name it.
    ///
    /// # Errors
    /// Too many files, or a name that is empty or too long.
    pub fn file(&mut self, name: &str, content: Vec<u8>) -> Result<FileId, BuildError> {
        if !(1..=MAX_FILE_NAME).contains(&name.len()) {
            return Err(BuildError::FileName { bytes: name.len() });
        }
        let index = self.manifest.files.len();
        if index >= MAX_FILES {
            return Err(BuildError::Files);
        }
        self.manifest.files.push(FileEntry {
            name: String::from(name),
            offset: 0,
            bytes: content.len() as u64,
            sum: xxh3_64(&content),
        });
        self.contents.push(content);
        u32::try_from(index).map(FileId).map_err(|_| BuildError::Files)
    }

    /// A file that was added, or `None` for one of another builder.
    pub fn packed(&self, file: FileId) -> Option<Bytes<'_>> {
        let entry = self.manifest.files.get(file.0 as usize)?;
        let bytes = self.contents.get(file.0 as usize)?;
        Some(Bytes { name: &entry.name, bytes })
    }

    /// Adds a guest that boots from files added before.
    ///
    /// # Errors
    /// Too many guests, a name that another guest has, or memory that no guest can have.
    pub fn guest(
        &mut self,
        description: GuestDescription,
        kernel: FileId,
        initrd: Option<FileId>,
    ) -> Result<(), BuildError> {
        if self.manifest.guests.len() >= MAX_GUESTS {
            return Err(BuildError::Guests);
        }
        let name = description.name.as_str();
        if self.manifest.guests.iter().any(|other| other.name == name) {
            return Err(BuildError::NameTwice { name: name.into() });
        }
        if let Err(error) = description.layout() {
            return Err(BuildError::Memory { name: name.into(), error });
        }
        self.manifest.guests.push(GuestEntry::new(description, kernel.0, initrd.map(|file| file.0)));
        Ok(())
    }

    /// The bundle's bytes.
    ///
    /// # Errors
    /// The manifest is too long.
    pub fn build(mut self) -> Result<Vec<u8>, BuildError> {
        let bundle_bytes = self.place()?;
        let manifest = self.encode_manifest()?;
        let manifest_bytes = u32::try_from(manifest.len()).map_err(|_| BuildError::Manifest)?;
        let header = Header::new(&manifest, manifest_bytes, bundle_bytes);
        let mut bundle = Vec::new();
        bundle.extend_from_slice(&header.encode());
        bundle.extend_from_slice(&manifest);
        for content in &self.contents {
            pad(&mut bundle);
            bundle.extend_from_slice(content);
        }
        Ok(bundle)
    }

    /// Gives every file its place, and says where the last one ends. A place is a number of variable length in the
    /// manifest, which lies before the files: places are tried until the manifest fits in front of them.
    fn place(&mut self) -> Result<u64, BuildError> {
        let mut begin = 0u64;
        loop {
            let mut end = begin;
            for file in &mut self.manifest.files {
                file.offset = end.next_multiple_of(FILE_ALIGNMENT);
                end = file.offset + file.bytes;
            }
            let manifest_end = HEADER_BYTES + self.encode_manifest()?.len() as u64;
            if manifest_end <= begin {
                return Ok(if self.manifest.files.is_empty() { manifest_end } else { end });
            }
            begin = manifest_end.next_multiple_of(FILE_ALIGNMENT);
        }
    }

    fn encode_manifest(&self) -> Result<Vec<u8>, BuildError> {
        let bytes = postcard::to_allocvec(&self.manifest).map_err(|_| BuildError::Manifest)?;
        if bytes.len() > MAX_MANIFEST_BYTES as usize {
            return Err(BuildError::Manifest);
        }
        Ok(bytes)
    }
}

fn pad(bundle: &mut Vec<u8>) {
    bundle.resize(bundle.len().next_multiple_of(FILE_ALIGNMENT as usize), 0);
}
