//! What the first CPU does about guests, besides commands.

use alloc::{format, string::String, vec::Vec};

use godwit_guest::bundle::Bundle;

use super::{
    End, Entry, Guest, Origin, Phase, RunState, Text, What, crash,
    files::{BundleFiles, ModuleFile},
    start,
};
use crate::{excerpt::Excerpt, state::HostState};

/// Reads what guests the boot modules describe. What cannot be used is logged and left out.
pub(crate) fn read_bundles(state: &mut HostState<'_, '_>) {
    for (module, info) in state.startup.boot.modules.iter().enumerate() {
        let file = ModuleFile { memory: state.machine.memory(), module, bytes: info.bytes };
        let bundle = match Bundle::read(&file) {
            Ok(bundle) => bundle,
            Err(error) => {
                log::warn!("boot module {module} holds no guests: {error}");
                continue;
            }
        };
        for refused in bundle.refused() {
            let name = Excerpt::new(&refused.name);
            log::warn!("guest {name} in boot module {module} is left out: {}", refused.error);
        }
        for guest in bundle.guests() {
            let name = &guest.description.name;
            if state.roster.find(name.as_str()).is_some() {
                log::warn!(
                    "a second guest called {name}, in boot module {module}, is left out: a name is one guest's"
                );
                continue;
            }
            let files = BundleFiles {
                module,
                module_bytes: info.bytes,
                kernel: guest.kernel.clone(),
                initrd: guest.initrd.clone(),
            };
            state.roster.add(Entry::new(guest.description.clone(), Origin::Bundle(files)));
        }
    }
}

/// Begins to start the guests that start with their host.
pub(crate) fn autostart(state: &mut HostState<'_, '_>) {
    let names: Vec<String> = state
        .roster
        .entries()
        .iter()
        .filter(|entry| entry.description.autostart)
        .map(|entry| String::from(entry.name().as_str()))
        .collect();
    for name in names {
        if let Err(error) = start::begin(state, &name, false) {
            log::warn!("guest {name} does not start: {error}");
            // One that is on its way here meanwhile stays what it is.
            let entry = state.roster.find_mut(&name).filter(|entry| matches!(entry.phase, Phase::Stopped(_)));
            if let Some(entry) = entry {
                entry.phase = Phase::Stopped(Some(format!("{error}")));
            }
        }
    }
}

/// One turn: a step for each guest that is being started, and a look at each that came to an end. `true` where there is
/// more to do at once.
pub(crate) fn turn(state: &mut HostState<'_, '_>) -> bool {
    for index in 0..state.roster.entries.len() {
        step_start(state, index);
    }
    for index in 0..state.roster.entries.len() {
        let guest = state.roster.entries.get(index).and_then(|entry| entry.guest.as_ref());
        if guest.is_some_and(|guest| guest.take_notice()) {
            look(state, index);
        }
    }
    // One that asked to start again has only just begun to.
    state.roster.is_starting()
}

/// A step of starting the guest at `index`, where it is being started.
fn step_start(state: &mut HostState<'_, '_>, index: usize) {
    let Some(entry) = state.roster.entries.get_mut(index) else { return };
    if !matches!(entry.phase, Phase::Starting(_)) {
        return;
    }
    // The phase goes back below.
    let Phase::Starting(mut task) = core::mem::replace(&mut entry.phase, Phase::Here) else { return };
    let phase = match task.step(state) {
        Ok(false) => Phase::Starting(task),
        Ok(true) => Phase::Here,
        Err(error) => {
            task.abandon(state);
            Phase::Stopped(Some(format!("{error}")))
        }
    };
    let Some(entry) = state.roster.entries.get_mut(index) else { return };
    let name = entry.name().clone();
    let why = if let Phase::Stopped(why) = &phase { why.clone() } else { None };
    entry.phase = phase;
    if let Some(why) = why {
        log::warn!("guest {name} does not start: {why}");
        state.note(name.as_str(), What::NotStarted { why: Text::new(why) });
    }
}

/// Has the guest called `name` looked at in the next turn.
pub(crate) fn look_again(state: &HostState<'_, '_>, name: &str) {
    if let Some(guest) = state.roster.here(name) {
        guest.notify(state.scene());
    }
}

/// Has the event log know of each guest that crashed.
pub(crate) fn note_crashes(state: &mut HostState<'_, '_>) {
    for index in 0..state.roster.entries.len() {
        note_crash(state, index);
    }
}

fn note_crash(state: &mut HostState<'_, '_>, index: usize) {
    let scene = state.scene();
    let guest = state.roster.entries.get(index).and_then(|entry| entry.guest.as_ref());
    if let Some((guest, crash)) = guest.and_then(|guest| Some((guest.clone(), crash::take(scene, guest)?))) {
        state.note(guest.description.name.as_str(), What::Crashed(crash));
    }
}

/// Looks at a guest: what came to an end by itself is cleared away or started again.
fn look(state: &mut HostState<'_, '_>, index: usize) {
    note_crash(state, index);
    let Some(entry) = state.roster.entries.get(index) else { return };
    let ended = entry.guest.as_ref().map(|guest| guest.life.state());
    if !matches!(entry.phase, Phase::Here) {
        return;
    }
    let name = String::from(entry.name().as_str());
    match ended {
        Some(RunState::Ended(End::PoweredOff)) => {
            log::info!("guest {name} switched itself off");
            state.note(&name, What::SwitchedOff);
            stop(state, &name, Some("it switched itself off".into()));
        }
        Some(RunState::Ended(End::Reset)) => {
            state.note(&name, What::AskedForReset);
            stop(state, &name, None);
            match start::begin(state, &name, false) {
                Ok(()) => log::info!("guest {name} starts again, as it asked"),
                Err(error) => {
                    log::warn!("guest {name} asked to start again and does not: {error}");
                    stopped(state, &name, Some(format!("{error}")));
                }
            }
        }
        // Memory is kept: a person may want to look.
        _ => {}
    }
}

/// Takes a guest from the CPUs and gives its memory back.
pub(crate) fn stop(state: &mut HostState<'_, '_>, name: &str, why: Option<String>) {
    let Some(entry) = state.roster.find_mut(name) else { return };
    let guest = entry.guest.take();
    if let Phase::Starting(task) = core::mem::replace(&mut entry.phase, Phase::Stopped(None)) {
        task.abandon(state);
    }
    if let Some(guest) = guest {
        guest.life.change(RunState::Running, RunState::Paused);
        state.scene().dismiss(&guest);
        // The last chance to look.
        if let Some(crash) = crash::take(state.scene(), &guest) {
            state.note(name, What::Crashed(crash));
        }
        match Guest::alone(guest) {
            Some(guest) => guest.dismantle(state.cpu.frames()),
            // The roster and the scheduler are all who have it.
            None => log::error!("the memory of guest {name} is not given back: somebody still has it"),
        }
    }
    stopped(state, name, why);
}

/// As [`stop`], for a guest that runs on the host called `to` now.
pub(crate) fn went_away(state: &mut HostState<'_, '_>, name: &str, to: &str) {
    stop(state, name, None);
    state.note(name, What::Left { to: Text::new(to) });
    if let Some(entry) = state.roster.find_mut(name) {
        entry.phase = Phase::Away(to.into());
    }
}

fn stopped(state: &mut HostState<'_, '_>, name: &str, why: Option<String>) {
    if let Some(entry) = state.roster.find_mut(name) {
        entry.phase = Phase::Stopped(why);
    }
}

/// Lets a guest run, or stops it for a while, where its state is `from`; answers with the state before. When this returns, a guest
/// that was stopped stands still.
pub(crate) fn set_run_state(
    state: &HostState<'_, '_>,
    name: &str,
    from: RunState,
    to: RunState,
) -> Option<RunState> {
    let (scene, machine) = (state.scene(), state.machine);
    let guest = state.roster.here(name)?;
    let before = guest.life.state();
    if before != from {
        return Some(before);
    }
    if to == RunState::Running {
        // Before it runs again: its clock goes on where it is now.
        let now = guest.clock.now(machine);
        guest.with_board(scene, None, |board| board.after_pause(now, &guest.ram.door(machine.memory())));
    }
    let before = guest.life.change(from, to);
    guest.at_rest(scene, |_| ());
    guest.wake_all(scene);
    Some(before)
}

/// Hands a typed byte to a guest; `false` where it is not taken now.
pub(crate) fn type_byte(state: &HostState<'_, '_>, name: &str, byte: u8) -> bool {
    let Some(entry) = state.roster.find(name).filter(|entry| matches!(entry.phase, Phase::Here)) else {
        return false;
    };
    let Some(guest) = &entry.guest else { return false };
    let taken = entry.console.lock().type_byte(byte);
    if guest.life.may_run() {
        let now = guest.clock.now(state.machine);
        guest.with_board(state.scene(), None, |board| {
            guest.console.feed(|byte| board.type_byte(now, byte));
        });
    }
    taken
}
