//! What a person, or a program, is told about guests.

use alloc::{format, string::String, vec::Vec};
use core::fmt::{self, Write};

use godwit_frames::Order;

use super::{End, Entry, Guest, Phase, RunState};
use crate::{banner::layout, machine::HostMemory, size::Size, state::HostState};

/// The leaves of nested tables, largest first.
const LEAVES: [Order; 3] = [Order::HUGE, Order::LARGE, Order::FRAME];

/// Pieces of host memory that are listed for people.
const SHOWN_RUNS: usize = 4;

/// What is asked of a guest that is here, in one look.
struct Look {
    state: RunState,
    exits: Vec<(&'static str, u64)>,
    leaves: [u64; 3],
    tables: u64,
    runs: Vec<(u64, u64, u64)>,
    stretches: Vec<Stretch>,
}

/// Leaves of one size that follow each other.
struct Stretch {
    order: Order,
    first_guest_frame: u64,
    leaves: u64,
}

impl Look {
    fn at(guest: &Guest, memory: &dyn HostMemory) -> Self {
        let histogram = guest.tables.histogram();
        Self {
            state: guest.state,
            exits: guest.exits.counts().collect(),
            leaves: [histogram.huge, histogram.large, histogram.frame].map(|tally| tally.leaves),
            tables: guest.table_frames.count(),
            runs: guest
                .ram
                .segments()
                .iter()
                .map(|segment| (segment.start.0, segment.run.start().number(), segment.run.frames()))
                .collect(),
            stretches: stretches(guest, memory),
        }
    }

    fn leaves(&self) -> String {
        let parts: Vec<String> = LEAVES
            .iter()
            .zip(self.leaves)
            .filter(|(_, count)| *count > 0)
            .map(|(order, count)| format!("{count} x {}", Size::from_bytes(order.bytes())))
            .collect();
        parts.join(" + ")
    }

    fn exits_total(&self) -> u64 {
        self.exits.iter().map(|(_, count)| count).sum()
    }
}

/// The leaves of a guest in as few lines as say where which sizes are.
fn stretches(guest: &Guest, memory: &dyn HostMemory) -> Vec<Stretch> {
    let mut stretches: Vec<Stretch> = Vec::new();
    guest.each_leaf(memory, |leaf| match stretches.last_mut() {
        Some(last)
            if last.order == leaf.order
                && last.first_guest_frame + last.leaves * last.order.frames() == leaf.guest_frame =>
        {
            last.leaves += 1;
        }
        _ => stretches.push(Stretch { order: leaf.order, first_guest_frame: leaf.guest_frame, leaves: 1 }),
    });
    stretches
}

fn look(state: &HostState<'_, '_>, entry: &Entry) -> Option<Look> {
    state.guests.with_guest(state.machine, entry.cpu?, |guest| Look::at(guest, state.machine.memory()))
}

fn state_name(entry: &Entry, look: Option<&Look>) -> String {
    match (&entry.phase, look.map(|look| look.state)) {
        (Phase::Stopped(_), _) => "stopped".into(),
        (Phase::Away(to), _) => format!("on {to}"),
        (Phase::Starting(_), _) => "starting".into(),
        (Phase::Leaving(leaving), _) if leaving.in_doubt => format!("in doubt: it may run on {}", leaving.to),
        (Phase::Leaving(leaving), _) => format!("moving to {}", leaving.to),
        (Phase::Arriving, _) => "arriving".into(),
        (Phase::Here, Some(RunState::Running)) => "running".into(),
        (Phase::Here, Some(RunState::Paused)) => "paused".into(),
        (Phase::Here, Some(RunState::Ended(end))) => end_name(end),
        (Phase::Here, None) => "stopped".into(),
    }
}

fn end_name(end: End) -> String {
    match end {
        End::PoweredOff => "powered off".into(),
        End::Reset => "resetting".into(),
        End::TripleFault { rip } => format!("ended: triple fault at {rip:#x}"),
        End::Stuck { why, rip, detail } => format!("ended at {rip:#x}: {why} ({detail:#x})"),
        End::Refused(why) => format!("ended: the processor refuses its state: {why}"),
    }
}

/// A line for each guest.
pub(crate) fn write_table(state: &HostState<'_, '_>, out: &mut impl Write) -> fmt::Result {
    if state.roster.entries().is_empty() {
        return writeln!(out, "no guests; a boot module made by \"cargo xtask bundle\" describes some");
    }
    writeln!(out, "  {:<16} {:<9} {:<6} {:<26} {:>10}  state", "guest", "memory", "cpu", "leaves", "exits")?;
    for entry in state.roster.entries() {
        let look = look(state, entry);
        let cpu = entry.cpu.map_or_else(|| String::from("-"), |cpu| format!("{cpu}"));
        writeln!(
            out,
            "  {:<16} {:<9} {:<6} {:<26} {:>10}  {}",
            entry.name(),
            format!("{}", Size::from_bytes(entry.description.memory_bytes)),
            cpu,
            look.as_ref().map_or_else(|| "-".into(), Look::leaves),
            look.as_ref().map_or(0, Look::exits_total),
            state_name(entry, look.as_ref()),
        )?;
    }
    Ok(())
}

/// All about one guest.
pub(crate) fn write_guest(state: &HostState<'_, '_>, out: &mut impl Write, name: &str) -> fmt::Result {
    let Some(entry) = state.roster.find(name) else { return Ok(()) };
    let look = look(state, entry);
    layout::paragraph(out, "state", format_args!("{}", state_name(entry, look.as_ref())))?;
    if let Phase::Stopped(Some(why)) = &entry.phase {
        layout::paragraph(out, "", format_args!("{why}"))?;
    }
    if let Some(progress) = state.moves.progress(name) {
        let (done, total) =
            (Size::from_frames(progress.frames_done), Size::from_frames(progress.frames_total));
        let zero = Size::from_frames(progress.zero_frames);
        layout::paragraph(out, "move", format_args!("{done} of {total} are there, {zero} of it zero"))?;
    }
    if let Some(cpu) = entry.cpu {
        layout::paragraph(out, "cpu", format_args!("{cpu}"))?;
    }
    let description = &entry.description;
    let size = Size::from_bytes(description.memory_bytes);
    layout::paragraph(out, "memory", format_args!("{size}, page policy {}", description.pages))?;
    layout::paragraph(out, "cmdline", format_args!("{}", description.command_line))?;
    let Some(look) = look else { return Ok(()) };
    layout::paragraph(
        out,
        "leaves",
        format_args!("{}; {} nested tables of 4 KiB", look.leaves(), look.tables),
    )?;
    let (count, pieces) = (look.runs.len(), if look.runs.len() == 1 { "piece" } else { "pieces" });
    layout::paragraph(out, "lies in", format_args!("{count} {pieces} of this host's memory"))?;
    for (guest, host, frames) in look.runs.iter().take(SHOWN_RUNS) {
        let size = Size::from_frames(*frames);
        let (guest, host) = (guest << 12, host << 12);
        layout::paragraph(out, "", format_args!("{guest:#x} of the guest at {host:#x} of the host, {size}"))?;
    }
    if let Some(more) = count.checked_sub(SHOWN_RUNS).filter(|more| *more > 0) {
        layout::paragraph(out, "", format_args!("and {more} more; \"guest {name} raw\" lists all"))?;
    }
    let exits: Vec<String> = look
        .exits
        .iter()
        .filter(|(_, count)| *count > 0)
        .map(|(name, count)| format!("{name} {count}"))
        .collect();
    layout::paragraph(out, "exits", format_args!("{} here so far: {}", look.exits_total(), exits.join(", ")))
}

/// The same for programs: a key and its values in a line each.
pub(crate) fn write_raw(state: &HostState<'_, '_>, out: &mut impl Write, name: &str) -> fmt::Result {
    let Some(entry) = state.roster.find(name) else { return Ok(()) };
    let look = look(state, entry);
    writeln!(out, "guest {name}")?;
    writeln!(out, "state {}", state_name(entry, look.as_ref()))?;
    writeln!(out, "memory {}", entry.description.memory_bytes)?;
    if let Some(look) = look {
        for (order, count) in LEAVES.iter().zip(look.leaves) {
            writeln!(out, "leaves {} {count}", order.get())?;
        }
        writeln!(out, "tables {}", look.tables)?;
        for (guest, host, frames) in &look.runs {
            writeln!(out, "run {guest} {host} {frames}")?;
        }
        for Stretch { order, first_guest_frame, leaves } in &look.stretches {
            writeln!(out, "stretch {} {first_guest_frame} {leaves}", order.get())?;
        }
        for (name, count) in &look.exits {
            writeln!(out, "exits {} {count}", name.replace(' ', "-"))?;
        }
    }
    writeln!(out, "end")
}
