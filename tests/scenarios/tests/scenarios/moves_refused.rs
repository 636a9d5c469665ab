//! Moves that the destination does not take, or that reach nobody: the guest stays, and nothing is lost on either host.

use anyhow::{Result, ensure};
use godwit_guest::description::{HostCpus, Processors};
use godwit_scenarios::{
    ANSWER, ensure_says,
    pair::{GuestSpec, Pair, PairSpec, ensure_beats, ensure_state, free_frames, send},
};

const BEATS: &str = "test=heartbeat count=0 ms=50";

/// A guest of 64 MiB that beats.
fn guest() -> GuestSpec {
    GuestSpec { memory_mib: 64, ..GuestSpec::micro(BEATS) }
}

/// Sends the guest to `to`, which must fail for a reason with these words, and leave everything as it was.
fn ensure_stays(pair: &Pair, to: &str, reason: &[&str]) -> Result<()> {
    let hosts = [pair.north(), pair.south()];
    let before = [free_frames(hosts[0])?, free_frames(hosts[1])?];
    let said = send(pair.north(), to)?;
    ensure_says(&said, &["web-1 stays here"])?;
    ensure_says(&said, reason)?;
    ensure_state(pair.north(), "running")?;
    ensure_beats(pair.north())?;
    let after = [free_frames(hosts[0])?, free_frames(hosts[1])?];
    ensure!(before == after, "free frames on both hosts: {before:?} before, {after:?} after");
    let guests = pair.south().command("guests", ANSWER)?;
    ensure!(!guests.contains("arriving"), "{guests}");
    Ok(())
}

#[test]
fn a_host_with_too_little_memory_says_so() -> Result<()> {
    let hosts = ["cpus = 2\nmemory = \"256MiB\"\n", "cpus = 2\nmemory = \"64MiB\"\n"];
    let pair = Pair::start(&PairSpec { hosts, ..PairSpec::small(guest()) })?;
    ensure_stays(&pair, "south", &["the destination refuses: 64 MiB are needed, and less is free here"])
}

#[test]
fn a_host_whose_memory_is_in_pieces_says_so() -> Result<()> {
    let hosts = [
        "cpus = 2\nmemory = \"256MiB\"\n",
        "cpus = 2\nmemory = \"256MiB\"\nfragment = { percent = 95, seed = 3 }\n",
    ];
    let pair = Pair::start(&PairSpec { hosts, ..PairSpec::small(guest()) })?;
    ensure_stays(
        &pair,
        "south",
        &["the destination refuses: 32 runs of 2 MiB in one piece are needed, and", "are free here"],
    )
}

#[test]
fn a_host_that_is_not_there_is_not_waited_for_long() -> Result<()> {
    let pair = Pair::start(&PairSpec::small(guest()))?;
    ensure_stays(&pair, "10.0.0.77", &["waited too long for"])?;
    let said = send(pair.north(), "sout")?;
    ensure_says(&said, &["there is no host called \"sout\": did you mean \"south\"?"])?;
    ensure_stays(&pair, "10.0.0.1", &["10.0.0.1 is this host itself"])
}

#[test]
fn a_name_is_one_guests() -> Result<()> {
    let pair = Pair::start(&PairSpec { south: vec![guest()], ..PairSpec::small(guest()) })?;
    ensure_stays(&pair, "south", &["the destination refuses: there is a guest called web-1 here already"])
}

#[test]
fn a_guest_goes_only_where_the_cpus_are_that_it_is_pinned_to() -> Result<()> {
    let hosts = ["cpus = 2\nmemory = \"256MiB\"\n", "cpus = 1\nmemory = \"256MiB\"\n"];
    let pinned = Processors { pins: HostCpus::new([1])?, ..Processors::default() };
    let pair =
        Pair::start(&PairSpec { hosts, ..PairSpec::small(GuestSpec { processors: pinned, ..guest() }) })?;
    ensure_stays(
        &pair,
        "south",
        &["the destination refuses: it is pinned to cpu1, and this host has cpu0: change `pin`"],
    )
}

#[test]
fn time_stamp_counters_that_differ_are_named() -> Result<()> {
    let hosts = [
        "cpus = 2\nmemory = \"256MiB\"\ncmdline = \"godwit.tsc_hz=2000000000\"\n",
        "cpus = 2\nmemory = \"256MiB\"\ncmdline = \"godwit.tsc_hz=2001000000\"\n",
    ];
    let pair = Pair::start(&PairSpec { hosts, ..PairSpec::small(guest()) })?;
    ensure_stays(
        &pair,
        "south",
        &[
            "its time stamp counter counts 2000000000 Hz, this host's 2001000000 Hz",
            "declare it with godwit.tsc_hz=",
        ],
    )
}
