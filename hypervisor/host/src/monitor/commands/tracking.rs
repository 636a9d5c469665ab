//! `tracking`: which frames a running guest writes.

use core::{
    fmt::{self, Write},
    ops::Range,
};

use arrayvec::ArrayVec;
use godwit_frames::FRAME_BYTES;

use super::{Outcome, guests::known};
use crate::{
    console::Console,
    guests::{Phase, RunState},
    size::Size,
    state::HostState,
};

/// Ranges that are listed for people.
const SHOWN_RANGES: usize = 16;

pub(super) fn tracking<'a, 'm>(
    state: &mut HostState<'a, 'm>,
    out: &mut Console<'a>,
    arguments: &[&str],
) -> Result<Outcome<'a, 'm>, fmt::Error> {
    let (name, what) = match arguments {
        [name] => (*name, None),
        [name, what @ ("on" | "off" | "raw")] => (*name, Some(*what)),
        _ => return Ok(Outcome::Usage),
    };
    if !known(state, out, name)? {
        return Ok(Outcome::Done);
    }
    let scene = state.scene();
    let entry = state.roster.find(name).filter(|entry| matches!(entry.phase, Phase::Here));
    let guest = entry.and_then(|entry| entry.guest.clone());
    let Some(guest) = guest.filter(|guest| !matches!(guest.life.state(), RunState::Ended(_))) else {
        writeln!(out, "{name} does not run here; \"guest {name}\" says more")?;
        return Ok(Outcome::Done);
    };
    let result = match what {
        Some("on") => {
            let result = guest.begin_tracking(scene, state.cpu.frames());
            state.cpu.frames().drain();
            result.map(|()| writeln!(out, "the writes of {name} are tracked from now on"))
        }
        Some("off") => guest
            .end_tracking(scene, state.cpu.frames())
            .map(|()| writeln!(out, "the writes of {name} are not tracked any more")),
        Some(_) => {
            let mut written = Ok(());
            let mut ranges = Ranges::default();
            let mut show = |range: Option<Range<u64>>| {
                if let Some(Range { start, end }) = range
                    && written.is_ok()
                {
                    written = writeln!(out, "written {start} {}", end - start);
                }
            };
            let result = guest.harvest_writes(scene, &mut |frame| show(ranges.add(frame)));
            show(ranges.last.take());
            result.map(|()| written.and_then(|()| writeln!(out, "frames {}\nend", ranges.frames)))
        }
        None => {
            let mut shown: ArrayVec<Range<u64>, SHOWN_RANGES> = ArrayVec::new();
            let mut more = 0_u64;
            let mut ranges = Ranges::default();
            let mut show = |range: Option<Range<u64>>| {
                if let Some(range) = range {
                    more += u64::from(shown.try_push(range).is_err());
                }
            };
            let result = guest.harvest_writes(scene, &mut |frame| show(ranges.add(frame)));
            show(ranges.last.take());
            result.map(|()| write_ranges(out, name, ranges.frames, &shown, more))
        }
    };
    match result {
        Ok(written) => written?,
        Err(error) => writeln!(out, "{name}: {error}")?,
    }
    Ok(Outcome::Done)
}

/// Frames that come in order, as ranges.
#[derive(Default)]
struct Ranges {
    last: Option<Range<u64>>,
    frames: u64,
}

impl Ranges {
    /// Adds a frame; answers the range before it, where it is not the next of that.
    fn add(&mut self, frame: u64) -> Option<Range<u64>> {
        self.frames += 1;
        match &mut self.last {
            Some(last) if last.end == frame => {
                last.end += 1;
                None
            }
            last => last.replace(frame..frame + 1),
        }
    }
}

fn write_ranges(
    out: &mut impl Write,
    name: &str,
    frames: u64,
    shown: &[Range<u64>],
    more: u64,
) -> fmt::Result {
    let size = Size::from_frames(frames);
    writeln!(out, "{frames} frames of {name} were written since the last look, {size}")?;
    for Range { start, end } in shown {
        let (first, last, size) =
            (start * FRAME_BYTES, end * FRAME_BYTES - 1, Size::from_frames(end - start));
        writeln!(out, "  {first:#x} to {last:#x}, {size}")?;
    }
    if more > 0 {
        writeln!(out, "  and {more} more pieces; \"tracking {name} raw\" lists all of the next look")?;
    }
    Ok(())
}
