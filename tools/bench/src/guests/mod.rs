//! Guests under Godwit, and beside them the same guest under Linux KVM with QEMU.
//!
//! Figures that only count (bytes, leaves, faults) say the same on every machine. Times do not: each is taken in turns with
//! the peer's in one run, on hosts that are emulated alike, and what counts is the ratio of the medians.

mod bed;
mod memory;
mod moves;
mod report;
mod speed;

use std::path::{Path, PathBuf};

use anyhow::{Result, bail, ensure};
use godwit_peer_kvm::PeerFiles;

use crate::metrics::Metrics;

/// What was built for this benchmark.
#[derive(Clone, Debug)]
pub(crate) struct Files {
    image: PathBuf,
    bundle: PathBuf,
    peer: PeerFiles,
}

impl Files {
    /// The files that `cargo xtask` leaves in `output`, the repository's `target/godwit`.
    pub(crate) fn in_output(output: &Path) -> Self {
        Self {
            image: output.join("godwit.elf"),
            bundle: output.join("bench-guests.bundle"),
            peer: PeerFiles::in_output(output),
        }
    }
}

/// Figures that are taken together: the ids of all that have a bound, and what takes them.
struct Group {
    ids: &'static [&'static str],
    /// Whether they say the same however fast the machine is.
    counts: bool,
    take: fn(&Files, &mut Metrics) -> Result<()>,
}

const GROUPS: [Group; 4] = [
    Group { ids: &["guests.cpuid_exit_ratio", "guests.boot_ratio"], counts: false, take: speed::take },
    Group {
        ids: &["guests.nested_faults_on_ram", "guests.huge_share_percent", "guests.overhead_percent"],
        counts: true,
        take: memory::take,
    },
    Group { ids: &["move.wire_efficiency"], counts: true, take: moves::wire_efficiency },
    Group { ids: &["move.huge_kept_percent"], counts: true, take: moves::huge_kept },
];

/// Takes all figures, or only those that do not depend on the machine's speed, or only those called `only` and what is
/// taken with them.
///
/// # Errors
/// A figure that does not exist, or a host or guest that does not do what is asked.
pub(crate) fn run(files: &Files, only_counts: bool, only: &[String], metrics: &mut Metrics) -> Result<()> {
    let known: Vec<_> = GROUPS.iter().flat_map(|group| group.ids).copied().collect();
    if let Some(unknown) = only.iter().find(|id| !known.contains(&id.as_str())) {
        bail!("no figure is called `{unknown}`; there are {}", known.join(", "));
    }
    for file in [&files.image, &files.bundle] {
        ensure!(file.is_file(), "no {}: run `cargo xtask bench guests`", file.display());
    }
    for group in &GROUPS {
        let is_wanted = only.is_empty() || group.ids.iter().any(|id| only.iter().any(|only| only == id));
        if is_wanted && (group.counts || !only_counts) {
            (group.take)(files, metrics)?;
        }
    }
    Ok(())
}

/// Says what is being done: a run takes minutes.
fn progress(line: std::fmt::Arguments<'_>) {
    eprintln!("{line}");
}
