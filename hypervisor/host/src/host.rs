//! The running host: the first CPU's loop, which serves the monitor besides its mail.

use alloc::boxed::Box;
use core::{
    fmt::{self, Write},
    time::Duration,
};

use godwit_frames::Frames;

use crate::{
    banner,
    console::Console,
    fragment::FragmentJob,
    guests::{self, GuestTable, Rest},
    job::Step,
    machine::Machine,
    monitor::{Monitor, Wish},
    startup::Startup,
    state::HostState,
};

/// How long this CPU's own guest runs in a turn while the host has more to do at once.
const GUEST_SHARE: Duration = Duration::from_millis(1);

/// How far the host is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    /// Nothing was said yet.
    Silent,
    /// The banner stands; what the command line asks for is being done.
    Preparing,
    /// `godwit ready` was said, and the monitor serves.
    Ready,
}

/// A host on its first CPU. Each [`turn`](Self::turn) does a bounded piece of everything that waits.
pub struct Host<'a, 'm> {
    state: HostState<'a, 'm>,
    monitor: Monitor<'a, 'm>,
    console: Console<'a>,
    phase: Phase,
    /// Whether the guests that start with the host were told to.
    autostarted: bool,
}

impl<'a, 'm> Host<'a, 'm> {
    /// A host that has said nothing yet; to be called on the CPU that will turn it.
    pub fn new(
        machine: &'a dyn Machine,
        frames: &'a Frames<'m>,
        guests: &'a GuestTable,
        startup: Startup<'a>,
    ) -> Self {
        Self {
            state: HostState::new(machine, frames, guests, startup),
            monitor: Monitor::new(startup.command_line.options.host_name()),
            console: Console::new(machine),
            phase: Phase::Silent,
            autostarted: false,
        }
    }

    /// Whether `godwit ready` was said.
    pub fn is_ready(&self) -> bool {
        self.phase == Phase::Ready
    }

    /// One turn of the loop: mail, the network, guests that need something, the monitor or the job it runs, this CPU's own
    /// guest, then sleep where nothing waits.
    pub fn turn(&mut self) {
        self.state.serve_mail();
        self.state.cpu.frames().poll();
        let busy = self.state.serve_network() | guests::turn(&mut self.state);
        // Writing to the console cannot fail. Were it to, the next turn would go on where this one stopped.
        let wish = self.advance().unwrap_or(Wish::Turn);
        self.console.flush();
        // A guest of this CPU that never stops by itself must not keep the host from what is due.
        let due = match wish {
            Wish::Sleep(deadline) if !busy => deadline.into_iter().chain(self.state.network_deadline()).min(),
            _ => Some(self.state.machine.now().after(GUEST_SHARE)),
        };
        match (self.state.cpu.run_guest(due), wish) {
            (Rest::Until(timer), Wish::Sleep(_)) if !busy => {
                self.state.cpu.rest(timer.into_iter().chain(due).min());
            }
            _ => {}
        }
    }

    fn advance(&mut self) -> Result<Wish, fmt::Error> {
        match self.phase {
            Phase::Silent => {
                self.phase = Phase::Preparing;
                let HostState { machine, frames, startup, .. } = &self.state;
                banner::write_banner(&mut self.console, startup, *machine, &frames.report())?;
                let fragment = startup.command_line.options.fragment;
                guests::read_bundles(&mut self.state);
                if let Some(setting) = fragment {
                    let job = FragmentJob::new(&mut self.state, setting);
                    self.monitor.begin_job(Box::new(job));
                }
                Ok(Wish::Turn)
            }
            Phase::Preparing => {
                if self.monitor.is_busy() {
                    return Ok(match self.monitor.step_job(&mut self.state, &mut self.console)? {
                        Step::WaitUntil(deadline) => Wish::Sleep(Some(deadline)),
                        Step::Wait => Wish::Sleep(None),
                        Step::Again | Step::Done => Wish::Turn,
                    });
                }
                if !self.autostarted {
                    self.autostarted = true;
                    guests::autostart(&mut self.state);
                }
                if self.state.roster.is_starting() {
                    return Ok(Wish::Turn);
                }
                self.phase = Phase::Ready;
                writeln!(self.console, "{}", banner::READY)?;
                self.monitor.open(&self.state, &mut self.console)?;
                Ok(Wish::Turn)
            }
            Phase::Ready => self.monitor.turn(&mut self.state, &mut self.console),
        }
    }
}

/// The loop of the first CPU: says who it is, prepares, serves. It never ends.
///
/// The log level of the command line holds from here on.
pub fn run<'a>(
    machine: &'a dyn Machine,
    frames: &'a Frames<'_>,
    guests: &'a GuestTable,
    startup: Startup<'a>,
) -> ! {
    log::set_max_level(startup.command_line.options.log);
    let mut host = Host::new(machine, frames, guests, startup);
    loop {
        host.turn();
    }
}
