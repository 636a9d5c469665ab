//! Commands that show what the host knows about itself.

use core::fmt::{self, Write};

use super::Outcome;
use crate::{banner, console::Console, picture, state::HostState};

type Reply<'a, 'm> = Result<Outcome<'a, 'm>, fmt::Error>;

pub(super) fn about<'a, 'm>(
    state: &mut HostState<'a, 'm>,
    out: &mut Console<'a>,
    arguments: &[&str],
) -> Reply<'a, 'm> {
    if !arguments.is_empty() {
        return Ok(Outcome::Usage);
    }
    let description = state.machine.description();
    banner::identity(out, &state.startup, state.machine.incarnation())?;
    banner::processor(out, description)?;
    banner::virtualization(out, description)?;
    banner::frames_summary(out, &state.frames.report())?;
    let up = state.machine.now().as_nanoseconds() / 1_000_000_000;
    let (hours, minutes, seconds) = (up / 3600, up / 60 % 60, up % 60);
    banner::layout::paragraph(out, "up", format_args!("{hours}:{minutes:02}:{seconds:02}"))?;
    banner::notes(out, &state.startup, description)?;
    Ok(Outcome::Done)
}

pub(super) fn cpus<'a, 'm>(
    state: &mut HostState<'a, 'm>,
    out: &mut Console<'a>,
    arguments: &[&str],
) -> Reply<'a, 'm> {
    if !arguments.is_empty() {
        return Ok(Outcome::Usage);
    }
    banner::processor(out, state.machine.description())?;
    banner::cpu_table(out, state.machine.description())?;
    Ok(Outcome::Done)
}

pub(super) fn memory<'a, 'm>(
    state: &mut HostState<'a, 'm>,
    out: &mut Console<'a>,
    arguments: &[&str],
) -> Reply<'a, 'm> {
    if !arguments.is_empty() {
        return Ok(Outcome::Usage);
    }
    banner::memory_table(out, state.startup.memory)?;
    banner::frames_summary(out, &state.frames.report())?;
    Ok(Outcome::Done)
}

pub(super) fn frames<'a, 'm>(
    state: &mut HostState<'a, 'm>,
    out: &mut Console<'a>,
    arguments: &[&str],
) -> Reply<'a, 'm> {
    // What this CPU keeps at hand would show as used.
    state.cpu.frames().drain();
    let report = state.frames.report();
    match arguments {
        [] => {
            picture::write_map(out, state.frames.blocks(), state.frames.blocks().count() as u64)?;
            out.write_char('\n')?;
            picture::write_orders(out, &report)?;
            if let Some(setting) = state.pins.setting() {
                writeln!(out, "  fragmented on purpose, {setting}: {} frames are held", state.pins.count())?;
            }
        }
        ["raw"] => {
            if let Some(bytes) = state.machine.heap_used_bytes() {
                writeln!(out, "heap raw 1 used_bytes={bytes}")?;
            }
            picture::write_raw(out, &report, state.frames.blocks())?;
        }
        _ => return Ok(Outcome::Usage),
    }
    Ok(Outcome::Done)
}

pub(super) fn pci<'a, 'm>(
    state: &mut HostState<'a, 'm>,
    out: &mut Console<'a>,
    arguments: &[&str],
) -> Reply<'a, 'm> {
    if !arguments.is_empty() {
        return Ok(Outcome::Usage);
    }
    banner::pci_table(out, state.machine.description())?;
    Ok(Outcome::Done)
}

pub(super) fn clear<'a, 'm>(
    _state: &mut HostState<'a, 'm>,
    out: &mut Console<'a>,
    arguments: &[&str],
) -> Reply<'a, 'm> {
    if !arguments.is_empty() {
        return Ok(Outcome::Usage);
    }
    out.write_str(super::super::CLEAR_SCREEN)?;
    Ok(Outcome::Done)
}
