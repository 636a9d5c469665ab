//! `log`.

use core::fmt::{self, Write};

use log::LevelFilter;

use super::Outcome;
use crate::{console::Console, state::HostState};

pub(super) fn log<'a, 'm>(
    _state: &mut HostState<'a, 'm>,
    out: &mut Console<'a>,
    arguments: &[&str],
) -> Result<Outcome<'a, 'm>, fmt::Error> {
    match arguments {
        [] => {}
        [level] => match level.parse::<LevelFilter>() {
            Ok(level) => log::set_max_level(level),
            Err(_) => {
                writeln!(out, "log: expected off, error, warn, info, debug or trace")?;
                return Ok(Outcome::Done);
            }
        },
        _ => return Ok(Outcome::Usage),
    }
    let level = match log::max_level() {
        LevelFilter::Off => "off",
        LevelFilter::Error => "error",
        LevelFilter::Warn => "warn",
        LevelFilter::Info => "info",
        LevelFilter::Debug => "debug",
        LevelFilter::Trace => "trace",
    };
    writeln!(out, "log level is {level}")?;
    Ok(Outcome::Done)
}
