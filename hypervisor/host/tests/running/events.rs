//! What the monitor tells of what happened to guests.

use godwit_guest::description::{Processors, VcpuCount};

use crate::{
    fake::FakeMachine,
    moves::bundle_with,
    scripted::FRAME,
    world::{Setup, World},
};

/// A host whose guest `web-1` has two virtual CPUs, of which the first crashes in that run.
fn ready(guest_crashes: Option<u64>) -> World {
    let mut machine = FakeMachine::new(2);
    (machine.runs_guests, machine.guest_crashes) = (true, guest_crashes);
    let processors = Processors { count: VcpuCount::new(2).unwrap(), ..Processors::default() };
    let module = Some(bundle_with(processors));
    Setup { machine, memory_mib: 64, module, ..Setup::default() }.ready()
}

/// As [`World::command`], also while a guest runs.
fn ask(world: &mut World, command: &str) -> String {
    world.output();
    world.feed(format!("{command}\r").as_bytes());
    let mut said = String::new();
    for _ in 0..20_000 {
        world.turn();
        said += &world.output();
        if let Some(answer) = said.strip_suffix("lab-a> ") {
            return answer.strip_prefix(&format!("{command}\n")).expect("the echo comes first").to_owned();
        }
    }
    panic!("no end of {command}: {said}");
}

/// The events of a table, without their times.
fn told(table: &str) -> Vec<String> {
    let words = |line: &str| line.split_whitespace().skip(1).map(str::to_owned).collect::<Vec<_>>().join(" ");
    table.lines().map(words).collect()
}

#[test]
fn a_crash_is_told_with_registers_and_callers() {
    let mut world = ready(Some(200));
    assert_eq!(ask(&mut world, "events"), "  nothing has happened\n");
    ask(&mut world, "start web-1");
    for _ in 0..2_000 {
        world.turn();
    }
    let table = ask(&mut world, "events");
    let crash = "crashed on vcpu0 at 0x100000: triple fault";
    let expected = [
        "web-1 is being started".to_owned(),
        "web-1 started with 8 MiB and 2 CPUs".to_owned(),
        format!("web-1 {crash}"),
    ];
    assert_eq!(told(&table), expected);

    let all = ask(&mut world, "events web-1");
    assert!(all.lines().all(|line| line.len() <= 100), "{all}");
    for expected in [
        crash,
        "code      32-bit code: 90 90 90 90 90 90 90 90 90 90 90 90 90 90 90",
        // R15 counts its runs.
        "r15 00000000000000c8\n",
        &format!("rbp {FRAME:016x}"),
        "rip 0000000000100000 rflags 0000000000000002 efer 0000000000000000\n",
        "cr0 0000000000000011",
        "cs 0008 base 0 limit ffffffff",
        "backtrace #0 0x100000\n",
        "#1 0x90909090\n",
        "it ends there: there is no memory at 0x90909090\n",
        "vcpu1 off at 0x0\n",
    ] {
        assert!(all.contains(expected), "{expected:?} is missing from\n{all}");
    }
    let raw = ask(&mut world, "events raw");
    for expected in [
        " web-1 crashed crashed on vcpu0 at 0x100000: triple fault\nvcpu 0\ncode 32 90 ",
        "\nregister r15 0xc8\n",
        "\nframe 0 0x100000\nframe 1 0x90909090\nother 1 off 0x0\nlost 0\nend\n",
    ] {
        assert!(raw.contains(expected), "{expected:?} is missing from\n{raw}");
    }
    assert_eq!(raw, ask(&mut world, "events web-1 raw"));

    // It is told once, and what follows it comes behind it.
    ask(&mut world, "stop web-1");
    let told = told(&ask(&mut world, "events web-1"));
    assert_eq!(told.iter().filter(|line| line.contains("triple fault")).count(), 1, "{told:?}");
    assert_eq!(told.last().map(String::as_str), Some("stopped: the operator stopped it"));
}

#[test]
fn the_oldest_events_go_and_that_is_said() {
    let mut world = ready(None);
    ask(&mut world, "start web-1");
    for _ in 0..32 {
        ask(&mut world, "pause web-1");
        ask(&mut world, "resume web-1");
    }
    // What changes nothing is no event.
    ask(&mut world, "resume web-1");
    let table = ask(&mut world, "events");
    let mut lines = table.lines();
    assert_eq!(lines.next(), Some("  2 older events of this host are not kept any more"));
    assert_eq!(lines.clone().count(), 64);
    for (line, what) in lines.zip(["paused", "resumed"].into_iter().cycle()) {
        assert!(line.ends_with(&format!(" web-1            {what}")), "{line}");
    }
    assert!(ask(&mut world, "events web-1 raw").ends_with(" web-1 resumed resumed\nlost 2\nend\n"));
    let unknown = ask(&mut world, "events web-2");
    assert_eq!(unknown, "there is no guest called \"web-2\": did you mean \"web-1\"?\n");
}

#[test]
fn a_guest_that_cannot_start_is_told_of_with_the_reason() {
    let machine = FakeMachine::new(2);
    let module = Some(bundle_with(Processors::default()));
    // No virtual CPU can be made.
    let mut world = Setup { machine, memory_mib: 64, module, ..Setup::default() }.ready();
    ask(&mut world, "start web-1");
    let told = told(&ask(&mut world, "events"));
    let last = told.last().expect("something happened");
    assert!(last.starts_with("web-1 did not start: "), "{told:?}");
}
