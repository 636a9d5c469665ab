//! Boots on both machines, with few and many processors, with little and much memory.

use std::fs;

use anyhow::{Context, Result, ensure};
use godwit_lab::{HostSpec, MachineKind, RawFrames, RunningHost};
use godwit_scenarios::{ANSWER, boot, ensure_says, running_cpus, sized_spec};

/// RAM of the emulator's process that is not the host's: QEMU itself, its firmware, translated code.
const EMULATOR_MIB: u64 = 300;

/// One test for each cell of the matrix: machine, CPUs, memory, and the share of it that the allocator has to manage.
macro_rules! boots {
    ($($name:ident: $machine:ident, $cpus:literal, $memory:literal, $managed_percent:literal;)*) => {
        $(
            #[test]
            fn $name() -> Result<()> {
                boots(MachineKind::$machine, $cpus, $memory, $managed_percent)
            }
        )*
    };
}

boots! {
    pc_1_cpu_128_mib: Pc, 1, "128MiB", 80;
    pc_1_cpu_1_gib: Pc, 1, "1GiB", 95;
    pc_1_cpu_16_gib: Pc, 1, "16GiB", 95;
    pc_2_cpus_128_mib: Pc, 2, "128MiB", 80;
    pc_2_cpus_1_gib: Pc, 2, "1GiB", 95;
    pc_2_cpus_16_gib: Pc, 2, "16GiB", 95;
    pc_4_cpus_128_mib: Pc, 4, "128MiB", 80;
    pc_4_cpus_1_gib: Pc, 4, "1GiB", 95;
    pc_4_cpus_16_gib: Pc, 4, "16GiB", 95;
    pc_8_cpus_128_mib: Pc, 8, "128MiB", 80;
    pc_8_cpus_1_gib: Pc, 8, "1GiB", 95;
    pc_8_cpus_16_gib: Pc, 8, "16GiB", 95;
    q35_1_cpu_128_mib: Q35, 1, "128MiB", 80;
    q35_1_cpu_1_gib: Q35, 1, "1GiB", 95;
    q35_1_cpu_16_gib: Q35, 1, "16GiB", 95;
    q35_2_cpus_128_mib: Q35, 2, "128MiB", 80;
    q35_2_cpus_1_gib: Q35, 2, "1GiB", 95;
    q35_2_cpus_16_gib: Q35, 2, "16GiB", 95;
    q35_4_cpus_128_mib: Q35, 4, "128MiB", 80;
    q35_4_cpus_1_gib: Q35, 4, "1GiB", 95;
    q35_4_cpus_16_gib: Q35, 4, "16GiB", 95;
    q35_8_cpus_128_mib: Q35, 8, "128MiB", 80;
    q35_8_cpus_1_gib: Q35, 8, "1GiB", 95;
    q35_8_cpus_16_gib: Q35, 8, "16GiB", 95;
}

fn boots(machine: MachineKind, cpus: u32, memory: &str, managed_percent: u64) -> Result<()> {
    let spec = HostSpec { machine, ..sized_spec("booting", cpus, memory)? };
    let (host, banner) = boot(&spec)?;
    let plural = if cpus == 1 { "" } else { "s" };
    ensure_says(
        &banner,
        &[
            concat!("Godwit ", env!("CARGO_PKG_VERSION"), " (build "),
            "PVH, command line: godwit.host=booting",
            "AuthenticAMD",
            &format!("{cpus} of {cpus} CPU{plural} running"),
            "svm found:",
            // The bridge that QEMU's machine has at 00:00.0.
            match machine {
                MachineKind::Pc => "00:00.0 8086:1237",
                MachineKind::Q35 => "00:00.0 8086:29c0",
            },
        ],
    )?;
    ensure!(banner.lines().any(|line| line == "godwit ready"), "no line `godwit ready`:\n{banner}");

    let running = running_cpus(&host)?;
    ensure!(running == cpus as usize, "{running} of {cpus} CPUs run");

    let frames = RawFrames::parse(&host.command("frames raw", ANSWER)?)?;
    let all_frames = spec.memory.mib() * 256;
    ensure!(
        frames.total_frames <= all_frames && frames.total_frames * 100 >= all_frames * managed_percent,
        "{} of {all_frames} frames are managed",
        frames.total_frames
    );
    ensure!(
        // The heap of 8 MiB, stacks and tables: what a host takes for itself hardly grows with the machine.
        frames.free_frames + 2560 >= frames.total_frames / 100 * 99,
        "only {} frames are free",
        frames.free_frames
    );

    let resident_mib = resident_mib(&host)?;
    ensure!(
        resident_mib <= EMULATOR_MIB,
        "the emulator holds {resident_mib} MiB: the host touched RAM it does not use"
    );
    Ok(())
}

/// RAM that the emulator's process holds, in MiB.
fn resident_mib(host: &RunningHost) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{}/status", host.process_id()))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    let kib: u64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kib / 1024)
}

#[test]
fn virtualization_features_are_named_found_or_missing() -> Result<()> {
    let (_host, banner) = boot(&sized_spec("features", 1, "128MiB")?)?;
    let banner = godwit_scenarios::unwrapped(&banner);
    let (_, features) = banner.split_once("svm found:").context("no SVM")?;
    let (found, missing) = features.split_once("missing:").context("nothing is missing")?;
    // QEMU's TCG has the one and not the other (its CPUID leaf 0x8000000A).
    ensure!(found.contains("NPT"), "NPT is not found: {found}");
    ensure!(missing.to_lowercase().contains("decode assists"), "decode assists are not missing: {missing}");
    Ok(())
}
