//! `cargo xtask demo`: several hosts side by side, what each found, and what their memory looks like.

mod comparison;
mod picture;

use std::{
    fs,
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use clap::Args;
use godwit_lab::{Lab, LabFile, LabHost, RawFrames, RunningHost};

use crate::{build, setup, workspace};

/// How long a host may take to boot, and to answer.
const BOOT: Duration = Duration::from_secs(120);
const ANSWER: Duration = Duration::from_secs(60);
/// Columns of a rule across the terminal.
const COLUMNS: usize = 96;

/// Which hosts to show.
#[derive(Args)]
pub(crate) struct Options {
    /// The hosts to boot [default: tools/lab/demo.toml]
    #[arg(long, value_name = "FILE")]
    lab: Option<PathBuf>,
}

/// Sets up, builds, boots the hosts of the lab file, and shows them.
pub(crate) fn run(options: &Options) -> Result<()> {
    let started = Instant::now();
    let file = options.lab.clone().unwrap_or_else(|| workspace::root().join("tools/lab/demo.toml"));
    let lab = LabFile::read(&file)?;
    setup::ensure()?;
    println!("building the image");
    let image = build::image()?.path;

    let booted = Instant::now();
    lab.hosts.iter().for_each(announce);
    let lab = Lab::start(&lab, &image)?;
    let mut banners = Vec::new();
    for host in lab.hosts() {
        banners.push(host.wait_ready(BOOT)?);
        println!("  {} is ready after {:.1} s", host.name(), booted.elapsed().as_secs_f32());
    }
    let mut all_frames = Vec::new();
    for (host, banner) in lab.hosts().iter().zip(&banners) {
        headline(host.name());
        println!("{}", banner.trim());
        println!("\n{}> frames", host.name());
        println!("{}", host.command("frames", ANSWER)?.trim_end());
        let raw = host.command("frames raw", ANSWER)?;
        let frames = RawFrames::parse(&raw).with_context(|| format!("host {}: `frames raw`", host.name()))?;
        all_frames.push((host.name().to_owned(), frames));
    }
    headline("side by side");
    println!("{}", comparison::table(&all_frames));
    let picture = save_picture(&all_frames)?;
    println!("a picture of this: {}", picture.display());
    let (hosts, switch) = lab.into_parts();
    for host in hosts {
        power_off(host)?;
    }
    switch.finish()?;
    println!("done in {:.1} s", started.elapsed().as_secs_f32());
    Ok(())
}

fn announce(host: &LabHost) {
    let fragment =
        host.fragment.map_or(String::new(), |f| format!(", {} % of its memory in pieces", f.percent));
    println!("booting {}: {}, {} CPUs, {}{fragment}", host.name, host.machine, host.cpus, host.memory);
}

fn headline(text: &str) {
    println!("\n== {text} {}", "=".repeat(COLUMNS.saturating_sub(text.len() + 4)));
}

fn save_picture(hosts: &[(String, RawFrames)]) -> Result<PathBuf> {
    let path = workspace::output().join("demo/memory.svg");
    let directory = workspace::output().join("demo");
    fs::create_dir_all(&directory).with_context(|| format!("cannot make {}", directory.display()))?;
    fs::write(&path, picture::svg(hosts)).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path)
}

fn power_off(mut host: RunningHost) -> Result<()> {
    host.type_line("poweroff")?;
    let exit = host.wait_exit(ANSWER)?;
    ensure!(exit.status.success(), "host {}: QEMU ended with {}", host.name(), exit.status);
    println!("{} is off", host.name());
    Ok(())
}

#[cfg(test)]
mod tests {
    /// A host with eight blocks, three of them free, and a hole between them.
    pub(super) const EIGHT_BLOCKS: &str = "\
        frames raw 1 report total=3072 free=2000 cached=64 largest=1024 runs=1,0,0,0,0,0,0,0,0,3\n\
        frames raw 1 blocks at=0x0 rle=x1u1f2\n\
        frames raw 1 blocks at=0x40000000 rle=f1m1M1U1\n\
        frames raw 1 end blocks=8\n";
}
