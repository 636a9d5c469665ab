//! What an operator does with guests.

use anyhow::{Result, ensure};
use godwit_guest::description::{GuestDescription, PagePolicy};
use godwit_scenarios::{
    ANSWER,
    guests::{Bundle, GuestHost, micro},
    sized_spec,
};

fn beating(name: &str) -> Result<GuestDescription> {
    micro(name, "test=heartbeat ms=20 count=0")
}

fn host(guests: impl IntoIterator<Item = GuestDescription>) -> Result<GuestHost> {
    let mut bundle = Bundle::new();
    for guest in guests {
        bundle.micro(guest)?;
    }
    bundle.boot(&sized_spec("north", 2, "128MiB")?)
}

/// The number of the next beat on the console.
fn next_beat(host: &GuestHost) -> Result<u64> {
    let beat = |line: &str| line.strip_prefix("beat ")?.split(' ').next()?.parse().ok();
    let found = host.expect_line("a beat", |line| beat(line).is_some(), ANSWER)?;
    Ok(beat(&found.text).unwrap_or_default())
}

#[test]
fn a_paused_guest_stands_still_and_goes_on_where_it_was() -> Result<()> {
    let host = host([beating("web-1")?])?;
    host.start("web-1")?;
    host.enter_console("web-1")?;
    let first = next_beat(&host)?;
    ensure!(next_beat(&host)? == first + 1, "a beat is missing");
    host.leave_console("web-1")?;

    host.tell("pause", "web-1", "web-1 is paused")?;
    host.tell("pause", "web-1", "web-1 is paused already")?;
    let paused = host.guest("web-1")?;
    ensure!(paused.state == "paused", "{paused:?}");
    // A guest that ran would beat many times while the host does this.
    host.command("selftest clock", ANSWER)?;
    let later = host.guest("web-1")?;
    ensure!(later == paused, "it did not stand still: {paused:?}, then {later:?}");

    host.tell("resume", "web-1", "web-1 runs")?;
    host.tell("resume", "web-1", "web-1 runs already")?;
    host.ensure_state("web-1", "running")?;
    host.enter_console("web-1")?;
    // All from the first beat on is still there.
    let mut last = next_beat(&host)?;
    while last < 20 {
        let next = next_beat(&host)?;
        ensure!(next == last + 1, "beat {next} follows beat {last}");
        last = next;
    }
    host.leave_console("web-1")
}

#[test]
fn a_guest_is_started_reset_and_stopped() -> Result<()> {
    let host = host([beating("web-1")?, micro("other", "test=cpuid-leaf-range-answers-zero")?])?;
    let before = host.free_frames()?;
    host.ensure_state("web-1", "stopped")?;
    host.start("web-1")?;
    host.tell("start", "web-1", "web-1 does not start: it is started already")?;
    host.ensure_state("web-1", "running")?;
    let table = host.command("guests", ANSWER)?;
    let running = |line: &str| {
        let words: Vec<_> = line.split_whitespace().collect();
        words.first() == Some(&"web-1") && words.last() == Some(&"running")
    };
    ensure!(table.lines().any(running), "it does not run:\n{table}");

    host.enter_console("web-1")?;
    while next_beat(&host)? < 3 {}
    host.leave_console("web-1")?;
    host.tell("reset", "web-1", "web-1 runs")?;
    host.enter_console("web-1")?;
    host.expect("beat 3 ", ANSWER)?;
    host.expect("micro begins", ANSWER)?;
    host.expect("beat 1 ", ANSWER)?;
    host.leave_console("web-1")?;

    host.tell("stop", "web-1", "web-1 is stopped; its memory is free")?;
    host.ensure_state("web-1", "stopped")?;
    host.tell("stop", "web-1", "web-1 is stopped already")?;
    host.tell("pause", "web-1", "web-1 does not run here")?;
    host.tell("reset", "web-1", "\"start web-1\" starts it")?;
    let after = host.free_frames()?;
    ensure!(after == before, "{before} frames were free, and {after} are");

    // The next guest of that CPU has a console of its own.
    host.start("other")?;
    let said = host.console_to_the_end("other", ANSWER)?;
    ensure!(said.contains("micro cpuid-leaf-range-answers-zero ok") && !said.contains("beat "), "{said}");
    Ok(())
}

#[test]
fn a_name_that_is_none_is_said() -> Result<()> {
    let host = host([beating("web-1")?])?;
    for command in ["start", "stop", "pause", "resume", "reset", "console", "guest"] {
        host.tell(command, "wbe-1", "there is no guest called \"wbe-1\": did you mean \"web-1\"?")?;
    }
    Ok(())
}

#[test]
fn the_page_policy_decides_about_leaves() -> Result<()> {
    let four_kib = GuestDescription { pages: PagePolicy::FourKib, ..beating("small")? };
    let host = host([beating("large")?, four_kib])?;
    for (name, expected) in [("large", [(0, 0), (9, 8), (18, 0)]), ("small", [(0, 4096), (9, 0), (18, 0)])] {
        host.start(name)?;
        host.enter_console(name)?;
        next_beat(&host)?;
        host.leave_console(name)?;
        let guest = host.guest(name)?;
        ensure!(guest.leaves.iter().map(|(order, count)| (*order, *count)).eq(expected), "{name}: {guest:?}");
        ensure!(guest.memory_bytes == 16 << 20, "{guest:?}");
        ensure!(guest.exits.get("nested-fault") == Some(&0), "a fault on RAM of {name}: {guest:?}");
        ensure!(guest.exits.get("port").is_some_and(|count| *count > 0), "exits are counted: {guest:?}");
    }
    Ok(())
}
