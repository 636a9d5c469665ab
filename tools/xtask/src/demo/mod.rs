//! `cargo xtask demo`: a Linux guest moves from one host to another, and what becomes of the memory of both.

mod beats;
mod comparison;
mod journey;
mod moment;
mod picture;
mod report;

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use godwit_lab::{Lab, LabFile, LabHost, RunningHost};

use crate::{build, bundle, linux, setup, workspace};
use journey::{Account, Journey, Moved};
use moment::Moment;
use report::GuestReport;

/// How long a host may take to boot, and to answer.
const BOOT: Duration = Duration::from_secs(120);
const ANSWER: Duration = Duration::from_secs(60);
/// Columns of a rule across the terminal.
const COLUMNS: usize = 96;

/// Which hosts and which guest to show.
#[derive(Args)]
pub(crate) struct Options {
    /// The hosts; the guest goes from the first to the second [default: tools/lab/demo.toml]
    #[arg(long, value_name = "FILE")]
    lab: Option<PathBuf>,
    /// The guest, as `cargo xtask bundle` takes it; the first one moves [default: tools/lab/demo-guests.toml]
    #[arg(long, value_name = "FILE")]
    guests: Option<PathBuf>,
}

/// Sets up, builds, boots the hosts of the lab file, moves the guest, and shows what became of it.
pub(crate) fn run(options: &Options) -> Result<()> {
    let started = Instant::now();
    let file = |given: &Option<PathBuf>, own| given.clone().unwrap_or_else(|| workspace::root().join(own));
    let lab_path = file(&options.lab, "tools/lab/demo.toml");
    let mut lab = LabFile::read(&lab_path)?;
    check(&lab).with_context(|| format!("lab file {}", lab_path.display()))?;
    setup::ensure()?;
    println!("building the image");
    let image = build::image()?.path;
    let guest = prepare_guest(&file(&options.guests, "tools/lab/demo-guests.toml"), &mut lab)?;

    let lab = boot(&lab, &image)?;
    let [source, destination] = lab.hosts() else { bail!("a lab of two hosts has not two") };
    let journey = Journey { lab: &lab, guest: &guest, source, destination };

    headline(&format!("{guest} starts on {}", source.name()));
    let beats = journey.watch_start()?;
    show(source, &format!("guest {guest}"))?;
    let before = moments(&lab, "before", &guest)?;

    headline(&format!("{guest} moves to {}", destination.name()));
    println!("{}> send {guest} {}", source.name(), destination.name());
    let moved = journey.send()?;
    let account = journey.watch_arrival(beats.last().unwrap_or(0), &moved)?;
    show(destination, &format!("guest {guest}"))?;
    let after = moments(&lab, "after", &guest)?;

    headline("before and after");
    // Each host's two moments stand beside each other.
    let by_host: Vec<_> = before.into_iter().zip(after).flat_map(|(before, after)| [before, after]).collect();
    println!("{}", comparison::table(&guest, &by_host));
    tell(&guest, &by_host, &moved, &account);
    let picture = save_picture(&guest, &by_host)?;
    let shown = picture.strip_prefix(workspace::root()).unwrap_or(&picture);
    println!("\na picture of both hosts' memory: {}", shown.display());
    let (hosts, switch) = lab.into_parts();
    hosts.into_iter().try_for_each(power_off)?;
    switch.finish()?;
    println!("done in {:.0} s", started.elapsed().as_secs_f32());
    Ok(())
}

/// Two hosts with addresses, since a guest moves from one to the other.
fn check(lab: &LabFile) -> Result<()> {
    ensure!(lab.hosts.len() == 2, "the demo needs two hosts, not {}", lab.hosts.len());
    for host in &lab.hosts {
        ensure!(host.network.is_some(), "host `{}`: no `address`: no guest could go there", host.name);
    }
    Ok(())
}

/// Builds what the guest needs, gives it to the first host as its boot module, and returns the guest's name.
fn prepare_guest(file: &Path, lab: &mut LabFile) -> Result<String> {
    println!("building the guest");
    let linux = linux::kernel(&mut |line| println!("{line}"))?;
    linux::initramfs(&linux)?;
    let path = workspace::output().join("demo/guests.bundle");
    let written = bundle::write(file, &path)?;
    let guest = written.guests.into_iter().next().context("a bundle without a guest")?;
    println!("packed {guest} with its kernel: {} MiB", written.bytes.div_ceil(1 << 20));
    if let Some(host) = lab.hosts.first_mut() {
        host.bundle = Some(path);
    }
    Ok(guest)
}

fn boot(file: &LabFile, image: &Path) -> Result<Lab> {
    let booted = Instant::now();
    file.hosts.iter().for_each(announce);
    let lab = Lab::start(file, image)?;
    for host in lab.hosts() {
        host.wait_ready(BOOT)?;
        println!("  {} is ready after {:.1} s", host.name(), booted.elapsed().as_secs_f32());
    }
    Ok(lab)
}

fn announce(host: &LabHost) {
    let fragment =
        host.fragment.map_or(String::new(), |f| format!(", {} % of its memory in pieces", f.percent));
    println!("booting {}: {}, {} CPUs, {}{fragment}", host.name, host.machine, host.cpus, host.memory);
}

/// Types `command` into the monitor of `host` and shows what it answers.
fn show(host: &RunningHost, command: &str) -> Result<()> {
    println!("{}> {command}", host.name());
    println!("{}", host.command(command, ANSWER)?.trim_end());
    Ok(())
}

fn moments(lab: &Lab, when: &'static str, guest: &str) -> Result<Vec<Moment>> {
    lab.hosts().iter().map(|host| Moment::of(host, when, guest)).collect()
}

/// What the move was like, in short.
fn tell(guest: &str, moments: &[Moment], moved: &Moved, account: &Account) {
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    let leaves: Vec<_> =
        moments.iter().filter_map(Moment::guest_here).map(GuestReport::leaves_text).collect();
    let last = account.beats.last().unwrap_or(0);
    println!("  beats       0 to {last}: none lost, none twice; the clock never went back");
    println!("  memory      checked after the move: every page of round {} is right", account.page_rounds);
    println!(
        "  pause       {} ms; {guest} sees {} ms between two beats usually {} ms apart",
        moved.paused.as_millis(),
        account.gap.as_millis(),
        account.beats.usual_gap().as_millis()
    );
    println!("  leaves      {}", leaves.join(" before, ") + " after");
    println!(
        "  network     {:.1} MiB of Ethernet frames, both ways together, for {:.1} MiB of memory",
        mib(moved.wire_bytes),
        mib(moved.page_bytes)
    );
}

fn headline(text: &str) {
    println!("\n== {text} {}", "=".repeat(COLUMNS.saturating_sub(text.len() + 4)));
}

fn save_picture(guest: &str, moments: &[Moment]) -> Result<PathBuf> {
    let path = workspace::output().join("demo/memory.svg");
    let directory = workspace::output().join("demo");
    fs::create_dir_all(&directory).with_context(|| format!("cannot make {}", directory.display()))?;
    fs::write(&path, picture::svg(guest, moments))
        .with_context(|| format!("cannot write {}", path.display()))?;
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
    use godwit_lab::RawFrames;

    use super::{moment::Moment, report::GuestReport};

    /// A host with eight blocks, three of them free, and a hole between them.
    const EIGHT_BLOCKS: &str = "\
        frames raw 1 report total=3072 free=2000 cached=64 largest=1024 runs=1,0,0,0,0,0,0,0,0,3\n\
        frames raw 1 blocks at=0x0 rle=x1u1f2\n\
        frames raw 1 blocks at=0x40000000 rle=f1m1M1U1\n\
        frames raw 1 end blocks=8\n";

    /// Two such hosts; on the first a guest has the block that is full.
    pub(super) fn moments() -> Vec<Moment> {
        let frames = RawFrames::parse(EIGHT_BLOCKS).unwrap();
        let raw = "guest web-1\nstate running\nleaves 9 1\nrun 0 263168 512\nend\n";
        let guest = GuestReport::parse(raw).unwrap();
        let north =
            Moment { host: "north".to_owned(), when: "before", frames: frames.clone(), guest: Some(guest) };
        let south = Moment { host: "south".to_owned(), when: "before", frames, guest: None };
        vec![north, south]
    }
}
