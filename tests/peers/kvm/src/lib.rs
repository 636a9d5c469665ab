//! The peer that Godwit is measured beside: Linux KVM with QEMU, in the same emulated host, with the same guest.
//!
//! A [`Peer`] is an emulated host that runs Debian's kernel with KVM (SVM and nested paging) and starts guests under QEMU when
//! asked. The guests are the very files that Godwit runs: a Linux with its initramfs, and the micro guests. `cargo xtask` puts them
//! together.
#![forbid(unsafe_code)]

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, anyhow, bail, ensure};
use godwit_lab::{GuestLine, HostSpec, MemorySize, MicroRun, RunningHost, StampedLine};

/// How long the host may take until it takes commands.
const BOOT: Duration = Duration::from_secs(180);
/// How long a guest may take from its start to its end.
const GUEST: Duration = Duration::from_secs(300);
/// How long a micro guest may take, in seconds of the host.
const MICRO_S: u64 = 60;
/// RAM of a micro guest, in MiB: what Godwit gives it in the scenarios.
const MICRO_MIB: u64 = 16;
/// The host's RAM: itself, QEMU, and a guest of 1 GiB.
const HOST_MIB: u64 = 2560;

/// What the peer's host boots.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PeerFiles {
    /// Its kernel, with a PVH entry; the guest's as well.
    pub vmlinux: PathBuf,
    /// Its initramfs: KVM, QEMU, and the guest's files.
    pub host_initramfs: PathBuf,
}

impl PeerFiles {
    /// The files that `cargo xtask` leaves in `output`, the repository's `target/godwit`.
    pub fn in_output(output: &Path) -> Self {
        Self { vmlinux: output.join("linux/vmlinux"), host_initramfs: output.join("peer-host.cpio") }
    }
}

/// An emulated host with KVM. Dropping it ends it.
#[derive(Debug)]
pub struct Peer {
    host: RunningHost,
    /// What it said of itself: nested paging, KVM, QEMU's version.
    description: String,
}

/// What a guest did from its start to its end.
#[derive(Clone, Debug)]
pub struct GuestRun {
    /// From its first instruction to its first line of user space, stamped by the lab.
    pub boot: Duration,
    /// Everything on its console.
    pub lines: Vec<StampedLine>,
}

impl GuestRun {
    /// What one CPUID exit costs, in nanoseconds, by each measurement of the guest; empty without `bench=`.
    pub fn cpuid_exit_ns(&self) -> Vec<u64> {
        let lines = self.lines.iter().filter_map(|line| GuestLine::parse(&line.text));
        lines
            .filter_map(|line| match line {
                GuestLine::CpuidExit { ns, .. } => Some(ns),
                _ => None,
            })
            .collect()
    }
}

impl Peer {
    /// Boots a host of `cpus` CPUs and waits until it takes commands.
    ///
    /// # Errors
    /// It does not come that far, or has no nested paging or fewer CPUs: its figures would be another machine's.
    pub fn start(files: &PeerFiles, cpus: u32) -> Result<Self> {
        let spec = HostSpec {
            cpus,
            memory: MemorySize::from_mib(HOST_MIB)?,
            module: Some(files.host_initramfs.clone()),
            command_line: ["console=ttyS0", "quiet", "nokaslr", "mitigations=off", "panic=-1"]
                .map(str::to_owned)
                .into(),
            ..HostSpec::new("kvm", &files.vmlinux)?
        };
        let host = RunningHost::start(&spec)?;
        let ready =
            host.expect_line("the peer's ready line", |line| line.starts_with("peer: ready "), BOOT)?;
        let description = ready.text.trim_start_matches("peer: ready ").to_owned();
        ensure!(
            ["npt=Y ", "kvm=/dev/kvm ", &format!("cpus={cpus} ")]
                .iter()
                .all(|part| description.contains(part)),
            "the peer's host has no KVM with nested paging, or not {cpus} CPUs: {description}\n{}",
            ready.before
        );
        Ok(Self { host, description })
    }

    /// What the host said of itself.
    pub fn description(&self) -> &str {
        &self.description
    }

    /// Runs one Linux guest of this size with the kernel's command line `words`, which must make it end.
    ///
    /// # Errors
    /// It does not start, reports something bad, fails, or does not end.
    pub fn run(&self, memory: MemorySize, cpus: u32, words: &str) -> Result<GuestRun> {
        let (lines, status) = self.guest(&format!("run {} {cpus} {words}", memory.mib()))?;
        let printed = || lines.iter().map(|line| line.text.as_str()).collect::<Vec<_>>().join("\n");
        ensure!(status == "0", "the peer's guest ended with {status}:\n{}", printed());
        GuestRun::read(lines.clone(), cpus)
            .with_context(|| format!("the peer's guest printed:\n{}", printed()))
    }

    /// Runs the micro guests with this command line, such as `test=cpuid,msr`.
    ///
    /// # Errors
    /// The host does not run them at all. A guest that does not come to an end is no error: what it said until then counts.
    pub fn micro(&self, words: &str) -> Result<MicroRun> {
        let (lines, status) = self.guest(&format!("micro {MICRO_MIB} 1 {MICRO_S} {words}"))?;
        let lines: Vec<_> = lines.iter().map(|line| line.text.as_str()).collect();
        // What QEMU complained of, if anything: KVM's own word where a guest comes to a bad end.
        let complaint =
            lines.iter().find_map(|line| line.strip_prefix("peer: qemu said: ")).unwrap_or_default();
        let ended = match status.as_str() {
            "137" => format!("did not end within {MICRO_S} s"),
            status => format!("QEMU ended with {status} {complaint}").trim_end().to_owned(),
        };
        Ok(MicroRun::read(lines).or_ended(&ended))
    }

    /// Gives the host a command that runs one guest; every line until it ended, and the status of its QEMU.
    fn guest(&self, command: &str) -> Result<(Vec<StampedLine>, String)> {
        let before = self.host.stamped_lines().len();
        self.host.type_bytes(format!("{command}\n").as_bytes())?;
        let is_end = |line: &str| line.starts_with("peer: guest ended ");
        let end = self.host.expect_line("the end of the peer's guest", is_end, GUEST)?;
        let status = end.text.trim_start_matches("peer: guest ended ").trim_end().to_owned();
        Ok((self.host.stamped_lines().split_off(before), status))
    }

    /// Seconds from the first instruction of a guest of this size to its first line of user space, stamped by the lab.
    ///
    /// # Errors
    /// As [`Peer::run`].
    pub fn boot_seconds(&self, memory: MemorySize, cpus: u32) -> Result<f64> {
        Ok(self.run(memory, cpus, GUEST_WORDS)?.boot.as_secs_f64())
    }

    /// Nanoseconds of a CPUID exit: the median of what the guest measures with `exits` of them at a time.
    ///
    /// # Errors
    /// As [`Peer::run`].
    pub fn cpuid_exit_ns(&self, exits: u32) -> Result<u64> {
        let run = self.run(MemorySize::from_mib(256)?, 1, &format!("{GUEST_WORDS} bench={exits}"))?;
        let mut measured = run.cpuid_exit_ns();
        measured.sort_unstable();
        measured.get(measured.len() / 2).copied().ok_or_else(|| anyhow!("the guest measured nothing"))
    }
}

/// The command line of a measured guest: what it does not print costs no exits, and it ends when all is done. Give Godwit's guest
/// the same.
pub const GUEST_WORDS: &str = "console=ttyS0 quiet panic=-1 poweroff=0";

impl GuestRun {
    /// Finds the guest's start and its first line of user space among the host's lines, and makes sure that it has `cpus` CPUs.
    fn read(lines: Vec<StampedLine>, cpus: u32) -> Result<Self> {
        let start = lines.iter().find(|line| line.text == "peer: guest starts");
        let start = start.context("it was never started")?.at;
        let (mut user_space, mut counted) = (None, None);
        for line in &lines {
            match GuestLine::parse(&line.text) {
                Some(GuestLine::UserSpace { .. }) => user_space = user_space.or(Some(line.at)),
                Some(GuestLine::Cpus { count }) => counted = Some(count),
                Some(GuestLine::Bad(text)) => bail!("the guest reports: {text}"),
                _ => {}
            }
        }
        let user_space = user_space.context("it did not come to user space")?;
        ensure!(counted == Some(cpus), "it has {counted:?} CPUs and was given {cpus}");
        Ok(Self { boot: user_space.saturating_duration_since(start), lines })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    fn lines(texts: &[&str]) -> Vec<StampedLine> {
        let began = Instant::now();
        let after = |seconds: u64| began + Duration::from_secs(seconds);
        (0..).zip(texts).map(|(at, text)| StampedLine { at: after(at), text: (*text).to_owned() }).collect()
    }

    #[test]
    fn a_run_is_measured_from_start_to_user_space() {
        let run = GuestRun::read(
            lines(&[
                "peer: guest starts",
                "[    0.000000] kernel",
                "godwit-guest: user space 1000",
                "godwit-guest: cpus 2",
                "bench 0 cpuid_ns 100",
                "bench 1 cpuid_ns 90",
                "bench done",
            ]),
            2,
        );
        let run = run.unwrap();
        assert_eq!((run.boot, run.cpuid_exit_ns()), (Duration::from_secs(2), vec![100, 90]));
    }

    #[test]
    fn a_run_that_went_wrong_is_no_figure() {
        let cases = [
            (&["godwit-guest: user space 1"][..], "never started"),
            (&["peer: guest starts"], "user space"),
            (&["peer: guest starts", "godwit-guest: user space 1", "CLOCK BACK 2 1"], "CLOCK BACK"),
            (&["peer: guest starts", "godwit-guest: user space 1", "godwit-guest: cpus 4"], "Some(4) CPUs"),
            (&["peer: guest starts", "godwit-guest: user space 1"], "None CPUs"),
        ];
        for (texts, part) in cases {
            let error = GuestRun::read(lines(texts), 1).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
    }
}
