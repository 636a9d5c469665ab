//! Boots one host on this terminal.

use std::{fs, os::unix::process::CommandExt, path::PathBuf, process::Command};

use anyhow::{Context, Result};
use clap::Args;
use godwit_lab::{HostSpec, MachineKind, MemorySize, OnReset};

use crate::{build, process, setup, workspace};

/// The host to boot.
#[derive(Args)]
pub(crate) struct Options {
    /// Logical processors
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=255))]
    cpus: u32,
    /// RAM, in MiB or GiB
    #[arg(long, default_value = "1GiB")]
    memory: MemorySize,
    /// Mainboard: `pc` or `q35`
    #[arg(long, default_value = "q35")]
    machine: MachineKind,
    /// Words for the image's command line, such as `godwit.log=debug`
    #[arg(long, default_value = "", value_name = "WORDS")]
    cmdline: String,
    /// Guests for it, packed by `cargo xtask bundle`
    #[arg(long, value_name = "FILE")]
    bundle: Option<PathBuf>,
    /// Wait for a debugger before the first instruction, and log interrupts and resets
    #[arg(long)]
    debug: bool,
}

/// Builds, says how to leave, and becomes QEMU.
pub(crate) fn run(options: &Options) -> Result<()> {
    setup::ensure()?;
    if let Some(bundle) = &options.bundle {
        fs::metadata(bundle).with_context(|| format!("no bundle at {}", bundle.display()))?;
    }
    build::image()?;
    let image = workspace::image();
    let spec = HostSpec {
        machine: options.machine,
        cpus: options.cpus,
        memory: options.memory,
        command_line: options.cmdline.split_whitespace().map(str::to_owned).collect(),
        module: options.bundle.clone(),
        on_reset: OnReset::BootAgain,
        ..HostSpec::new("local", &image)?
    };
    let mut command = Command::new(&spec.emulator.program);
    command.args(spec.arguments()).args(["-chardev", "stdio,id=terminal,mux=on,signal=off"]).args([
        "-serial",
        "chardev:terminal",
        "-mon",
        "chardev=terminal,mode=readline",
    ]);
    println!("{} CPUs, {}, {}: type `help`, or `poweroff` to leave", spec.cpus, spec.memory, spec.machine);
    println!("Ctrl-A x ends QEMU at once, Ctrl-A c switches to QEMU's own monitor and back");
    if options.debug {
        let log = workspace::output().join("qemu.log");
        command.args(["-s", "-S", "-d", "int,cpu_reset,guest_errors", "-D"]).arg(&log);
        println!(
            "QEMU waits for: gdb {} -ex 'target remote :1234'; its log is {}",
            image.display(),
            log.display()
        );
    }
    let shown = process::shown(&command);
    // Returns only when it could not.
    Err(command.exec()).with_context(|| format!("cannot start {shown}"))
}
