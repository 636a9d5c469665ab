//! `cargo xtask linux`: the Linux test guest by itself.

use std::{os::unix::process::CommandExt, process::Command};

use anyhow::{Context, Result};
use clap::Args;
use godwit_lab::{HostSpec, MemorySize};

use crate::{process, setup};

/// Whether and how to boot it.
#[derive(Args)]
pub(crate) struct Options {
    /// Boot it in plain QEMU on this terminal, without Godwit
    #[arg(long)]
    boot: bool,
    /// RAM with `--boot`, in MiB or GiB
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
    let linux = super::kernel()?;
    let initramfs = super::initramfs(&linux)?;
    println!("{}", linux.version);
    println!("PVH kernel  {}", linux.vmlinux().display());
    println!("bzImage     {}", linux.vmlinuz().display());
    println!("initramfs   {} ({} KiB)", initramfs.path.display(), initramfs.bytes / 1024);
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
