//! `help`.

use core::fmt::{self, Write};

use super::{COMMANDS, Outcome, find, unknown};
use crate::{banner::layout::paragraph, console::Console, state::HostState};

pub(super) fn help<'a, 'm>(
    _state: &mut HostState<'a, 'm>,
    out: &mut Console<'a>,
    arguments: &[&str],
) -> Result<Outcome<'a, 'm>, fmt::Error> {
    match arguments {
        [] => {
            for command in &COMMANDS {
                let name_and_usage = command.name.len() + 1 + command.usage.len();
                write!(out, "  {} {}", command.name, command.usage)?;
                // A long usage takes a line of its own.
                if name_and_usage > 24 {
                    write!(out, "\n  {:24}", "")?;
                } else {
                    write!(out, "{:width$}", "", width = 24 - name_and_usage)?;
                }
                writeln!(out, " {}", command.about)?;
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
            None => unknown(out, name)?,
        },
        _ => return Ok(Outcome::Usage),
    }
    Ok(Outcome::Done)
}
