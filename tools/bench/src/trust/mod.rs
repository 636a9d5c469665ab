//! Guests to trust: what each micro guest says here and elsewhere, whether guests share fairly, how several virtual CPUs boot, and
//! whether anything is lost under load.

mod agreement;
mod differences;
mod fair_share;
mod fuzz;
mod micro;
mod stress;

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};

use crate::{
    groups::{self, Group, Wanted},
    guests::{Files, speed},
    metrics::Metrics,
};
use micro::Verdicts;

/// CPUs of a host that runs more virtual CPUs than it has.
const HOST_CPUS: u32 = 2;

/// What was built for this benchmark.
#[derive(Debug)]
pub(crate) struct Trust {
    files: Files,
    /// The micro guests' kernel.
    micro: PathBuf,
    /// A guest for each trial, called by its place among them.
    micro_bundle: PathBuf,
    /// What the fuzz targets did.
    fuzz: PathBuf,
    /// What the trials said under Godwit, once they were run.
    as_found: Option<Verdicts>,
}

const GROUPS: [Group<Trust>; 7] = [
    Group { ids: &["trust.microguests", "trust.microguests_failed"], counts: true, take: micro::take },
    Group { ids: &["trust.microguests_disagreements"], counts: false, take: agreement::take },
    Group { ids: &["trust.fair_share_error_percent"], counts: false, take: fair_share::take },
    Group { ids: &["trust.smp_boot_ratio"], counts: false, take: smp_boot },
    Group { ids: &["trust.cpuid_exit_ratio"], counts: false, take: cpuid_exit },
    Group { ids: &["trust.fuzz_executions_ci"], counts: false, take: fuzz::take },
    // Last: it takes minutes.
    Group { ids: &["trust.stress"], counts: false, take: stress::take },
];

/// Takes the figures that are wanted, from what `cargo xtask` left in `output`.
///
/// # Errors
/// A figure that does not exist, or a host or guest that does not do what is asked.
pub(crate) fn run(output: &Path, wanted: &Wanted, metrics: &mut Metrics) -> Result<()> {
    let mut trust = Trust {
        files: Files::in_output(output, "trust"),
        micro: output.join("micro.elf"),
        micro_bundle: output.join("bench-trust-micro.bundle"),
        fuzz: output.join("fuzz.json"),
        as_found: None,
    };
    for file in [&trust.files.image, &trust.micro, &trust.micro_bundle] {
        ensure!(file.is_file(), "no {}: run `cargo xtask bench trust`", file.display());
    }
    groups::take(&GROUPS, wanted, &mut trust, metrics)
}

/// Linux with four virtual CPUs, on hosts of two.
fn smp_boot(trust: &mut Trust, metrics: &mut Metrics) -> Result<()> {
    const CPUS: u32 = 4;
    let files = &trust.files;
    let peer = speed::start_peer(files, HOST_CPUS)?;
    speed::boot_ratio(
        ["trust", "smp_boot"],
        [&mut || speed::boot_seconds(files, HOST_CPUS, "smp", CPUS), &mut || {
            peer.boot_seconds(speed::GUEST_MEMORY.parse()?, CPUS)
        }],
        metrics,
    )
}

fn cpuid_exit(trust: &mut Trust, metrics: &mut Metrics) -> Result<()> {
    let peer = speed::start_peer(&trust.files, 1)?;
    speed::cpuid_exit_ratio("trust", &trust.files, &peer, metrics)
}
