//! `cargo xtask linux`: the Linux test guest by itself.

use std::{os::unix::process::CommandExt, process::Command, time::Instant};

use anyhow::{Context, Result};
use clap::Args;
use godwit_lab::{HostSpec, MemorySize, micro_trials, try_each};
use godwit_peer_kvm::{Peer, PeerFiles};

use crate::{process, setup, workspace};

/// Whether and how to boot it.
#[derive(Args)]
pub(crate) struct Options {
    /// Boot it in plain QEMU on this terminal, without Godwit
    #[arg(long)]
    boot: bool,
    /// Measure it under the peer, Linux KVM with QEMU in an emulated host: boots and exits, so many of each
    #[arg(long, value_name = "RUNS", conflicts_with = "boot")]
    peer: Option<u32>,
    /// Run these micro guests under the peer as well, such as `cpuid,msr`, or `all`
    #[arg(long, value_name = "TRIALS", requires = "peer")]
    micro: Option<String>,
    /// CPUs of the guest with `--peer`; from two on its host has two
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=16))]
    cpus: u32,
    /// RAM with `--boot` and `--peer`, in MiB or GiB
    #[arg(long, default_value = "256MiB")]
    memory: MemorySize,
    /// Words for the guest with `--boot`: heartbeat=MS spin=1 write=MIB rate=PAGES_PER_S fill=MIB echo=1 shell=1 bench=N
    /// poweroff=MS
    #[arg(long, default_value = "heartbeat=1000", value_name = "WORDS")]
    cmdline: String,
}

/// Fetches the kernel, builds the initramfs, says where they lie, and boots them where that was asked for.
pub(crate) fn run(options: &Options) -> Result<()> {
    setup::ensure()?;
    let linux = super::kernel(&mut |line| println!("{line}"))?;
    let initramfs = super::initramfs(&linux)?;
    println!("{}", linux.version);
    println!("PVH kernel  {}", linux.vmlinux().display());
    println!("bzImage     {}", linux.vmlinuz().display());
    println!("initramfs   {} ({} KiB)", initramfs.path.display(), initramfs.bytes / 1024);
    if let Some(runs) = options.peer {
        return measure_peer(&super::peer(&linux, &initramfs)?, options, runs);
    }
    if !options.boot {
        return Ok(());
    }
    let spec = HostSpec {
        memory: options.memory,
        command_line: ["console=ttyS0", "panic=-1"]
            .into_iter()
            .chain(options.cmdline.split_whitespace())
            .map(str::to_owned)
            .collect(),
        module: Some(initramfs.path),
        ..HostSpec::new("plain", linux.vmlinux())?
    };
    let mut command = Command::new(&spec.emulator.program);
    command.args(spec.arguments()).args(["-serial", "mon:stdio"]);
    println!("Ctrl-A x ends QEMU at once");
    let shown = process::shown(&command);
    // Returns only when it could not.
    Err(command.exec()).with_context(|| format!("cannot start {shown}"))
}

/// Exits that one measurement takes together.
const EXITS: u32 = 2000;

fn measure_peer(files: &PeerFiles, options: &Options, runs: u32) -> Result<()> {
    let began = Instant::now();
    let (memory, cpus) = (options.memory, options.cpus);
    let peer = Peer::start(files, cpus.min(2))?;
    println!("the peer is ready after {:.1} s: {}", began.elapsed().as_secs_f32(), peer.description());
    for run in 1..=runs {
        println!("{run}: {memory} to user space in {:.2} s", peer.boot_seconds(memory, cpus)?);
        println!("{run}: a CPUID exit takes {:.1} µs", peer.cpuid_exit_ns(EXITS)? as f64 / 1000.0);
    }
    if let Some(trials) = &options.micro {
        try_micro(&peer, trials)?;
    }
    Ok(())
}

/// Runs micro guests under the peer and says what came of each trial.
fn try_micro(peer: &Peer, trials: &str) -> Result<()> {
    let trials: Vec<_> = match trials {
        "all" => micro_trials(&workspace::output().join("micro.elf"))?,
        some => some.split(',').map(str::to_owned).collect(),
    };
    let verdicts = try_each(&trials, |words| {
        let run = peer.micro(words)?;
        run.said.iter().for_each(|line| println!("  micro {line}"));
        Ok(run)
    })?;
    for (trial, verdict) in &verdicts {
        println!("{trial}: {} {}", verdict.word(), verdict.why());
    }
    println!("{} of {} pass", verdicts.values().filter(|verdict| verdict.passed()).count(), verdicts.len());
    Ok(())
}
