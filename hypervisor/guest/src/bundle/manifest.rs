//! The manifest: what lies in a bundle, as it is written down. Nothing in it has been checked yet.

use alloc::{string::String, vec::Vec};

use serde::{Deserialize, Serialize};

use crate::description::{Cap, GuestDescription, PagePolicy};

/// The manifest of version 2.
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
    pub(super) cpus: u8,
    pub(super) weight: u16,
    pub(super) cap_percent: Option<u16>,
    /// Bit n stands for host CPU n.
    pub(super) pins: u64,
    pub(super) trust_domain: Option<String>,
    pub(super) tsc_hz: Option<u64>,
    /// Which of the files.
    pub(super) kernel: u32,
    /// Which of the files.
    pub(super) initrd: Option<u32>,
}

impl GuestEntry {
    pub(super) fn new(description: GuestDescription, kernel: u32, initrd: Option<u32>) -> Self {
        let processors = description.processors;
        Self {
            name: description.name.into(),
            memory_bytes: description.memory_bytes,
            command_line: description.command_line.into(),
            pages: description.pages,
            autostart: description.autostart,
            cpus: processors.count.get(),
            weight: processors.weight.get(),
            cap_percent: processors.cap.map(Cap::percent),
            pins: processors.pins.bits(),
            trust_domain: description.trust_domain.map(String::from),
            tsc_hz: description.tsc_hz,
            kernel,
            initrd,
        }
    }
}
