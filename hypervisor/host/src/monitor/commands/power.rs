//! `reboot` and `poweroff`.

use core::fmt::{self, Write};

use super::Outcome;
use crate::{
    console::Console,
    machine::{Machine, PowerError},
    state::HostState,
};

pub(super) fn reboot<'a, 'm>(
    state: &mut HostState<'a, 'm>,
    out: &mut Console<'a>,
    arguments: &[&str],
) -> Result<Outcome<'a, 'm>, fmt::Error> {
    leave(state, out, arguments, "rebooting", Machine::reset)
}

pub(super) fn power_off<'a, 'm>(
    state: &mut HostState<'a, 'm>,
    out: &mut Console<'a>,
    arguments: &[&str],
) -> Result<Outcome<'a, 'm>, fmt::Error> {
    leave(state, out, arguments, "powering off", Machine::power_off)
}

fn leave<'a, 'm>(
    state: &HostState<'a, 'm>,
    out: &mut Console<'a>,
    arguments: &[&str],
    doing: &str,
    leave: impl Fn(&'a dyn Machine) -> PowerError,
) -> Result<Outcome<'a, 'm>, fmt::Error> {
    if !arguments.is_empty() {
        return Ok(Outcome::Usage);
    }
    writeln!(out, "godwit {doing}")?;
    out.flush();
    let PowerError(why) = leave(state.machine);
    writeln!(out, "{doing} failed: {why}")?;
    Ok(Outcome::Done)
}
