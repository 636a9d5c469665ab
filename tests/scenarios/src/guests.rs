//! A host with guests: the bundle it boots with, and what it says about them.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    env, fs,
    ops::Deref,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use godwit_guest::{
    bundle::{Builder, FileId},
    description::{CommandLine, GuestDescription, GuestName, PagePolicy},
};
use godwit_lab::{HostSpec, RawFrames, RunningHost};
use tempfile::TempDir;

use crate::{ANSWER, boot, linux::linux};

/// How long a micro guest may take for all that it does.
pub const MICRO: Duration = Duration::from_secs(120);
/// Ctrl-], which leaves a guest's console.
const LEAVE: &[u8] = b"\x1d";
/// Memory of a micro guest, in MiB.
const MICRO_MIB: u64 = 16;

/// A guest with the largest leaves that does not start by itself.
///
/// # Errors
/// The name or the command line is none.
pub fn description(name: &str, memory_mib: u64, command_line: &str) -> Result<GuestDescription> {
    Ok(GuestDescription {
        name: GuestName::new(name)?,
        memory_bytes: memory_mib << 20,
        command_line: CommandLine::new(command_line)?,
        pages: PagePolicy::Largest,
        autostart: false,
        processors: Default::default(),
        trust_domain: None,
        tsc_hz: None,
    })
}

/// A micro guest of 16 MiB that runs these trials.
///
/// # Errors
/// As [`description`].
pub fn micro(name: &str, command_line: &str) -> Result<GuestDescription> {
    description(name, MICRO_MIB, command_line)
}

/// The kernel of the micro guests.
///
/// # Errors
/// It was not built.
pub fn micro_kernel() -> Result<PathBuf> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let kernel = here.ancestors().nth(2).unwrap_or(here).join("target/godwit/micro.elf");
    ensure!(kernel.is_file(), "no micro guests at {}: run `cargo xtask build`", kernel.display());
    Ok(kernel)
}

/// How many trials the micro guests have at least: one that vanished is missed.
pub const MICRO_TRIALS_AT_LEAST: usize = 180;

/// The names of the micro guests' trials that come to an end, as the kernel itself tells them on a plain emulator.
///
/// # Errors
/// It was not built, does not tell them, or tells fewer than there were.
pub fn micro_trials() -> Result<Vec<String>> {
    let trials = godwit_lab::micro_trials(&micro_kernel()?)?;
    let distinct: BTreeSet<_> = trials.iter().collect();
    ensure!(distinct.len() == trials.len(), "two trials have one name: {trials:?}");
    ensure!(
        trials.len() >= MICRO_TRIALS_AT_LEAST,
        "{} trials, at least {MICRO_TRIALS_AT_LEAST} are expected: {trials:?}",
        trials.len()
    );
    Ok(trials)
}

/// How many of the micro guests' trials need several CPUs at least.
const OF_SEVERAL_CPUS_AT_LEAST: usize = 35;

/// As [`micro_trials`], those that need several CPUs: `test=smp` runs them.
///
/// # Errors
/// As [`micro_trials`].
pub fn micro_trials_of_several_cpus() -> Result<Vec<String>> {
    let trials = godwit_lab::micro_trials_of_several_cpus(&micro_kernel()?)?;
    ensure!(
        trials.len() >= OF_SEVERAL_CPUS_AT_LEAST,
        "{} trials, at least {OF_SEVERAL_CPUS_AT_LEAST} are expected: {trials:?}",
        trials.len()
    );
    Ok(trials)
}

/// Fails unless a guest or a machine said that all of these passed and that none else ran.
///
/// # Errors
/// What it printed.
pub fn ensure_passed(printed: &str, trials: &[String]) -> Result<()> {
    let said: Vec<&str> = printed.lines().map(str::trim_end).collect();
    let missing: Vec<_> =
        trials.iter().filter(|trial| !said.contains(&format!("micro {trial} ok").as_str())).collect();
    let sum = format!("micro done: {} ok, 0 failed", trials.len());
    ensure!(said.contains(&sum.as_str()) && missing.is_empty(), "not ok: {missing:?}\n{printed}");
    Ok(())
}

/// A bundle in the making.
#[derive(Default)]
pub struct Bundle {
    builder: Builder,
    packed: HashMap<PathBuf, FileId>,
}

impl Bundle {
    /// A bundle without guests.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a micro guest.
    ///
    /// # Errors
    /// There is no kernel for it, or the bundle does not take it.
    pub fn micro(&mut self, guest: GuestDescription) -> Result<()> {
        let kernel = self.built(&micro_kernel()?)?;
        self.guest(guest, kernel, None)
    }

    /// Adds the Linux test guest, from `vmlinux` or as `vmlinuz`.
    ///
    /// # Errors
    /// As [`micro`](Self::micro).
    pub fn linux(&mut self, guest: GuestDescription, compressed: bool) -> Result<()> {
        let files = linux()?;
        let kernel = self.built(if compressed { &files.vmlinuz } else { &files.vmlinux })?;
        let initrd = self.built(&files.initramfs)?;
        self.guest(guest, kernel, Some(initrd))
    }

    /// Adds a guest that boots from files added before.
    ///
    /// # Errors
    /// The bundle does not take it.
    pub fn guest(&mut self, guest: GuestDescription, kernel: FileId, initrd: Option<FileId>) -> Result<()> {
        Ok(self.builder.guest(guest, kernel, initrd)?)
    }

    /// Adds a file that was built; the same one goes in once.
    ///
    /// # Errors
    /// It cannot be read, or the bundle does not take it.
    pub fn built(&mut self, path: &Path) -> Result<FileId> {
        if let Some(packed) = self.packed.get(path) {
            return Ok(*packed);
        }
        let content = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        let name = path.file_name().and_then(|name| name.to_str()).context("a file without a name")?;
        let packed = self.file(name, content)?;
        self.packed.insert(path.to_owned(), packed);
        Ok(packed)
    }

    /// Adds a file.
    ///
    /// # Errors
    /// The bundle does not take it.
    pub fn file(&mut self, name: &str, content: Vec<u8>) -> Result<FileId> {
        Ok(self.builder.file(name, content)?)
    }

    /// The bundle's bytes.
    ///
    /// # Errors
    /// It is too large.
    pub fn bytes(self) -> Result<Vec<u8>> {
        Ok(self.builder.build()?)
    }

    /// Boots a host with the bundle up to its prompt.
    ///
    /// # Errors
    /// It did not come that far.
    pub fn boot(self, spec: &HostSpec) -> Result<GuestHost> {
        GuestHost::boot(spec, &self.bytes()?)
    }
}

/// A host with a boot module.
#[derive(Debug)]
pub struct GuestHost {
    host: RunningHost,
    /// What it said until its prompt.
    pub banner: String,
    // QEMU reads the module from it while it starts.
    _directory: TempDir,
}

impl GuestHost {
    /// Boots a host with this boot module up to its prompt.
    ///
    /// # Errors
    /// It did not come that far.
    pub fn boot(spec: &HostSpec, module: &[u8]) -> Result<Self> {
        let directory = tempfile::tempdir().context("cannot make a directory")?;
        let path = directory.path().join("guests.bundle");
        fs::write(&path, module).with_context(|| format!("cannot write {}", path.display()))?;
        let (host, banner) = boot(&HostSpec { module: Some(path), ..spec.clone() })?;
        Ok(Self { host, banner, _directory: directory })
    }

    /// Starts a guest, which must succeed.
    ///
    /// # Errors
    /// The host says something else than that it runs.
    pub fn start(&self, name: &str) -> Result<()> {
        self.tell("start", name, &format!("{name} runs"))
    }

    /// Gives the command `what` for a guest; fails unless the answer says `part`.
    ///
    /// # Errors
    /// The answer.
    pub fn tell(&self, what: &str, name: &str, part: &str) -> Result<()> {
        let said = self.command(&format!("{what} {name}"), ANSWER)?;
        // The host's log may come between the two.
        ensure!(crate::unwrapped(&said).contains(part), "`{what} {name}` did not say `{part}`:\n{said}");
        Ok(())
    }

    /// What the host tells programs about a guest.
    ///
    /// # Errors
    /// It is not understood.
    pub fn guest(&self, name: &str) -> Result<RawGuest> {
        RawGuest::parse(&self.command(&format!("guest {name} raw"), ANSWER)?)
    }

    /// Fails unless the host tells that state of a guest.
    ///
    /// # Errors
    /// It tells another one.
    pub fn ensure_state(&self, name: &str, expected: &str) -> Result<()> {
        let state = self.guest(name)?.state;
        ensure!(state == expected, "{name} is {state}, not {expected}");
        Ok(())
    }

    /// Waits until the host has said `part`, however long ago.
    ///
    /// # Errors
    /// It does not say it in time.
    pub fn has_said(&self, part: &str, within: Duration) -> Result<()> {
        if !self.transcript().contains(part) {
            self.expect(part, within)?;
        }
        Ok(())
    }

    /// Everything on the console of a guest that comes to an end by itself, up to why it ended.
    ///
    /// # Errors
    /// It does not end in time.
    pub fn console_to_the_end(&self, name: &str, within: Duration) -> Result<String> {
        self.enter_console(name)?;
        self.wait_prompt(within)
    }

    /// Goes to a guest's console: what it still shows of before counts as unread.
    ///
    /// # Errors
    /// The host does not show it.
    pub fn enter_console(&self, name: &str) -> Result<()> {
        self.type_line(&format!("console {name}"))?;
        let opening = format!("console of {name}; ");
        self.expect_line("the console", |line| line.starts_with(&opening), ANSWER)?;
        Ok(())
    }

    /// Leaves a guest's console.
    ///
    /// # Errors
    /// The host does not let go.
    pub fn leave_console(&self, name: &str) -> Result<()> {
        self.type_bytes(LEAVE)?;
        let ending = format!("left the console of {name}");
        self.expect_line("the end of the console", |line| line.trim_end() == ending, ANSWER)?;
        self.wait_prompt(ANSWER)?;
        Ok(())
    }

    /// Frames that are free.
    ///
    /// # Errors
    /// The host does not say.
    pub fn free_frames(&self) -> Result<u64> {
        Ok(RawFrames::parse(&self.command("frames raw", ANSWER)?)?.free_frames)
    }
}

impl Deref for GuestHost {
    type Target = RunningHost;

    fn deref(&self) -> &RunningHost {
        &self.host
    }
}

/// What `guest NAME raw` says.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct RawGuest {
    /// `running`, `paused`, `stopped` or how it ended.
    pub state: String,
    /// RAM in bytes.
    pub memory_bytes: u64,
    /// How many leaves of each order map its RAM; none where it has none.
    pub leaves: BTreeMap<u64, u64>,
    /// Why it stopped, and how often.
    pub exits: BTreeMap<String, u64>,
    /// Its virtual CPUs, by number.
    pub vcpus: Vec<RawVcpu>,
}

/// What `guest NAME raw` says of a virtual CPU.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct RawVcpu {
    /// `running`, `waiting`, `asleep`, `halted` or `off`.
    pub state: String,
    /// The host CPU that runs it, or ran it last.
    pub cpu: u64,
    /// Nanoseconds that it had a CPU.
    pub ran_ns: u64,
    /// Nanoseconds that it wanted one and had none.
    pub waited_ns: u64,
}

impl RawGuest {
    fn parse(output: &str) -> Result<Self> {
        let mut guest = Self::default();
        for line in output.lines() {
            let number = |word: &str| word.parse::<u64>().with_context(|| format!("a number in `{line}`"));
            match line.split(' ').collect::<Vec<_>>()[..] {
                ["state", ..] => guest.state = line.trim_start_matches("state ").to_owned(),
                ["memory", bytes] => guest.memory_bytes = number(bytes)?,
                ["leaves", order, count] => _ = guest.leaves.insert(number(order)?, number(count)?),
                ["vcpu", _, "state", state, "cpu", cpu, "ran_ns", ran, "waited_ns", waited, ..] => {
                    guest.vcpus.push(RawVcpu {
                        state: state.to_owned(),
                        cpu: number(cpu)?,
                        ran_ns: number(ran)?,
                        waited_ns: number(waited)?,
                    });
                }
                ["exits", reason, count] => _ = guest.exits.insert(reason.to_owned(), number(count)?),
                ["end"] => return Ok(guest),
                // Tables, runs, and the host's log.
                _ => {}
            }
        }
        bail!("no line `end`:\n{output}")
    }
}
