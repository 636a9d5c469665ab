//! `ping`, as the monitor runs it.

use core::{
    fmt::{self, Write},
    net::Ipv4Addr,
    time::Duration,
};

use crate::{
    console::Console,
    job::{Job, Step},
    machine::Instant,
    state::HostState,
};

/// Questions that are asked.
const TRIES: u16 = 3;
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(1);

/// Asks a host a few times whether it is there.
pub(crate) struct PingJob {
    to: Ipv4Addr,
    /// Questions asked so far.
    asked: u16,
    answered: u16,
    /// When the question that is out was asked.
    waiting_since: Option<Instant>,
}

impl PingJob {
    pub(crate) fn new(to: Ipv4Addr) -> Self {
        Self { to, asked: 0, answered: 0, waiting_since: None }
    }
}

impl<'a, 'm> Job<'a, 'm> for PingJob {
    fn step(&mut self, state: &mut HostState<'a, 'm>, out: &mut Console<'a>) -> Result<Step, fmt::Error> {
        let now = state.machine.now();
        let to = self.to;
        let Ok(network) = &mut state.network else { return Ok(Step::Done) };
        if let Some(asked) = self.waiting_since {
            let is_answer = |number| number == self.asked;
            if core::iter::from_fn(|| network.ping_answer())
                .any(|answer| answer.from == to && is_answer(answer.number))
            {
                let microseconds = now.since(asked).as_micros();
                let (milliseconds, rest) = (microseconds / 1000, microseconds % 1000);
                writeln!(out, "{to} answers after {milliseconds}.{rest:03} ms")?;
                self.answered += 1;
            } else if now < asked.after(PATIENCE) {
                return Ok(Step::WaitUntil(asked.after(PATIENCE)));
            } else {
                writeln!(out, "{to} does not answer within {} ms", PATIENCE.as_millis())?;
            }
            self.waiting_since = None;
            return Ok(Step::Again);
        }
        if self.asked == TRIES {
            writeln!(out, "{} of {TRIES} answered", self.answered)?;
            return Ok(Step::Done);
        }
        self.asked += 1;
        self.waiting_since = Some(now);
        if !network.ping(to, self.asked) {
            writeln!(out, "ping: too many questions wait for the network")?;
            return Ok(Step::Done);
        }
        Ok(Step::Again)
    }

    fn cancel(&mut self, _state: &mut HostState<'a, 'm>, out: &mut Console<'a>) -> fmt::Result {
        writeln!(out, "{} of {} answered", self.answered, self.asked)
    }
}
