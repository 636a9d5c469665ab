//! A host that runs: what can be waited for, typed, and done to it.

use std::{
    fmt,
    io::Write,
    net::Shutdown,
    os::{
        fd::{AsRawFd, OwnedFd},
        unix::net::UnixStream,
    },
    process::{Child, ExitStatus, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow};

use crate::{
    keeper,
    patience::Patience,
    qmp::Qmp,
    spec::HostSpec,
    transcript::{Match, NoMatch, StampedLine, Transcript},
};

/// How long QEMU may take until its monitor answers.
const START: Duration = Duration::from_secs(60);
/// How long QEMU's monitor may take for one command.
const MONITOR: Duration = Duration::from_secs(30);
/// How long the last words of an emulator that has closed its sockets may take.
const LAST_WORDS: Duration = Duration::from_secs(5);
/// Lines of the transcript that an error carries.
const TAIL_LINES: usize = 40;

/// How an emulator ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Exit {
    /// The process's status.
    pub status: ExitStatus,
    /// QEMU's reason: `guest-shutdown`, `guest-reset` (a triple fault as well), `host-signal`; `None` where it gave none.
    pub reason: Option<String>,
}

/// An emulated host. Dropping it ends it.
///
/// Deadlines are durations from the call on, and are multiplied by `GODWIT_TIME_SCALE`.
pub struct RunningHost {
    name: String,
    prompt: String,
    patience: Patience,
    child: Child,
    serial: UnixStream,
    transcript: Arc<Transcript>,
    /// What QEMU itself says. Its end is the end of the process.
    complaints: Arc<Transcript>,
    monitor: Option<Qmp>,
}

impl RunningHost {
    /// Starts the emulator. The host boots while the caller does something else.
    ///
    /// The serial port and QEMU's monitor are socket pairs that the child inherits as its descriptors 0 and 1: no path to
    /// choose or clean up, and nothing to wait for until somebody listens.
    ///
    /// # Errors
    /// The image or QEMU is not there, or QEMU ended before its monitor answered; its own words are in the error.
    pub fn start(spec: &HostSpec) -> Result<Self> {
        let patience = Patience::from_environment()?;
        let name = &spec.name;
        std::fs::metadata(&spec.image)
            .with_context(|| format!("host {name}: no image at {}", spec.image.display()))?;
        if let Some(module) = &spec.module {
            std::fs::metadata(module)
                .with_context(|| format!("host {name}: no boot module at {}", module.display()))?;
        }
        let (serial, serial_far) = UnixStream::pair().context("cannot make a socket pair")?;
        let (control, control_far) = UnixStream::pair().context("cannot make a socket pair")?;
        let deadline = Instant::now() + patience.scale(START);
        for socket in [&serial, &control] {
            socket.set_write_timeout(Some(patience.scale(MONITOR)))?;
        }
        let mut command = keeper::command(&spec.emulator.program);
        command
            .args(spec.arguments())
            .args(["-chardev", "socket,id=serial,fd=0", "-serial", "chardev:serial"])
            .args(["-chardev", "socket,id=control,fd=1", "-mon", "chardev=control,mode=control"])
            .stdin(Stdio::from(OwnedFd::from(serial_far)))
            .stdout(Stdio::from(OwnedFd::from(control_far)))
            .stderr(Stdio::piped());
        let mut inherited = Vec::new();
        if let Some(network) = &spec.network {
            let cable = network.port.plug().with_context(|| format!("host {name}: no cable"))?;
            command.args(HostSpec::network_arguments(network, cable.as_raw_fd()));
            inherited.push(cable);
        }
        let mut child = keeper::start(command, inherited)
            .with_context(|| format!("host {name}: cannot start setpriv (Debian package util-linux)"))?;
        let stderr = child.stderr.take().ok_or_else(|| anyhow!("host {name}: QEMU has no standard error"))?;
        let mut host = Self {
            name: name.clone(),
            prompt: format!("{name}> "),
            patience,
            child,
            transcript: Transcript::follow(serial.try_clone().context("cannot share the serial socket")?),
            serial,
            complaints: Transcript::follow(stderr),
            monitor: None,
        };
        match Qmp::connect(control, deadline) {
            Ok(monitor) => host.monitor = Some(monitor),
            Err(error) => {
                let program = spec.emulator.program.display();
                return Err(host.obituary(&format!("{program} did not start: {error:#}")));
            }
        }
        Ok(host)
    }

    /// The host's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Everything the host has printed, as a terminal would show it.
    pub fn transcript(&self) -> String {
        self.transcript.text()
    }

    /// Every finished line that the host has printed, and when it came.
    pub fn stamped_lines(&self) -> Vec<StampedLine> {
        self.transcript.stamped_lines()
    }

    /// Waits until `needle` is printed after the last match.
    ///
    /// # Errors
    /// The deadline passed or the host ended; the error carries the end of the transcript.
    pub fn expect(&self, needle: &str, within: Duration) -> Result<Match> {
        let found = self.transcript.expect(needle, self.deadline(within));
        found.map_err(|why| self.unmet(&format!("`{needle}`"), why, within))
    }

    /// Waits until a whole line after the last match satisfies `wanted`; `what` names it in the error.
    ///
    /// # Errors
    /// As [`RunningHost::expect`].
    pub fn expect_line(
        &self,
        what: &str,
        wanted: impl FnMut(&str) -> bool,
        within: Duration,
    ) -> Result<Match> {
        let found = self.transcript.expect_line(wanted, self.deadline(within));
        found.map_err(|why| self.unmet(what, why, within))
    }

    /// Waits until the host says `godwit ready` and its monitor shows its prompt; returns everything it said until then.
    ///
    /// # Errors
    /// As [`RunningHost::expect`].
    pub fn wait_ready(&self, within: Duration) -> Result<String> {
        let ready =
            self.expect_line("the line `godwit ready`", |line| line.ends_with("godwit ready"), within)?;
        let prompt = self.wait_prompt(within)?;
        Ok(format!("{}{}\n{}", ready.before, ready.text, prompt))
    }

    /// Types `line` into the host's monitor and returns what it prints until the next prompt.
    ///
    /// # Errors
    /// As [`RunningHost::expect`].
    pub fn command(&self, line: &str, within: Duration) -> Result<String> {
        self.type_line(line)?;
        let echo = format!("{}{line}", self.prompt);
        self.expect_line("the echo of a command", |shown| shown.trim_end() == echo.trim_end(), within)?;
        self.wait_prompt(within)
    }

    /// Waits for the monitor's prompt; returns what was printed since the last match.
    ///
    /// # Errors
    /// As [`RunningHost::expect`].
    pub fn wait_prompt(&self, within: Duration) -> Result<String> {
        self.watch_prompt(within, |_| ())
    }

    /// As [`RunningHost::wait_prompt`], and shows `seen` the unfinished line whenever it was written anew, as a command does
    /// that tells of its progress.
    ///
    /// # Errors
    /// As [`RunningHost::expect`].
    pub fn watch_prompt(&self, within: Duration, seen: impl FnMut(&str)) -> Result<String> {
        match self.transcript.watch_current_line(&self.prompt, self.deadline(within), seen) {
            Ok(found) => Ok(found.before),
            Err(why) => Err(self.unmet(&format!("the prompt `{}`", self.prompt), why, within)),
        }
    }

    /// Types `line` and Enter.
    ///
    /// # Errors
    /// The host ended.
    pub fn type_line(&self, line: &str) -> Result<()> {
        self.type_bytes(format!("{line}\r").as_bytes())
    }

    /// Types `bytes` as they are.
    ///
    /// # Errors
    /// The host ended.
    pub fn type_bytes(&self, bytes: &[u8]) -> Result<()> {
        (&self.serial).write_all(bytes).map_err(|error| self.failure(&format!("cannot type: {error}")))
    }

    /// Runs one line of QEMU's own monitor, such as `nmi` or `mce 0 1 …`, and returns what it prints.
    ///
    /// # Errors
    /// QEMU ended or did not answer in time.
    pub fn qemu_monitor(&self, line: &str) -> Result<String> {
        let monitor = self.monitor.as_ref().ok_or_else(|| self.failure("it has no monitor"))?;
        monitor
            .human_monitor(line, self.deadline(MONITOR))
            .map_err(|error| self.failure(&format!("monitor command `{line}`: {error:#}")))
    }

    /// Waits until the emulator has ended by itself.
    ///
    /// # Errors
    /// It still runs at the deadline.
    pub fn wait_exit(&mut self, within: Duration) -> Result<Exit> {
        let deadline = self.deadline(within);
        self.complaints
            .expect_end(deadline)
            .map_err(|_| self.failure(&format!("did not end within {within:?}")))?;
        // The process has closed its descriptors: it is gone, or about to be.
        let status =
            self.child.wait().with_context(|| format!("host {}: cannot be waited for", self.name))?;
        let reason = match &self.monitor {
            Some(monitor) => {
                monitor.wait_end(deadline)?;
                monitor.shutdown_reason()
            }
            None => None,
        };
        Ok(Exit { status, reason })
    }

    /// The id of the emulator's process.
    pub fn process_id(&self) -> u32 {
        self.child.id()
    }

    fn deadline(&self, within: Duration) -> Instant {
        Instant::now() + self.patience.scale(within)
    }

    fn unmet(&self, what: &str, why: NoMatch, within: Duration) -> anyhow::Error {
        match why {
            NoMatch::Deadline => {
                let waited = self.patience.scale(within);
                self.failure(&format!("{what} did not come within {waited:?}"))
            }
            NoMatch::Ended => self.obituary(&format!("ended before {what} came")),
        }
    }

    /// As [`RunningHost::failure`], for an emulator that is ending: what it complains about may still be under way.
    fn obituary(&self, what: &str) -> anyhow::Error {
        // Without its last words the error is poorer, and still right.
        let _ = self.complaints.expect_end(self.deadline(LAST_WORDS));
        self.failure(what)
    }

    /// An error that says which host, and what it and its emulator said last.
    fn failure(&self, what: &str) -> anyhow::Error {
        let transcript = self.transcript.text();
        let lines: Vec<_> = transcript.trim_end().lines().collect();
        let cut = lines.len().saturating_sub(TAIL_LINES);
        let mut message = format!("host {}: {what}", self.name);
        let complaints = self.complaints.text();
        if !complaints.trim().is_empty() {
            message += &format!("\n  QEMU said: {}", complaints.trim_end().replace('\n', "\n             "));
        }
        match cut {
            _ if lines.is_empty() => message += "\n  the host printed nothing",
            0 => message += "\n  the host printed:",
            cut => message += &format!("\n  the host printed ({cut} lines before are not shown):"),
        }
        for line in &lines[cut..] {
            message += &format!("\n  | {line}");
        }
        anyhow!(message)
    }
}

impl fmt::Debug for RunningHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RunningHost({}, process {})", self.name, self.child.id())
    }
}

impl Drop for RunningHost {
    /// Ends the emulator. Failures mean that it has ended already.
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = self.serial.shutdown(Shutdown::Both);
    }
}
