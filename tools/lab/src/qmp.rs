//! QEMU's machine protocol: one JSON object a line, answers and events mixed.

use std::{
    io::{BufRead, BufReader, Write},
    os::unix::net::UnixStream,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow, bail};
use serde_json::{Value, json};

/// A connection that may give commands.
#[derive(Debug)]
pub(crate) struct Qmp {
    writer: Mutex<UnixStream>,
    inbox: Arc<Inbox>,
}

#[derive(Debug, Default)]
struct Inbox {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    greeted: bool,
    /// The answer to the one command that is under way.
    answer: Option<Value>,
    events: Vec<Value>,
    ended: bool,
}

impl Qmp {
    /// Reads the greeting from `stream` and leaves negotiation mode.
    ///
    /// # Errors
    /// No QEMU speaks there before `deadline`.
    pub(crate) fn connect(stream: UnixStream, deadline: Instant) -> Result<Self> {
        let reader = stream.try_clone().context("cannot share the QMP socket")?;
        let inbox = Arc::new(Inbox::default());
        let follower = Arc::clone(&inbox);
        thread::spawn(move || follower.follow(BufReader::new(reader)));
        let qmp = Self { writer: Mutex::new(stream), inbox };
        qmp.inbox.wait(deadline, |state| state.greeted.then_some(())).context("no QMP greeting")?;
        qmp.execute("qmp_capabilities", Value::Null, deadline)?;
        Ok(qmp)
    }

    /// Runs one command and returns what it returns.
    ///
    /// # Errors
    /// QEMU refused it, ended, or did not answer before `deadline`.
    pub(crate) fn execute(&self, command: &str, arguments: Value, deadline: Instant) -> Result<Value> {
        // Held until the answer is there: one command at a time.
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let mut request = json!({ "execute": command });
        if !arguments.is_null() {
            request["arguments"] = arguments;
        }
        self.inbox.lock().answer = None;
        writeln!(writer, "{request}").with_context(|| format!("cannot send QMP `{command}`"))?;
        let answer = self
            .inbox
            .wait(deadline, |state| state.answer.take())
            .with_context(|| format!("no answer to QMP `{command}`"))?;
        if let Some(error) = answer.get("error") {
            let text = error["desc"].as_str().unwrap_or("no description");
            bail!("QMP `{command}` failed: {text}");
        }
        answer.get("return").cloned().ok_or_else(|| anyhow!("QMP `{command}`: an answer of neither kind"))
    }

    /// Runs one line of QEMU's own monitor and returns what it prints.
    ///
    /// # Errors
    /// As [`Qmp::execute`]; what the monitor complains about is text, not an error.
    pub(crate) fn human_monitor(&self, line: &str, deadline: Instant) -> Result<String> {
        let arguments = json!({ "command-line": line });
        let text = self.execute("human-monitor-command", arguments, deadline)?;
        Ok(text.as_str().unwrap_or_default().to_owned())
    }

    /// Why QEMU shut the machine down, such as `guest-shutdown`, as far as it has said so.
    pub(crate) fn shutdown_reason(&self) -> Option<String> {
        let state = self.inbox.lock();
        let event = state.events.iter().rfind(|event| event["event"] == "SHUTDOWN")?;
        event["data"]["reason"].as_str().map(str::to_owned)
    }

    /// Waits until QEMU has closed the connection: no event is outstanding then.
    pub(crate) fn wait_end(&self, deadline: Instant) -> Result<()> {
        self.inbox.wait(deadline, |state| state.ended.then_some(()))
    }
}

impl Inbox {
    fn follow(&self, reader: BufReader<UnixStream>) {
        for line in reader.lines().map_while(Result::ok) {
            // A line that is no JSON comes from no QEMU; the command that waits runs into its deadline and says so.
            let Ok(message) = serde_json::from_str::<Value>(&line) else { continue };
            let mut state = self.lock();
            if message.get("event").is_some() {
                state.events.push(message);
            } else if message.get("QMP").is_some() {
                state.greeted = true;
            } else {
                state.answer = Some(message);
            }
            self.changed.notify_all();
        }
        self.lock().ended = true;
        self.changed.notify_all();
    }

    fn wait<T>(&self, deadline: Instant, mut attempt: impl FnMut(&mut State) -> Option<T>) -> Result<T> {
        let mut state = self.lock();
        loop {
            if let Some(found) = attempt(&mut state) {
                return Ok(found);
            }
            if state.ended {
                bail!("the emulator closed its monitor");
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left == Duration::ZERO {
                bail!("the deadline passed");
            }
            state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
