//! Two hosts that are joined, and a guest that moves between them.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use godwit_guest::{
    bundle::Builder,
    description::{CommandLine, GuestDescription, GuestName, PagePolicy, Processors},
};
use godwit_lab::{Lab, LabFile, Port, RawFrames, RunningHost};
use tempfile::TempDir;

use crate::{ANSWER, BOOT, guests::micro_kernel, linux::linux, spec};

/// How long one move may take.
pub const MOVE: Duration = Duration::from_secs(120);
/// The guest that moves.
pub const GUEST: &str = "web-1";
/// Ctrl-], which leaves a guest's console.
const LEAVE: &[u8] = b"\x1d";

/// What a guest boots.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kernel {
    /// The micro guests.
    Micro,
    /// The Linux test guest.
    Linux,
}

/// A guest of a bundle.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct GuestSpec {
    /// Its name.
    pub name: String,
    /// RAM in MiB.
    pub memory_mib: u64,
    /// What it boots.
    pub kernel: Kernel,
    /// What its kernel is told.
    pub command_line: String,
    /// Whether it starts with its host.
    pub autostart: bool,
    /// Its virtual CPUs.
    pub processors: Processors,
}

impl GuestSpec {
    /// A micro guest of 16 MiB called [`GUEST`] that runs these trials; it starts with its host.
    pub fn micro(command_line: &str) -> Self {
        Self {
            name: GUEST.to_owned(),
            memory_mib: 16,
            kernel: Kernel::Micro,
            command_line: command_line.to_owned(),
            autostart: true,
            processors: Processors::default(),
        }
    }

    /// The Linux test guest with 96 MiB, called [`GUEST`], which does what these words say; it starts with its host.
    pub fn linux(words: &str) -> Self {
        Self {
            memory_mib: 96,
            kernel: Kernel::Linux,
            command_line: format!("console=ttyS0 quiet panic=-1 {words}"),
            ..Self::micro("")
        }
    }
}

/// A bundle of `guests`, and the directory that it lies in.
///
/// # Errors
/// A file that a guest boots was not built.
pub fn bundle(guests: &[GuestSpec]) -> Result<(PathBuf, TempDir)> {
    let mut builder = Builder::new();
    for guest in guests {
        let (kernel, initrd) = match guest.kernel {
            Kernel::Micro => (micro_kernel()?, None),
            Kernel::Linux => {
                let files = linux()?;
                (files.vmlinux, Some(files.initramfs))
            }
        };
        let mut add = |path: &Path| -> Result<_> {
            let content = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
            Ok(builder.file("file", content)?)
        };
        let kernel = add(&kernel)?;
        let initrd = initrd.map(|path| add(&path)).transpose()?;
        let description = GuestDescription {
            name: GuestName::new(&guest.name)?,
            memory_bytes: guest.memory_mib << 20,
            command_line: CommandLine::new(&guest.command_line)?,
            pages: PagePolicy::Largest,
            autostart: guest.autostart,
            processors: guest.processors,
            trust_domain: None,
            tsc_hz: None,
        };
        builder.guest(description, kernel, initrd)?;
    }
    let directory = tempfile::tempdir().context("cannot make a directory")?;
    let path = directory.path().join("guests.bundle");
    fs::write(&path, builder.build()?).with_context(|| format!("cannot write {}", path.display()))?;
    Ok((path, directory))
}

/// How the two hosts are.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PairSpec {
    /// Lines of the lab file for each host, without its name and address.
    pub hosts: [&'static str; 2],
    /// The largest IP packet between them, in bytes.
    pub mtu: u16,
    /// Guests that the first host knows.
    pub north: Vec<GuestSpec>,
    /// Guests that the second host knows.
    pub south: Vec<GuestSpec>,
}

impl PairSpec {
    /// Two small hosts with two CPUs each, of which the first has `guest`.
    pub fn small(guest: GuestSpec) -> Self {
        Self {
            hosts: ["cpus = 2\nmemory = \"256MiB\"\n"; 2],
            mtu: 9000,
            north: vec![guest],
            south: Vec::new(),
        }
    }
}

/// Two hosts, `north` and `south`, that are joined.
#[derive(Debug)]
pub struct Pair {
    lab: Lab,
    // The emulators read bundles from it while they start.
    _bundles: Vec<TempDir>,
}

impl Pair {
    /// Starts both hosts and waits for their prompts.
    ///
    /// # Errors
    /// They do not come that far.
    pub fn start(pair: &PairSpec) -> Result<Self> {
        let [north, south] = pair.hosts;
        let text = format!(
            "[[host]]\nname = \"north\"\naddress = \"10.0.0.1/24\"\n{north}\n\
             [[host]]\nname = \"south\"\naddress = \"10.0.0.2/24\"\n{south}\n\
             [network]\nmtu = {}\n",
            pair.mtu
        );
        let file = LabFile::parse(&text)?;
        let switch = file.switch()?;
        let mut specs = file.specs(&spec("north")?.image, &switch)?;
        let mut bundles = Vec::new();
        for (spec, guests) in specs.iter_mut().zip([&pair.north, &pair.south]) {
            if !guests.is_empty() {
                let (path, directory) = bundle(guests)?;
                spec.module = Some(path);
                bundles.push(directory);
            }
        }
        let lab = Lab::start_specs(specs, switch)?;
        for host in lab.hosts() {
            host.wait_ready(BOOT)?;
        }
        Ok(Self { lab, _bundles: bundles })
    }

    /// The host that has the guest at first.
    pub fn north(&self) -> &RunningHost {
        &self.lab.hosts()[0]
    }

    /// The other one.
    pub fn south(&self) -> &RunningHost {
        &self.lab.hosts()[1]
    }

    /// Where the cable of `north` ends.
    ///
    /// # Errors
    /// It has none.
    pub fn north_port(&self) -> Result<&Port> {
        self.lab.port("north")
    }

    /// Where the cable of `south` ends.
    ///
    /// # Errors
    /// It has none.
    pub fn south_port(&self) -> Result<&Port> {
        self.lab.port("south")
    }

    /// Ends `south` as a power cut does, and boots it again up to its prompt.
    ///
    /// # Errors
    /// It does not come that far.
    pub fn restart_south(&mut self) -> Result<()> {
        self.lab.restart("south")?.wait_ready(BOOT)?;
        Ok(())
    }
}

/// Asks `from` to move the guest, and answers with what it said about it.
///
/// # Errors
/// It said nothing in time.
pub fn send(from: &RunningHost, to: &str) -> Result<String> {
    from.command(&format!("send {GUEST} {to}"), MOVE)
}

/// Moves the guest, which must succeed.
///
/// # Errors
/// It did not.
pub fn move_guest(from: &RunningHost, to: &RunningHost) -> Result<String> {
    let said = send(from, to.name())?;
    ensure!(
        said.contains(&format!("{GUEST} runs on {}", to.name())),
        "the move failed:\n{said}\n{}",
        to.transcript()
    );
    Ok(said)
}

/// What `guest NAME raw` says after the word `key`, in each line that begins with it.
///
/// # Errors
/// The host does not answer.
pub fn guest_raw(host: &RunningHost, key: &str) -> Result<Vec<String>> {
    let said = host.command(&format!("guest {GUEST} raw"), ANSWER)?;
    let lines = said.lines().filter_map(|line| line.strip_prefix(key)?.strip_prefix(' '));
    Ok(lines.map(str::to_owned).collect())
}

/// The state that `host` tells of the guest.
///
/// # Errors
/// It knows none.
pub fn guest_state(host: &RunningHost) -> Result<String> {
    guest_raw(host, "state")?.pop().with_context(|| format!("{} knows no {GUEST}", host.name()))
}

/// Fails unless `host` tells that state of the guest.
///
/// # Errors
/// It tells another one.
pub fn ensure_state(host: &RunningHost, expected: &str) -> Result<()> {
    let state = guest_state(host)?;
    ensure!(state == expected, "{} says that {GUEST} is {state}, not {expected}", host.name());
    Ok(())
}

/// Asks `host` until it tells that state of the guest: a move that was called off has ended only when the adapter has sent what it
/// had.
///
/// # Errors
/// It goes on telling another one.
pub fn await_state(host: &RunningHost, expected: &str) -> Result<()> {
    let deadline = Instant::now() + ANSWER;
    while guest_state(host)? != expected && Instant::now() < deadline {}
    ensure_state(host, expected)
}

/// Frames that are free on `host`.
///
/// # Errors
/// It does not say.
pub fn free_frames(host: &RunningHost) -> Result<u64> {
    Ok(RawFrames::parse(&host.command("frames raw", ANSWER)?)?.free_frames)
}

/// Stops the guest on `host`.
///
/// # Errors
/// The host does not say that it is stopped.
pub fn stop(host: &RunningHost) -> Result<()> {
    let said = host.command(&format!("stop {GUEST}"), ANSWER)?;
    ensure!(said.contains("is stopped"), "{said}");
    Ok(())
}

/// The guest's console, as somebody at `host` has it. [`leave`](Self::leave) it before anything else is asked of the host.
#[derive(Debug)]
pub struct GuestConsole<'h> {
    host: &'h RunningHost,
}

impl<'h> GuestConsole<'h> {
    /// Goes to the console: all that it still shows counts as unread.
    ///
    /// # Errors
    /// The host does not show it.
    pub fn enter(host: &'h RunningHost) -> Result<Self> {
        host.type_line(&format!("console {GUEST}"))?;
        host.expect_line("the console", |line| line.starts_with("console of "), ANSWER)?;
        Ok(Self { host })
    }

    /// The host that shows it.
    pub fn host(&self) -> &'h RunningHost {
        self.host
    }

    /// Goes away.
    ///
    /// # Errors
    /// The host does not let go.
    pub fn leave(self) -> Result<()> {
        self.host.type_bytes(LEAVE)?;
        self.host.expect_line(
            "the end of the console",
            |line| line.starts_with("left the console"),
            ANSWER,
        )?;
        self.host.wait_prompt(ANSWER)?;
        Ok(())
    }
}

/// Fails unless the micro guest `heartbeat` goes on beating on `host`.
///
/// # Errors
/// No new beat came.
pub fn ensure_beats(host: &RunningHost) -> Result<()> {
    let number = |line: &str| line.strip_prefix("beat ")?.split(' ').next()?.parse::<u64>().ok();
    let console = GuestConsole::enter(host)?;
    host.expect_line("a beat", |line| number(line).is_some(), ANSWER)?;
    console.leave()?;
    let shown = console_lines(host).iter().filter_map(|line| number(line)).max().unwrap_or(0);
    // The last line of a visit is not counted, and may have been whole.
    let console = GuestConsole::enter(host)?;
    host.expect_line("another beat", |line| number(line).is_some_and(|beat| beat > shown + 2), ANSWER)?;
    console.leave()
}

/// Every whole line that the guest wrote to consoles of `host`, in order; those that were shown twice come twice. The last
/// line of each visit is left out: leaving cuts it.
pub fn console_lines(host: &RunningHost) -> Vec<String> {
    let transcript = host.transcript();
    let mut visits = Vec::new();
    let mut visit: Option<Vec<String>> = None;
    for line in transcript.lines() {
        if line.starts_with("console of ") {
            visit = Some(Vec::new());
        } else if line.starts_with("left the console") {
            let mut lines = visit.take().unwrap_or_default();
            lines.pop();
            visits.append(&mut lines);
        } else if let Some(lines) = &mut visit {
            lines.push(line.to_owned());
        }
    }
    visits
}
