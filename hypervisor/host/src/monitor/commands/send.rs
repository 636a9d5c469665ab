//! `send NAME HOST`: a guest moves, and a person watches.

use alloc::{boxed::Box, string::String};
use core::{
    fmt::{self, Write},
    net::Ipv4Addr,
    time::Duration,
};

use super::{Outcome, guests::known, network::unreachable};
use crate::{
    banner::layout::paragraph,
    console::Console,
    excerpt::Excerpt,
    job::{Job, Step},
    machine::Instant,
    moves::{self, Standing},
    size::Size,
    spelling,
    state::HostState,
};

/// How often the line about progress is written anew.
const REFRESH: Duration = Duration::from_millis(250);

pub(super) fn send<'a, 'm>(
    state: &mut HostState<'a, 'm>,
    out: &mut Console<'a>,
    arguments: &[&str],
) -> Result<Outcome<'a, 'm>, fmt::Error> {
    let [name, host] = arguments else { return Ok(Outcome::Usage) };
    if !known(state, out, name)? {
        return Ok(Outcome::Done);
    }
    let peers = &state.startup.command_line.options.peers;
    let address = peers.find(host).map(|peer| peer.address).or_else(|| host.parse::<Ipv4Addr>().ok());
    let Some(address) = address else {
        let shown = Excerpt::new(host);
        match spelling::nearest(host, peers.iter().map(|peer| peer.name.as_str())) {
            Some(nearest) => {
                writeln!(out, "there is no host called \"{shown}\": did you mean \"{nearest}\"?")?;
            }
            None => writeln!(
                out,
                "there is no host called \"{shown}\"; \"network\" lists them, an address works as well"
            )?,
        }
        return Ok(Outcome::Done);
    };
    if let Some(why) = state.network.as_ref().ok().and_then(|network| unreachable(network, address)) {
        writeln!(out, "{name} stays here: {address} {why}")?;
        return Ok(Outcome::Done);
    }
    match moves::send(state, name, host, address) {
        Ok(()) => {
            let watch = Watch { guest: String::from(*name), next: state.machine.now() };
            if let Some(leaving) = state.moves.leaving(name) {
                leaving.is_watched = true;
            }
            Ok(Outcome::Job(Box::new(watch)))
        }
        Err(why) => {
            writeln!(out, "{name} is not moved: {why}")?;
            Ok(Outcome::Done)
        }
    }
}

/// Shows how a move goes, until it has ended.
struct Watch {
    guest: String,
    next: Instant,
}

impl<'a, 'm> Job<'a, 'm> for Watch {
    fn step(&mut self, state: &mut HostState<'a, 'm>, out: &mut Console<'a>) -> Result<Step, fmt::Error> {
        let now = state.machine.now();
        let Some(one) = state.moves.leaving(&self.guest) else { return Ok(Step::Done) };
        let progress = one.progress();
        match &one.standing {
            Standing::UnderWay if now < self.next => return Ok(Step::WaitUntil(self.next)),
            Standing::UnderWay => {
                write!(
                    out,
                    "\r{} to {}: {}, {} of {} there, {} of it zero\x1b[K",
                    self.guest,
                    one.to,
                    one.phase(),
                    Size::from_frames(progress.frames_done),
                    Size::from_frames(progress.frames_total),
                    Size::from_frames(progress.zero_frames),
                )?;
                self.next = now.after(REFRESH);
                return Ok(Step::WaitUntil(self.next));
            }
            Standing::Done { paused_ns } => {
                let sent_frames = progress.frames_done.saturating_sub(progress.zero_frames);
                let total_ms = now.since(one.started()).as_millis();
                writeln!(
                    out,
                    "\r{} runs on {}: it stood still for {} ms of the {total_ms} ms that the move took\x1b[K",
                    self.guest,
                    one.to,
                    paused_ns / 1_000_000,
                )?;
                let zero = Size::from_frames(progress.zero_frames);
                writeln!(
                    out,
                    "  {} page bytes of {sent_frames} frames sent; {zero} are zero and were not sent",
                    progress.page_bytes
                )?;
                writeln!(
                    out,
                    "  {} datagrams, {} of them sent again; {} acknowledgements",
                    progress.datagrams, progress.repeated, progress.acknowledgements
                )?;
            }
            Standing::Stays(why) => {
                writeln!(out, "\r{} stays here:\x1b[K", self.guest)?;
                paragraph(out, "", format_args!("{why}"))?;
            }
            Standing::InDoubt => {
                writeln!(
                    out,
                    "\r{} is in doubt: {} was told to run it and has not answered\x1b[K",
                    self.guest, one.to
                )?;
                writeln!(
                    out,
                    "  it stays paused here until {} answers; \"guest {}\" says more",
                    one.to, self.guest
                )?;
            }
        }
        one.is_watched = false;
        Ok(Step::Done)
    }

    fn cancel(&mut self, state: &mut HostState<'a, 'm>, out: &mut Console<'a>) -> fmt::Result {
        let now = state.machine.now();
        let Some(one) = state.moves.leaving(&self.guest) else { return Ok(()) };
        one.is_watched = false;
        if one.cancel(now) {
            writeln!(out, "{} stays here: the move was broken off", self.guest)
        } else {
            writeln!(out, "too late: {} was told to run {}", one.to, self.guest)
        }
    }
}
