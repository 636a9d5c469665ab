//! `events`.

use core::fmt::{self, Write};

use super::{Outcome, guests::known};
use crate::{
    console::Console,
    guests::{self, Event, What},
    machine::Instant,
    state::HostState,
};

pub(super) fn events<'a, 'm>(
    state: &mut HostState<'a, 'm>,
    out: &mut Console<'a>,
    arguments: &[&str],
) -> Result<Outcome<'a, 'm>, fmt::Error> {
    let (name, raw) = match arguments {
        [] => (None, false),
        ["raw"] => (None, true),
        [name] => (Some(*name), false),
        [name, "raw"] => (Some(*name), true),
        _ => return Ok(Outcome::Usage),
    };
    // One may have crashed since this turn began.
    guests::note_crashes(state);
    // A guest that never arrived is known by its events alone.
    if let Some(name) = name
        && !state.events.events().any(|event| event.guest() == name)
        && !known(state, out, name)?
    {
        return Ok(Outcome::Done);
    }
    let shown = || state.events.events().filter(|event| name.is_none_or(|name| event.guest() == name));
    if raw {
        for event in shown() {
            write_raw(out, event)?;
        }
        writeln!(out, "lost {}\nend", state.events.lost())?;
        return Ok(Outcome::Done);
    }
    match state.events.lost() {
        0 => {}
        1 => writeln!(out, "  1 older event of this host is not kept any more")?,
        lost => writeln!(out, "  {lost} older events of this host are not kept any more")?,
    }
    if shown().next().is_none() {
        writeln!(out, "  nothing has happened")?;
    }
    for event in shown() {
        match name {
            None => writeln!(out, "  {} {:<16} {}", Seconds(event.at), event.guest(), event.what)?,
            Some(_) => {
                writeln!(out, "  {} {}", Seconds(event.at), event.what)?;
                if let What::Crashed(crash) = &event.what {
                    crash.write(out)?;
                }
            }
        }
    }
    Ok(Outcome::Done)
}

fn write_raw(out: &mut Console<'_>, event: &Event) -> fmt::Result {
    let (ns, guest, what) = (event.at.as_nanoseconds(), event.guest(), &event.what);
    writeln!(out, "event {ns} {guest} {} {what}", what.name())?;
    if let What::Crashed(crash) = what {
        crash.write_raw(out)?;
    }
    Ok(())
}

/// A time as log lines show it: in seconds since the host's boot.
struct Seconds(Instant);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let microseconds = self.0.as_nanoseconds() / 1000;
        write!(f, "{:>5}.{:06}", microseconds / 1_000_000, microseconds % 1_000_000)
    }
}
