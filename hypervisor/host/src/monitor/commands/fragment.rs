//! `fragment` and `defragment`.

use alloc::boxed::Box;
use core::fmt::{self, Write};

use super::Outcome;
use crate::{
    console::Console,
    fragment::{FragmentJob, FragmentSetting, GiveBackJob},
    state::HostState,
};

pub(super) fn fragment<'a, 'm>(
    state: &mut HostState<'a, 'm>,
    out: &mut Console<'a>,
    arguments: &[&str],
) -> Result<Outcome<'a, 'm>, fmt::Error> {
    match (arguments, state.pins.setting()) {
        ([], None) => writeln!(out, "memory is not fragmented on purpose")?,
        ([], Some(setting)) => {
            writeln!(out, "memory is fragmented {setting}: {} frames are held", state.pins.count())?;
        }
        ([percent, seed], held) => match (FragmentSetting::from_words(percent, seed), held) {
            (None, _) => {
                writeln!(
                    out,
                    "fragment: expected a percentage from 1 to 100 and a seed, such as \"fragment 60 7\""
                )?;
            }
            (Some(_), Some(held)) => {
                writeln!(out, "memory is fragmented already, {held}: \"defragment\" first")?;
            }
            (Some(setting), None) => return Ok(Outcome::Job(Box::new(FragmentJob::new(state, setting)))),
        },
        _ => return Ok(Outcome::Usage),
    }
    Ok(Outcome::Done)
}

pub(super) fn defragment<'a, 'm>(
    state: &mut HostState<'a, 'm>,
    out: &mut Console<'a>,
    arguments: &[&str],
) -> Result<Outcome<'a, 'm>, fmt::Error> {
    if !arguments.is_empty() {
        return Ok(Outcome::Usage);
    }
    if state.pins.setting().is_none() {
        writeln!(out, "memory is not fragmented on purpose: nothing to give back")?;
        return Ok(Outcome::Done);
    }
    Ok(Outcome::Job(Box::new(GiveBackJob::new(state))))
}
