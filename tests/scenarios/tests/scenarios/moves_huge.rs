//! A guest that lives on 1 GiB leaves arrives on 1 GiB leaves, though half of the destination's memory is in pieces.

use anyhow::{Result, ensure};
use godwit_lab::{RawFrames, RunningHost};
use godwit_scenarios::{
    ANSWER,
    pair::{GuestSpec, Pair, PairSpec, ensure_beats, ensure_state, free_frames, guest_raw, move_guest, stop},
};

/// `guest raw` of three leaves of 1 GiB (order 18) and no other.
const THREE_HUGE: [&str; 3] = ["18 3", "9 0", "0 0"];
const GIB_FRAMES: u64 = 1 << 18;

fn ensure_huge(host: &RunningHost) -> Result<()> {
    let leaves = guest_raw(host, "leaves")?;
    ensure!(leaves == THREE_HUGE, "on {} its leaves are {leaves:?}", host.name());
    for run in guest_raw(host, "run")? {
        let numbers: Vec<u64> = run.split(' ').map(str::parse).collect::<Result<_, _>>()?;
        ensure!(
            numbers.iter().all(|number| number.is_multiple_of(GIB_FRAMES)),
            "on {}: run {run}",
            host.name()
        );
    }
    // No access to RAM stopped the guest: all of it is mapped.
    let faults = guest_raw(host, "exits nested-fault")?;
    ensure!(faults == ["0"], "on {}: {faults:?} faults on RAM", host.name());
    Ok(())
}

#[test]
fn huge_leaves_are_kept_where_half_of_memory_is_in_pieces() -> Result<()> {
    let guest = GuestSpec {
        memory_mib: 3 << 10,
        autostart: false,
        ..GuestSpec::micro("test=heartbeat count=0 ms=50")
    };
    let filler = GuestSpec { name: "filler".into(), autostart: true, ..guest.clone() };
    let hosts = ["cpus = 2\nmemory = \"6GiB\"\n"; 2];
    let pair = Pair::start(&PairSpec { hosts, south: vec![filler], ..PairSpec::small(guest) })?;
    let (north, south) = (pair.north(), pair.south());
    // Everything that another guest leaves free is broken up; then that guest goes.
    south.command("fragment 100 5", ANSWER)?;
    south.command("stop filler", ANSWER)?;
    let pieces = RawFrames::parse(&south.command("frames raw", ANSWER)?)?;
    let in_pieces = pieces.memory_blocks() - pieces.free_blocks();
    ensure!(in_pieces * 5 >= pieces.memory_blocks() * 2, "only {in_pieces} blocks are in pieces");
    let before = [free_frames(north)?, free_frames(south)?];

    north.command("start web-1", ANSWER)?;
    ensure_huge(north)?;
    ensure_beats(north)?;
    move_guest(north, south)?;
    ensure_state(south, "running")?;
    ensure_huge(south)?;
    ensure_beats(south)?;
    stop(south)?;
    let after = [free_frames(north)?, free_frames(south)?];
    ensure!(before == after, "free frames on both hosts: {before:?} before, {after:?} after");
    Ok(())
}
