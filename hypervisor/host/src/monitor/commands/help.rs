//! `help`.

use core::fmt::{self, Write};

use super::{COMMANDS, Outcome, command_names, find, unknown};
use crate::{banner::layout::paragraph, console::Console, state::HostState};

/// Columns for the longest command and its usage.
const USAGE_COLUMNS: usize = 24;

pub(super) fn help<'a, 'm>(
    _state: &mut HostState<'a, 'm>,
    out: &mut Console<'a>,
    arguments: &[&str],
) -> Result<Outcome<'a, 'm>, fmt::Error> {
    match arguments {
        [] => {
            for command in &COMMANDS {
                let usage_columns = USAGE_COLUMNS.saturating_sub(command.name.len() + 1);
                writeln!(out, "  {} {:<usage_columns$} {}", command.name, command.usage, command.about)?;
            }
            writeln!(out, "\n  Tab completes, the up key goes back in history, Ctrl-C stops what runs.")?;
        }
        [name] => match find(name) {
            Some(command) => {
                writeln!(out, "{} {}", command.name, command.usage)?;
                paragraph(out, "", format_args!("{}", command.about))?;
                if !command.details.is_empty() {
                    paragraph(out, "", format_args!("{}", command.details))?;
                }
            }
            None => unknown(out, "command", name, command_names())?,
        },
        _ => return Ok(Outcome::Usage),
    }
    Ok(Outcome::Done)
}
