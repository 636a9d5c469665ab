//! Reads bundles.

use alloc::{vec, vec::Vec};

use super::{
    Bundle, BundleError, FileRange, Guest, GuestError, MAX_FILE_NAME, MAX_FILES, MAX_GUESTS, Refused,
    header::{HEADER_BYTES, Header},
    manifest::{FileEntry, GuestEntry, Manifest},
};
use crate::{
    description::{Cap, CommandLine, GuestDescription, GuestName, HostCpus, Processors, VcpuCount, Weight},
    file::File,
};

impl Bundle {
    /// Reads what the bundle `source` holds. The files themselves are not looked at.
    ///
    /// # Errors
    /// [`BundleError`] where nothing in it can be trusted; what is wrong with one guest stands in
    /// [`refused`](Self::refused).
    pub fn read(source: &dyn File) -> Result<Self, BundleError> {
        let header = Header::read(source)?;
        let manifest = read_manifest(source, header)?;
        let mut bundle = Self { guests: Vec::new(), refused: Vec::new() };
        for (index, entry) in manifest.guests.into_iter().enumerate() {
            let name = entry.name.clone();
            match bundle.check(entry, &manifest.files, header.bundle_bytes) {
                Ok(guest) => bundle.guests.push(guest),
                Err(error) => bundle.refused.push(Refused { index, name, error }),
            }
        }
        Ok(bundle)
    }

    fn check(&self, entry: GuestEntry, files: &[FileEntry], bundle_bytes: u64) -> Result<Guest, GuestError> {
        let description = GuestDescription {
            name: GuestName::new(entry.name)?,
            memory_bytes: entry.memory_bytes,
            command_line: CommandLine::new(entry.command_line)?,
            pages: entry.pages,
            autostart: entry.autostart,
            processors: Processors {
                count: VcpuCount::new(entry.cpus.into())?,
                weight: Weight::new(entry.weight.into())?,
                cap: entry.cap_percent.map(|percent| Cap::new(percent.into())).transpose()?,
                pins: HostCpus::try_from(entry.pins)?,
            },
            trust_domain: entry.trust_domain.map(GuestName::new).transpose().map_err(GuestError::Domain)?,
            tsc_hz: entry.tsc_hz,
        };
        if self.guests.iter().any(|guest| guest.description.name == description.name) {
            return Err(GuestError::NameTwice);
        }
        description.layout()?;
        let file = |field, index| find(field, index, files, bundle_bytes);
        let kernel = file("kernel", entry.kernel)?;
        let initrd = entry.initrd.map(|index| file("initrd", index)).transpose()?;
        Ok(Guest { description, kernel, initrd })
    }
}

fn read_manifest(source: &dyn File, header: Header) -> Result<Manifest, BundleError> {
    // Bounded by the header's check.
    let mut bytes = vec![0; header.manifest_bytes as usize];
    source.read(HEADER_BYTES, &mut bytes)?;
    if !header.belongs_to(&bytes) {
        return Err(BundleError::Sum);
    }
    let (manifest, rest) = postcard::take_from_bytes(&bytes).map_err(|_| BundleError::Manifest)?;
    let Manifest { files, guests } = &manifest;
    let within_bounds = files.len() <= MAX_FILES
        && guests.len() <= MAX_GUESTS
        && files.iter().all(|file| (1..=MAX_FILE_NAME).contains(&file.name.len()));
    if !rest.is_empty() || !within_bounds {
        return Err(BundleError::Manifest);
    }
    Ok(manifest)
}

fn find(
    field: &'static str,
    index: u32,
    files: &[FileEntry],
    bundle_bytes: u64,
) -> Result<FileRange, GuestError> {
    let file = files.get(index as usize).ok_or(GuestError::NoFile { field, index })?;
    let name = file.name.clone();
    if file.offset.checked_add(file.bytes).is_none_or(|end| end > bundle_bytes) {
        return Err(GuestError::OutsideBundle { field, name });
    }
    Ok(FileRange { name, offset: file.offset, bytes: file.bytes, sum: file.sum })
}
