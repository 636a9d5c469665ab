//! Guests that move between two hosts, and back.

use anyhow::{Context, Result, ensure};
use godwit_lab::RunningHost;
use godwit_scenarios::{
    ANSWER,
    pair::{
        GuestConsole, GuestSpec, Pair, PairSpec, console_lines, ensure_state, free_frames, guest_raw,
        move_guest, stop,
    },
};

/// The micro guest's beats, by number, each with its time stamp counter; a console that is visited twice shows some twice.
fn beats(hosts: [&RunningHost; 2]) -> Result<Vec<(u64, u64)>> {
    let mut beats = Vec::new();
    for line in hosts.iter().flat_map(|host| console_lines(host)) {
        ensure!(!line.contains("FAILED"), "the guest says: {line}");
        let words: Vec<_> = line.split(' ').collect();
        if let ["beat", number, _, tsc] = words[..] {
            let tsc = tsc.strip_prefix("tsc=").with_context(|| line.clone())?;
            beats.push((number.parse()?, tsc.parse()?));
        }
    }
    beats.sort_unstable();
    beats.dedup();
    Ok(beats)
}

/// Waits at the console for the beat of that number.
fn await_beat(console: &GuestConsole<'_>, number: u64) -> Result<()> {
    let start = format!("beat {number} ");
    console.host().expect_line("a beat", |line| line.starts_with(&start), ANSWER)?;
    Ok(())
}

#[test]
fn a_guest_moves_and_comes_back() -> Result<()> {
    let mut guest = GuestSpec::micro("test=heartbeat count=0 ms=50");
    guest.autostart = false;
    let pair = Pair::start(&PairSpec::small(guest))?;
    let (north, south) = (pair.north(), pair.south());
    let before = [free_frames(north)?, free_frames(south)?];
    north.command("start web-1", ANSWER)?;
    let leaves = guest_raw(north, "leaves")?;
    for (here, there, beat) in [(north, south, 4), (south, north, 8)] {
        let console = GuestConsole::enter(here)?;
        await_beat(&console, beat)?;
        console.leave()?;
        move_guest(here, there)?;
        ensure_state(there, "running")?;
        ensure!(
            guest_raw(there, "leaves")? == leaves,
            "{:?} became {:?}",
            leaves,
            guest_raw(there, "leaves")?
        );
    }
    let console = GuestConsole::enter(north)?;
    await_beat(&console, 12)?;
    console.leave()?;
    let beats = beats([north, south])?;
    let in_order = |pair: &[(u64, u64)]| pair[1].0 == pair[0].0 + 1 && pair[1].1 > pair[0].1;
    ensure!(beats.len() >= 11 && beats[0].0 == 1 && beats.windows(2).all(in_order), "{beats:?}");
    stop(north)?;
    let after = [free_frames(north)?, free_frames(south)?];
    ensure!(before == after, "free frames on both hosts: {before:?} before, {after:?} after");
    Ok(())
}
