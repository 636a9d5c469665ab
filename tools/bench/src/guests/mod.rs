//! Guests under Godwit, and beside them the same guest under Linux KVM with QEMU.
//!
//! Figures that only count (bytes, leaves, faults) say the same on every machine. Times do not: each is taken in turns with
//! the peer's in one run, on hosts that are emulated alike, and what counts is the ratio of the medians.

pub(crate) mod bed;
mod memory;
mod moves;
pub(crate) mod report;
pub(crate) mod speed;

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use godwit_peer_kvm::PeerFiles;

use crate::{
    groups::{self, Group, Wanted},
    metrics::Metrics,
};

/// What was built for a benchmark that runs guests.
#[derive(Clone, Debug)]
pub(crate) struct Files {
    pub(crate) image: PathBuf,
    pub(crate) bundle: PathBuf,
    pub(crate) peer: PeerFiles,
}

impl Files {
    /// The files that `cargo xtask` leaves in `output`, the repository's `target/godwit`, for the benchmark called `name`.
    pub(crate) fn in_output(output: &Path, name: &str) -> Self {
        Self {
            image: output.join("godwit.elf"),
            bundle: output.join(format!("bench-{name}.bundle")),
            peer: PeerFiles::in_output(output),
        }
    }
}

const GROUPS: [Group<Files>; 4] = [
    Group {
        ids: &["guests.cpuid_exit_ratio", "guests.boot_ratio"],
        counts: false,
        take: |files, metrics| speed::take(files, metrics),
    },
    Group {
        ids: &["guests.nested_faults_on_ram", "guests.huge_share_percent", "guests.overhead_percent"],
        counts: true,
        take: |files, metrics| memory::take(files, metrics),
    },
    Group {
        ids: &["move.wire_efficiency"],
        counts: true,
        take: |files, metrics| moves::wire_efficiency(files, metrics),
    },
    Group {
        ids: &["move.huge_kept_percent"],
        counts: true,
        take: |files, metrics| moves::huge_kept(files, metrics),
    },
];

/// Takes the figures that are wanted.
///
/// # Errors
/// A figure that does not exist, or a host or guest that does not do what is asked.
pub(crate) fn run(output: &Path, wanted: &Wanted, metrics: &mut Metrics) -> Result<()> {
    let mut files = Files::in_output(output, "guests");
    for file in [&files.image, &files.bundle] {
        ensure!(file.is_file(), "no {}: run `cargo xtask bench guests`", file.display());
    }
    groups::take(&GROUPS, wanted, &mut files, metrics)
}

/// Says what is being done: a run takes minutes.
pub(crate) fn progress(line: std::fmt::Arguments<'_>) {
    eprintln!("{line}");
}
