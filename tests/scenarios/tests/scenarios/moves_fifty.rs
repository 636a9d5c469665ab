//! Moves to and fro at random instants, while the guest writes, spins, and somebody types.

use std::{thread, time::Duration};

use anyhow::{Result, ensure};
use godwit_guest::description::{Processors, VcpuCount};
use godwit_lab::{GuestLine, RunningHost};
use godwit_scenarios::{
    ANSWER,
    linux::{LINUX, guest_line},
    pair::{
        GuestConsole, GuestSpec, Pair, PairSpec, console_lines, ensure_state, free_frames, move_guest, stop,
    },
    random::Random,
};

const MOVES: u64 = 50;
/// Moves of a guest with several virtual CPUs.
const MOVES_OF_SEVERAL: u64 = 10;
/// The longest that the guest is left alone before it moves again.
const MOST_REST_MS: u64 = 300;
const SEED: u64 = 0x60d;

#[test]
fn fifty_moves_at_random_instants_lose_nothing() -> Result<()> {
    move_at_random_instants(Processors::default(), MOVES)
}

#[test]
fn a_guest_with_more_cpus_than_its_hosts_moves_at_random_instants() -> Result<()> {
    let processors = Processors { count: VcpuCount::new(3)?, ..Processors::default() };
    move_at_random_instants(processors, MOVES_OF_SEVERAL)
}

/// Moves the Linux guest to and fro, which has to lose nothing.
fn move_at_random_instants(processors: Processors, moves: u64) -> Result<()> {
    let mut guest = GuestSpec::linux("heartbeat=100 spin=1 write=8 rate=2000 echo=1");
    guest.autostart = false;
    guest.processors = processors;
    let pair = Pair::start(&PairSpec::small(guest))?;
    let (north, south) = (pair.north(), pair.south());
    let before = [free_frames(north)?, free_frames(south)?];
    north.command("start web-1", ANSWER)?;
    let console = GuestConsole::enter(north)?;
    north.expect_line("the echo", |line| line == "echo ready", LINUX)?;
    console.leave()?;

    let mut random = Random::new(SEED);
    let mut typed = Vec::new();
    for number in 0..moves {
        let (here, there) = if number.is_multiple_of(2) { (north, south) } else { (south, north) };
        // The instant is what is tried, so nothing is waited for.
        thread::sleep(Duration::from_millis(random.below(MOST_REST_MS)));
        // A line that is begun here and finished there: its first half moves with the guest, wherever it has come to.
        let line = format!("line {number} typed before and after a move {:x}", random.next());
        let (first, rest) = line.split_at(random.below(line.len() as u64) as usize);
        let console = GuestConsole::enter(here)?;
        here.type_bytes(first.as_bytes())?;
        console.leave()?;
        move_guest(here, there)?;
        let console = GuestConsole::enter(there)?;
        there.type_bytes(format!("{rest}\r").as_bytes())?;
        let echoed = guest_line(there, "the echo", |line| match line {
            GuestLine::Echo { number: echoed, text } if echoed == number => Some(text),
            _ => None,
        })?;
        ensure!(echoed == line, "typed {line:?}, cut after {first:?}, echoed {echoed:?}");
        console.leave()?;
        typed.push(line);
    }

    ensure_all_well([north, south], &typed)?;
    let end = if moves.is_multiple_of(2) { north } else { south };
    // The writer and the spinner go on after the last move.
    let rounds = said([north, south], |line| match line {
        GuestLine::PagesOk { round } => Some(round),
        _ => None,
    });
    let last = rounds.last().copied().unwrap_or(0);
    let console = GuestConsole::enter(end)?;
    guest_line(end, "another round of the writer", |line| {
        matches!(line, GuestLine::PagesOk { round } if round > last).then_some(())
    })?;
    console.leave()?;
    ensure_state(end, "running")?;
    stop(end)?;
    let after = [free_frames(north)?, free_frames(south)?];
    ensure!(before == after, "free frames on both hosts: {before:?} before, {after:?} after");
    Ok(())
}

/// What `wanted` makes of every line of the guest's, on both hosts, in order and each once.
fn said<T: Ord>(hosts: [&RunningHost; 2], mut wanted: impl FnMut(GuestLine) -> Option<T>) -> Vec<T> {
    let lines = hosts.into_iter().flat_map(console_lines);
    let mut said: Vec<T> = lines.filter_map(|line| wanted(GuestLine::parse(&line)?)).collect();
    said.sort_unstable();
    said.dedup();
    said
}

/// Fails where a page or the clock went wrong, a beat is missing, or a typed line.
fn ensure_all_well(hosts: [&RunningHost; 2], typed: &[String]) -> Result<()> {
    let bad = said(hosts, |line| match line {
        GuestLine::Bad(text) => Some(text),
        _ => None,
    });
    ensure!(bad.is_empty(), "the guest reports: {bad:#?}");
    let beats = said(hosts, |line| match line {
        GuestLine::Beat { number, ns } => Some((number, ns)),
        _ => None,
    });
    let in_order = |pair: &[(u64, u64)]| pair[1].0 == pair[0].0 + 1 && pair[1].1 > pair[0].1;
    let hole = beats.windows(2).find(|pair| !in_order(pair));
    ensure!(hole.is_none() && beats.len() > typed.len(), "{} beats, and between them {hole:?}", beats.len());
    let echoes = said(hosts, |line| match line {
        GuestLine::Echo { number, text } => Some((number, text)),
        _ => None,
    });
    let expected = (0..).zip(typed.iter().cloned());
    ensure!(echoes.into_iter().eq(expected), "not every line came once");
    Ok(())
}
