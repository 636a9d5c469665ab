//! The commands of the monitor, in one table.

mod console;
mod events;
mod fragment;
mod guests;
mod help;
mod log;
mod network;
mod power;
mod selftest;
mod send;
mod show;
mod tracking;

use alloc::boxed::Box;
use core::fmt::{self, Write};

use arrayvec::ArrayVec;

use crate::{console::Console, excerpt::Excerpt, job::Job, spelling, state::HostState};

/// Words of an entered line that are looked at.
const MAX_ARGUMENTS: usize = 8;

/// What comes of a command.
pub(super) enum Outcome<'a, 'm> {
    /// It has said what there was to say.
    Done,
    /// It was not given the words that it takes: its usage is to be shown.
    Usage,
    /// It goes on in steps.
    Job(Box<dyn Job<'a, 'm> + 'a>),
}

type Run =
    for<'a, 'm> fn(&mut HostState<'a, 'm>, &mut Console<'a>, &[&str]) -> Result<Outcome<'a, 'm>, fmt::Error>;

/// The words that can follow a command, for completing them.
#[derive(Clone, Copy)]
pub(super) enum Words {
    /// None that is known.
    None,
    /// These.
    Fixed(&'static [&'static str]),
    /// The names of this host's guests.
    Guests,
    /// The names of this host's guests, or one of these.
    GuestsOr(&'static [&'static str]),
}

/// A command.
pub(super) struct Command {
    /// What is typed.
    pub(super) name: &'static str,
    /// What follows it; empty where nothing does.
    pub(super) usage: &'static str,
    /// What it does, in a few words.
    pub(super) about: &'static str,
    /// More about it, a paragraph; may be empty.
    pub(super) details: &'static str,
    /// Words that can follow it.
    pub(super) words: Words,
    /// Runs it with the words that follow it.
    run: Run,
}

/// Every command, in the order in which help lists them.
pub(super) static COMMANDS: [Command; 26] = [
    Command {
        name: "help",
        usage: "[COMMAND]",
        about: "list the commands, or say more about one",
        details: "",
        words: Words::None,
        run: help::help,
    },
    Command {
        name: "about",
        usage: "",
        about: "version, host, processor and what it can virtualize",
        details: "Also repeats the notes of the boot: what was refused, corrected or missing.",
        words: Words::None,
        run: show::about,
    },
    Command {
        name: "cpus",
        usage: "",
        about: "the processors and their state",
        details: "",
        words: Words::None,
        run: show::cpus,
    },
    Command {
        name: "memory",
        usage: "",
        about: "the memory map of the firmware, normalized",
        details: "Every frame has the most cautious kind that the firmware claims for it.",
        words: Words::None,
        run: show::memory,
    },
    Command {
        name: "frames",
        usage: "[raw]",
        about: "a picture of the frames, and free runs by size",
        details: "A glyph stands for one or more 2 MiB blocks. \"frames raw\" writes the same for programs.",
        words: Words::Fixed(&["raw"]),
        run: show::frames,
    },
    Command {
        name: "pci",
        usage: "",
        about: "the PCI functions that were found",
        details: "",
        words: Words::None,
        run: show::pci,
    },
    Command {
        name: "guests",
        usage: "",
        about: "the guests of this host",
        details: "",
        words: Words::None,
        run: guests::guests,
    },
    Command {
        name: "guest",
        usage: "NAME [raw]",
        about: "all about one guest",
        details: "State, memory, mappings by size, and exits by reason. \"guest NAME raw\" writes the same for programs.",
        words: Words::Guests,
        run: guests::guest,
    },
    Command {
        name: "events",
        usage: "[NAME] [raw]",
        about: "what happened to guests; registers of a crash",
        details: "The newest comes last. \"events NAME\" shows the registers and the callers of a crash in full, \"raw\" writes \
                  all for programs. Times are those of log lines.",
        words: Words::GuestsOr(&["raw"]),
        run: events::events,
    },
    Command {
        name: "console",
        usage: "NAME",
        about: "look at a guest's serial port and type at it",
        details: "Ctrl-] leaves it. What the guest wrote last is shown first.",
        words: Words::Guests,
        run: console::console,
    },
    Command {
        name: "start",
        usage: "NAME [--force]",
        about: "start a guest",
        details: "With --force also one that moved to another host: then there are two of that name.",
        words: Words::Guests,
        run: guests::start,
    },
    Command {
        name: "stop",
        usage: "NAME [--force]",
        about: "stop a guest at once and free its memory",
        details: "It is as if its power were cut. With --force also a guest that is in doubt after a move.",
        words: Words::Guests,
        run: guests::stop,
    },
    Command {
        name: "pause",
        usage: "NAME",
        about: "stop a guest for a while",
        details: "Its clocks go on: it sees that time has passed when it is resumed.",
        words: Words::Guests,
        run: guests::pause,
    },
    Command {
        name: "resume",
        usage: "NAME [--force]",
        about: "let a paused guest run on",
        details: "With --force also a guest that is in doubt after a move: look at the other host first, for if it runs there \
                  as well, two copies run.",
        words: Words::Guests,
        run: guests::resume,
    },
    Command {
        name: "reset",
        usage: "NAME",
        about: "start a guest anew, from its kernel",
        details: "",
        words: Words::Guests,
        run: guests::reset,
    },
    Command {
        name: "send",
        usage: "NAME HOST",
        about: "move a guest to another host",
        details: "HOST is a name that \"network\" lists, or an address. The guest stands still while it moves. Ctrl-C breaks \
                  the move off, and the guest stays, until the other host was told to run it.",
        words: Words::Guests,
        run: send::send,
    },
    Command {
        name: "tracking",
        usage: "NAME [on|off]",
        about: "which memory a running guest writes",
        details: "\"on\" begins to track its writes, and \"off\" ends that. Without either: the frames that were written since the \
                  last look, or since tracking began. \"raw\" writes the same for programs.",
        words: Words::Guests,
        run: tracking::tracking,
    },
    Command {
        name: "network",
        usage: "",
        about: "the host's address, its traffic, and its peers",
        details: "",
        words: Words::None,
        run: network::network,
    },
    Command {
        name: "ping",
        usage: "HOST",
        about: "ask a host three times whether it is there",
        details: "HOST is the name of a peer, or an IPv4 address in this host's network.",
        words: Words::None,
        run: network::ping,
    },
    Command {
        name: "log",
        usage: "[LEVEL]",
        about: "show or set how much is logged",
        details: "LEVEL is off, error, warn, info, debug or trace; each level includes those before it.",
        words: Words::Fixed(&["off", "error", "warn", "info", "debug", "trace"]),
        run: log::log,
    },
    Command {
        name: "selftest",
        usage: "[NAME [CPU]]",
        about: "list the selftests, or run one",
        details: "\"all\" runs every test that comes back. A fault ends in the fault report and stops the host; with CPU, such \
                  as cpu1, it is raised there, else on the processor that serves this monitor.",
        words: Words::None,
        run: selftest::selftest,
    },
    Command {
        name: "fragment",
        usage: "[PERCENT SEED]",
        about: "break up free memory on purpose",
        details: "Takes single frames in PERCENT (1 to 100) of the free 2 MiB blocks, a quarter of these as unmovable. \
                  The same SEED on the same memory chooses the same frames. \"defragment\" gives them back.",
        words: Words::None,
        run: fragment::fragment,
    },
    Command {
        name: "defragment",
        usage: "",
        about: "give the frames of \"fragment\" back",
        details: "",
        words: Words::None,
        run: fragment::defragment,
    },
    Command {
        name: "clear",
        usage: "",
        about: "clear the screen, as Ctrl-L does",
        details: "",
        words: Words::None,
        run: show::clear,
    },
    Command {
        name: "reboot",
        usage: "",
        about: "start this machine again",
        details: "",
        words: Words::None,
        run: power::reboot,
    },
    Command {
        name: "poweroff",
        usage: "",
        about: "switch this machine off",
        details: "",
        words: Words::None,
        run: power::power_off,
    },
];

/// Runs an entered line; answers with the job that it began, if any.
pub(super) fn run<'a, 'm>(
    state: &mut HostState<'a, 'm>,
    out: &mut Console<'a>,
    line: &str,
) -> Result<Option<Box<dyn Job<'a, 'm> + 'a>>, fmt::Error> {
    // One more than is looked at: a word too many has to be noticed.
    let words: ArrayVec<&str, { MAX_ARGUMENTS + 1 }> =
        line.split_ascii_whitespace().take(MAX_ARGUMENTS + 1).collect();
    let Some((&name, arguments)) = words.split_first() else { return Ok(None) };
    let Some(command) = find(name) else {
        unknown(out, "command", name, command_names())?;
        return Ok(None);
    };
    match (command.run)(state, out, arguments)? {
        Outcome::Done => Ok(None),
        Outcome::Job(job) => Ok(Some(job)),
        Outcome::Usage => {
            let space = if command.usage.is_empty() { "" } else { " " };
            writeln!(out, "{name}: expected \"{name}{space}{}\"; see \"help {name}\"", command.usage)?;
            Ok(None)
        }
    }
}

/// The command called `name`.
fn find(name: &str) -> Option<&'static Command> {
    COMMANDS.iter().find(|command| command.name == name)
}

/// Says that there is no `what` (a command, a selftest) called `name`, and which of the known ones may be meant.
fn unknown(
    out: &mut Console<'_>,
    what: &str,
    name: &str,
    known: impl Iterator<Item = &'static str>,
) -> fmt::Result {
    let shown = Excerpt::new(name);
    match spelling::nearest(name, known) {
        Some(nearest) => writeln!(out, "unknown {what} \"{shown}\": did you mean \"{nearest}\"?"),
        None => {
            // What lists the commands is a command of another name; a list of selftests comes by the same name.
            let lister = if what == "command" { "help" } else { what };
            writeln!(out, "unknown {what} \"{shown}\"; \"{lister}\" lists them")
        }
    }
}

fn command_names() -> impl Iterator<Item = &'static str> {
    COMMANDS.iter().map(|command| command.name)
}
