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
    network::SendError,
    state::HostState,
};

/// Questions that are asked.
const TRIES: u16 = 3;
/// A question that could not be sent is tried again after so long at the latest.
const TRY_AGAIN: Duration = Duration::from_millis(250);
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(1);

/// Asks a host a few times whether it is there.
pub(crate) struct PingJob {
    to: Ipv4Addr,
    /// Questions that are over or out.
    asked: u16,
    answered: u16,
    question: Option<Question>,
}

/// The question that is out.
#[derive(Clone, Copy)]
struct Question {
    /// When it is given up.
    deadline: Instant,
    /// When it was sent: not before the host's hardware address is known.
    sent: Option<Instant>,
}

impl PingJob {
    pub(crate) fn new(to: Ipv4Addr) -> Self {
        Self { to, asked: 0, answered: 0, question: None }
    }
}

impl<'a, 'm> Job<'a, 'm> for PingJob {
    fn step(&mut self, state: &mut HostState<'a, 'm>, out: &mut Console<'a>) -> Result<Step, fmt::Error> {
        let now = state.machine.now();
        let to = self.to;
        let Ok(network) = &mut state.network else { return Ok(Step::Done) };
        let Some(Question { deadline, sent }) = self.question else {
            if self.asked == TRIES {
                writeln!(out, "{} of {TRIES} answered", self.answered)?;
                return Ok(Step::Done);
            }
            self.asked += 1;
            self.question = Some(Question { deadline: now.after(PATIENCE), sent: None });
            return Ok(Step::Again);
        };
        let number = self.asked;
        let mut answers = core::iter::from_fn(|| network.ping_answer());
        match sent {
            Some(sent) if answers.any(|answer| answer.from == to && answer.number == number) => {
                let microseconds = now.since(sent).as_micros();
                let (milliseconds, rest) = (microseconds / 1000, microseconds % 1000);
                writeln!(out, "{to} answers after {milliseconds}.{rest:03} ms")?;
                self.answered += 1;
            }
            _ if now >= deadline => {
                writeln!(out, "{to} does not answer within {} ms", PATIENCE.as_millis())?;
            }
            Some(_) => return Ok(Step::WaitUntil(deadline)),
            None => {
                match network.ping(to, number, now) {
                    Ok(()) => self.question = Some(Question { deadline, sent: Some(now) }),
                    Err(SendError::NoAddress | SendError::Full) => {}
                    Err(error) => {
                        writeln!(out, "ping: {error}")?;
                        return Ok(Step::Done);
                    }
                }
                return Ok(Step::WaitUntil(deadline.min(now.after(TRY_AGAIN))));
            }
        }
        self.question = None;
        Ok(Step::Again)
    }

    fn cancel(&mut self, _state: &mut HostState<'a, 'm>, out: &mut Console<'a>) -> fmt::Result {
        writeln!(out, "{} of {} answered", self.answered, self.asked)
    }
}
