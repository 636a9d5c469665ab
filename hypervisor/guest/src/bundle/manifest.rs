//! The manifest: what lies in a bundle, as it is written down. Nothing in it has been checked yet.

use alloc::{string::String, vec::Vec};

use serde::{Deserialize, Serialize};

use crate::description::{GuestDescription, PagePolicy};

/// The manifest of version 1.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(super) struct Manifest {
    pub(super) files: Vec<FileEntry>,
    pub(super) guests: Vec<GuestEntry>,
}

/// A file: see [`FileRange`](super::FileRange).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct FileEntry {
    pub(super) name: String,
    pub(super) offset: u64,
    pub(super) bytes: u64,
    pub(super) sum: u64,
}

/// A guest, with plain types where [`GuestDescription`] has checked ones: a bad name must not spoil the guests beside it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct GuestEntry {
    pub(super) name: String,
    pub(super) memory_bytes: u64,
    pub(super) command_line: String,
    pub(super) pages: PagePolicy,
    pub(super) autostart: bool,
    /// Which of the files.
    pub(super) kernel: u32,
    /// Which of the files.
    pub(super) initrd: Option<u32>,
}

impl GuestEntry {
    pub(super) fn new(description: GuestDescription, kernel: u32, initrd: Option<u32>) -> Self {
        Self {
            name: description.name.into(),
            memory_bytes: description.memory_bytes,
            command_line: description.command_line.into(),
            pages: description.pages,
            autostart: description.autostart,
            kernel,
            initrd,
        }
    }
}
