//! What a person, or a program, is told about guests.

use alloc::{format, string::String, vec::Vec};
use core::fmt::{self, Write};

use godwit_frames::Order;
use godwit_guest::{
    cpu::Activity,
    description::{GuestDescription, HostCpus, Processors},
};

use super::{End, Entry, ExitCounters, Guest, Phase, RunState, Scene};
use crate::{banner::layout, machine::HostMemory, scheduler::Account, size::Size, state::HostState};

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
    vcpus: Vec<VcpuLook>,
}

/// What is asked of one virtual CPU.
struct VcpuLook {
    activity: Activity,
    exits: ExitCounters,
    account: Option<Account>,
}

impl VcpuLook {
    /// What it does: what it waits for where it executes nothing, else whether it has a host CPU.
    fn standing(&self) -> &'static str {
        match (self.activity, self.account.as_ref()) {
            (Activity::Halted, _) => "halted",
            (Activity::WaitingForStartUp, _) => "off",
            (Activity::Running, Some(account)) => account.standing.name(),
            (Activity::Running, None) => "asleep",
        }
    }
}

/// Leaves of one size that follow each other.
struct Stretch {
    order: Order,
    first_guest_frame: u64,
    leaves: u64,
}

impl Look {
    fn at(guest: &Guest, scene: Scene<'_>) -> Self {
        let (histogram, tables) = {
            let tables = guest.paging.lock();
            (tables.nested.histogram(), tables.frames.count())
        };
        let memory = scene.machine.memory();
        // Before each is taken, which puts it off its CPU.
        let accounts: Vec<_> = guest.vcpus.iter().map(|vcpu| vcpu.account(scene)).collect();
        let vcpus = guest.vcpus.iter().zip(accounts).map(|(vcpu, account)| {
            let core = vcpu.take(scene);
            VcpuLook { activity: core.activity, exits: core.exits, account }
        });
        let vcpus: Vec<_> = vcpus.collect();
        let exits = vcpus.iter().fold(ExitCounters::default(), |all, vcpu| all.plus(&vcpu.exits));
        Self {
            vcpus,
            state: guest.life.state(),
            exits: exits.counts().collect(),
            leaves: [histogram.huge, histogram.large, histogram.frame].map(|tally| tally.leaves),
            tables,
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
    entry.guest.as_ref().map(|guest| Look::at(guest, state.scene()))
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

/// How many virtual CPUs, and their share of the host's.
fn share(description: &GuestDescription) -> String {
    let Processors { count, weight, cap, pins } = &description.processors;
    let mut text = format!("{}, weight {} each", count.get(), weight.get());
    if let Some(cap) = cap {
        text += &format!(", together at most {} % of a CPU", cap.percent());
    }
    if *pins != HostCpus::ANY {
        text += &format!(", pinned to {pins}");
    }
    text
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
    writeln!(out, "  {:<16} {:<9} {:<6} {:<26} {:>10}  state", "guest", "memory", "cpus", "leaves", "exits")?;
    for entry in state.roster.entries() {
        let look = look(state, entry);
        writeln!(
            out,
            "  {:<16} {:<9} {:<6} {:<26} {:>10}  {}",
            entry.name(),
            format!("{}", Size::from_bytes(entry.description.memory_bytes)),
            entry.description.processors.count.get(),
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
    let description = &entry.description;
    layout::paragraph(out, "cpus", format_args!("{}", share(description)))?;
    for (index, vcpu) in look.iter().flat_map(|look| look.vcpus.iter().enumerate()) {
        let Some(account) = &vcpu.account else { continue };
        layout::paragraph(
            out,
            "",
            format_args!(
                "vcpu{index} {} on {}: ran {} ms, waited {} ms for a CPU, {} ms at most at once; {} exits",
                vcpu.standing(),
                account.cpu,
                account.ran.as_millis(),
                account.waited.as_millis(),
                account.longest_wait.as_millis(),
                vcpu.exits.total()
            ),
        )?;
    }
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
        for (index, vcpu) in look.vcpus.iter().enumerate() {
            let Some(account) = &vcpu.account else { continue };
            writeln!(
                out,
                "vcpu {index} state {} cpu {} ran_ns {} waited_ns {} longest_wait_ns {} exits {}",
                vcpu.standing(),
                account.cpu.0,
                account.ran.as_nanos(),
                account.waited.as_nanos(),
                account.longest_wait.as_nanos(),
                vcpu.exits.total()
            )?;
        }
        for (name, count) in &look.exits {
            writeln!(out, "exits {} {count}", name.replace(' ', "-"))?;
        }
    }
    writeln!(out, "end")
}
