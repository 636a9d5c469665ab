//! What a host says about itself when it comes up, section by section; the monitor shows the sections again.
//!
//! Every section writes plain ASCII lines of at most 96 columns to any [`fmt::Write`].

pub(crate) mod layout;
mod machine;
mod memory;
mod network;

use core::fmt::{self, Write};

use godwit_frames::Report;

use crate::{
    boot::BootPath,
    description::Description,
    machine::{Incarnation, Machine},
    startup::Startup,
};
use layout::paragraph;

pub use machine::{cpu_table, pci_table, processor, virtualization};
pub use memory::{frames_summary, memory_table};
pub use network::network;

/// The line that says that a host is up and serves its monitor. It stands on a line of its own, after everything else.
pub const READY: &str = "godwit ready";

/// Writes the whole banner, [`READY`] not included.
///
/// # Errors
/// Those of `out`.
pub fn write_banner(
    out: &mut impl Write,
    startup: &Startup<'_>,
    machine: &dyn Machine,
    report: &Report,
) -> fmt::Result {
    let description = machine.description();
    out.write_char('\n')?;
    identity(out, startup, machine.incarnation())?;
    processor(out, description)?;
    virtualization(out, description)?;
    memory_table(out, startup.memory)?;
    frames_summary(out, report)?;
    pci_table(out, description)?;
    network(out, startup, machine)?;
    notes(out, startup, description)?;
    out.write_char('\n')
}

/// Which image this is, how it was started, and what the host is called.
///
/// # Errors
/// Those of `out`.
pub fn identity(
    out: &mut impl Write,
    startup: &Startup<'_>,
    incarnation: Option<Incarnation>,
) -> fmt::Result {
    let Startup { version, build_id, boot, command_line, .. } = startup;
    writeln!(out, "Godwit {version} (build {build_id})\n")?;
    let path = match boot.path {
        BootPath::Pvh => "PVH",
    };
    let line = boot.command_line.as_str();
    if line.trim().is_empty() {
        paragraph(out, "boot", format_args!("{path}, no command line"))?;
    } else {
        paragraph(out, "boot", format_args!("{path}, command line: {line}"))?;
    }
    for module in &boot.modules {
        let size = crate::size::Size::from_bytes(module.bytes);
        paragraph(out, "", format_args!("module at {:#x}, {size} {}", module.start, module.name))?;
    }
    let (host, group) = (command_line.options.host_name(), command_line.options.group_name());
    match incarnation {
        Some(Incarnation(name)) => {
            paragraph(out, "host", format_args!("{host} in work group {group}, incarnation {name:032x}"))
        }
        None => paragraph(
            out,
            "host",
            format_args!("{host} in work group {group}, no incarnation: no hardware randomness"),
        ),
    }
}

/// Everything that a person should know before trusting this host: corrections, refusals, fallbacks. Nothing is written
/// where there is nothing to say.
///
/// # Errors
/// Those of `out`.
pub fn notes(out: &mut impl Write, startup: &Startup<'_>, description: &Description) -> fmt::Result {
    let mut notes = Notes { out, first: true };
    for problem in startup.command_line.problems() {
        notes.note(format_args!("{problem}"))?;
    }
    notes.more(startup.command_line.problems_left_out(), "problems of the command line")?;
    for note in startup.memory.notes() {
        notes.note(format_args!("{note}"))?;
    }
    notes.more(startup.memory.notes_left_out(), "corrections of the memory map")?;
    if startup.memory.frames_given_up() > 0 {
        let frames = startup.memory.frames_given_up();
        notes.note(format_args!("{frames} frames are not used: the memory map is in too many pieces"))?;
    }
    for note in &description.notes {
        notes.note(format_args!("{note}"))?;
    }
    Ok(())
}

struct Notes<'w, W> {
    out: &'w mut W,
    first: bool,
}

impl<W: Write> Notes<'_, W> {
    fn note(&mut self, text: fmt::Arguments<'_>) -> fmt::Result {
        let label = if self.first { "notes" } else { "" };
        self.first = false;
        paragraph(self.out, label, text)
    }

    fn more(&mut self, left_out: usize, of_what: &str) -> fmt::Result {
        if left_out == 0 {
            return Ok(());
        }
        self.note(format_args!("and {left_out} more {of_what}"))
    }
}
