//! Commands about guests: `guests`, `guest`, `start`, `stop`, `pause`, `resume`, `reset`.

use alloc::{boxed::Box, string::String};
use core::fmt::{self, Write};

use super::Outcome;
use crate::{
    console::Console,
    excerpt::Excerpt,
    guests::{self, Origin, Phase, RunState, Text, What as Happened},
    job::{Job, Step},
    spelling,
    state::HostState,
};

type Reply<'a, 'm> = Result<Outcome<'a, 'm>, fmt::Error>;

pub(super) fn guests<'a, 'm>(
    state: &mut HostState<'a, 'm>,
    out: &mut Console<'a>,
    arguments: &[&str],
) -> Reply<'a, 'm> {
    if !arguments.is_empty() {
        return Ok(Outcome::Usage);
    }
    guests::report::write_table(state, out)?;
    Ok(Outcome::Done)
}

pub(super) fn guest<'a, 'm>(
    state: &mut HostState<'a, 'm>,
    out: &mut Console<'a>,
    arguments: &[&str],
) -> Reply<'a, 'm> {
    let (name, raw) = match arguments {
        [name] => (*name, false),
        [name, "raw"] => (*name, true),
        _ => return Ok(Outcome::Usage),
    };
    if !known(state, out, name)? {
        return Ok(Outcome::Done);
    }
    if raw {
        guests::report::write_raw(state, out, name)?;
    } else {
        guests::report::write_guest(state, out, name)?;
    }
    Ok(Outcome::Done)
}

pub(super) fn start<'a, 'm>(
    state: &mut HostState<'a, 'm>,
    out: &mut Console<'a>,
    arguments: &[&str],
) -> Reply<'a, 'm> {
    let (name, force) = match arguments {
        [name] => (*name, false),
        [name, "--force"] => (*name, true),
        _ => return Ok(Outcome::Usage),
    };
    if !known(state, out, name)? {
        return Ok(Outcome::Done);
    }
    match guests::begin_start(state, name, force) {
        Ok(()) => Ok(Outcome::Job(Box::new(AwaitStart { name: String::from(name) }))),
        Err(error) => {
            writeln!(out, "{name} does not start: {error}")?;
            Ok(Outcome::Done)
        }
    }
}

pub(super) fn stop<'a, 'm>(
    state: &mut HostState<'a, 'm>,
    out: &mut Console<'a>,
    arguments: &[&str],
) -> Reply<'a, 'm> {
    let (name, force) = match arguments {
        [name] => (*name, false),
        [name, "--force"] => (*name, true),
        _ => return Ok(Outcome::Usage),
    };
    let Some(phase) = phase(state, out, name)? else { return Ok(Outcome::Done) };
    match phase {
        What::InDoubt if force => {
            if let Some(leaving) = state.moves.leaving(name) {
                leaving.give_up();
            }
            let why = Text::new("the operator gave it up while it was in doubt");
            state.note(name, Happened::Stopped { why });
            writeln!(out, "{name} does not run here any more; its memory is freed")?;
        }
        What::Stopped => writeln!(out, "{name} is stopped already")?,
        What::Moving => writeln!(
            out,
            "{name} is on its way to another host; wait until that has ended, or break it off with Ctrl-C"
        )?,
        What::InDoubt => writeln!(
            out,
            "{name} may run on the other host: look there first; then \"resume {name} --force\" here, or \"stop {name} --force\""
        )?,
        What::Starting | What::Here => {
            guests::stop(state, name, Some("somebody stopped it".into()));
            state.note(name, Happened::Stopped { why: Text::new("the operator stopped it") });
            writeln!(out, "{name} is stopped; its memory is free")?;
        }
    }
    Ok(Outcome::Done)
}

pub(super) fn pause<'a, 'm>(
    state: &mut HostState<'a, 'm>,
    out: &mut Console<'a>,
    arguments: &[&str],
) -> Reply<'a, 'm> {
    let [name] = arguments else { return Ok(Outcome::Usage) };
    let Some(phase) = phase(state, out, name)? else { return Ok(Outcome::Done) };
    switch(state, out, name, phase, RunState::Running, RunState::Paused)
}

pub(super) fn resume<'a, 'm>(
    state: &mut HostState<'a, 'm>,
    out: &mut Console<'a>,
    arguments: &[&str],
) -> Reply<'a, 'm> {
    let (name, force) = match arguments {
        [name] => (*name, false),
        [name, "--force"] => (*name, true),
        _ => return Ok(Outcome::Usage),
    };
    let Some(phase) = phase(state, out, name)? else { return Ok(Outcome::Done) };
    if phase == What::InDoubt {
        if !force {
            writeln!(
                out,
                "{name} may run on the other host: look there first; then \"resume {name} --force\""
            )?;
        } else if state.moves.leaving(name).is_some_and(|leaving| leaving.force_resume()) {
            state.note(name, Happened::Resumed);
            writeln!(out, "{name} runs here; make sure that it does not run on the other host")?;
        }
        return Ok(Outcome::Done);
    }
    switch(state, out, name, phase, RunState::Paused, RunState::Running)
}

pub(super) fn reset<'a, 'm>(
    state: &mut HostState<'a, 'm>,
    out: &mut Console<'a>,
    arguments: &[&str],
) -> Reply<'a, 'm> {
    let [name] = arguments else { return Ok(Outcome::Usage) };
    let Some(phase) = phase(state, out, name)? else { return Ok(Outcome::Done) };
    if phase != What::Here {
        writeln!(out, "{name} does not run; \"start {name}\" starts it")?;
        return Ok(Outcome::Done);
    }
    if let Some(Origin::Moved(from)) = state.roster.find(name).map(|entry| &entry.origin) {
        // Stopping it would be the end of it.
        writeln!(out, "{name} runs on: its kernel is on host {from}, which it came from")?;
        return Ok(Outcome::Done);
    }
    guests::stop(state, name, None);
    state.note(name, Happened::Stopped { why: Text::new("the operator starts it anew") });
    start(state, out, arguments)
}

/// How far a guest is, as far as commands care.
#[derive(Clone, Copy, PartialEq, Eq)]
enum What {
    Stopped,
    Starting,
    Here,
    Moving,
    InDoubt,
}

fn phase(state: &HostState<'_, '_>, out: &mut Console<'_>, name: &str) -> Result<Option<What>, fmt::Error> {
    if !known(state, out, name)? {
        return Ok(None);
    }
    Ok(state.roster.find(name).map(|entry| match &entry.phase {
        Phase::Stopped(_) | Phase::Away(_) => What::Stopped,
        Phase::Starting(_) => What::Starting,
        Phase::Here => What::Here,
        Phase::Leaving(leaving) if leaving.in_doubt => What::InDoubt,
        Phase::Leaving(_) | Phase::Arriving => What::Moving,
    }))
}

/// Whether there is a guest called `name`; says so where there is none.
pub(super) fn known(
    state: &HostState<'_, '_>,
    out: &mut Console<'_>,
    name: &str,
) -> Result<bool, fmt::Error> {
    if state.roster.find(name).is_some() {
        return Ok(true);
    }
    let names = state.roster.entries().iter().map(|entry| entry.name().as_str());
    let shown = Excerpt::new(name);
    match spelling::nearest(name, names) {
        Some(nearest) => writeln!(out, "there is no guest called \"{shown}\": did you mean \"{nearest}\"?")?,
        None => writeln!(out, "there is no guest called \"{shown}\"; \"guests\" lists them")?,
    }
    Ok(false)
}

fn switch<'a, 'm>(
    state: &mut HostState<'a, 'm>,
    out: &mut Console<'a>,
    name: &str,
    phase: What,
    from: RunState,
    to: RunState,
) -> Reply<'a, 'm> {
    if phase != What::Here {
        writeln!(out, "{name} does not run here; \"guest {name}\" says more")?;
        return Ok(Outcome::Done);
    }
    let before = guests::set_run_state(state, name, from, to);
    match before {
        Some(before) if before == from => {
            let happened = if to == RunState::Paused { Happened::Paused } else { Happened::Resumed };
            state.note(name, happened);
            writeln!(out, "{name} {}", if to == RunState::Paused { "is paused" } else { "runs" })?;
        }
        Some(RunState::Ended(_)) => writeln!(out, "{name} came to an end; \"guest {name}\" says how")?,
        _ => writeln!(out, "{name} {} already", if to == RunState::Paused { "is paused" } else { "runs" })?,
    }
    Ok(Outcome::Done)
}

/// Waits until a guest was started, or was not.
struct AwaitStart {
    name: String,
}

impl<'a, 'm> Job<'a, 'm> for AwaitStart {
    fn step(&mut self, state: &mut HostState<'a, 'm>, out: &mut Console<'a>) -> Result<Step, fmt::Error> {
        let name = &self.name;
        match state.roster.find(name).map(|entry| &entry.phase) {
            Some(Phase::Starting(_)) => return Ok(Step::Again),
            Some(Phase::Stopped(Some(why))) => writeln!(out, "{name} does not start: {why}")?,
            Some(Phase::Stopped(None) | Phase::Away(_)) | None => writeln!(out, "{name} is stopped")?,
            Some(Phase::Here | Phase::Leaving(_) | Phase::Arriving) => writeln!(out, "{name} runs")?,
        }
        Ok(Step::Done)
    }

    fn cancel(&mut self, state: &mut HostState<'a, 'm>, out: &mut Console<'a>) -> fmt::Result {
        guests::stop(state, &self.name, Some("its start was broken off".into()));
        state.note(&self.name, Happened::Stopped { why: Text::new("its start was broken off") });
        writeln!(out, "{} is stopped; its memory is free", self.name)
    }
}
