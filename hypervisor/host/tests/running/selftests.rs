//! Self-tests pass on a good machine and fail on one that is wrong in just the way that they look for.

use godwit_frames::{FrameRange, HostFrame, Mobility, Order};
use godwit_host::{
    description::{CpuState, Virtualization},
    machine::{CpuNumber, Mail},
};

use crate::{
    fake::{Clock, FakeMachine, Randomness},
    world::{Setup, World},
};

fn ready() -> World {
    Setup { machine: FakeMachine::new(4), ..Setup::default() }.ready()
}

#[test]
fn all_pass_on_a_good_machine() {
    let mut machine = FakeMachine::new(4);
    machine.description.virtualization = Virtualization::Missing("it is only pretended");
    let mut world = Setup { machine, ..Setup::default() }.ready();
    let output = world.command("selftest all");
    let lines: Vec<_> = output.lines().collect();
    assert_eq!(lines.len(), 7, "{output}");
    for (line, name) in lines.iter().zip(["frames", "clock", "random", "mailbox", "heap", "vcpu"]) {
        assert!(line.starts_with(&format!("selftest {name}: passed (")), "{output}");
    }
    assert_eq!(lines[6], "selftest all: 6 passed, 0 failed");
    assert!(world.machine.state().provoked.is_empty(), "no fault is raised by all");
}

#[test]
fn the_list_names_every_test() {
    let list = ready().command("selftest");
    for test in &godwit_host::selftest::SELFTESTS {
        let names = list.lines().filter(|line| line.split_whitespace().next() == Some(test.name)).count();
        assert_eq!(names, 1, "{} in\n{list}", test.name);
    }
}

#[test]
fn the_clock_test_notices_a_wrong_clock() {
    for (clock, why) in [
        (Clock::Stuck, "the clock stood still over 10000 readings"),
        (Clock::Wavering, "ns before the one before it"),
        (Clock::Oversleeping, "a sleep of 5000 us took 3600005"),
    ] {
        let mut world = ready();
        world.machine.state().clock = clock;
        let output = world.command("selftest clock");
        assert!(output.starts_with("selftest clock: failed: ") && output.contains(why), "{output}");
    }
}

#[test]
fn the_random_test_notices_a_wrong_generator() {
    for (randomness, verdict) in [
        (Randomness::Good, "passed (1024 bytes, no block twice, "),
        (Randomness::Missing, "passed (this machine has no hardware randomness, and says so)"),
        (Randomness::Stuck, "failed: a block of 16 bytes came twice among 64"),
        (Randomness::Skewed, "of 8192 bits are ones"),
        (Randomness::Nameless, "failed: there is randomness but no incarnation was drawn from it"),
    ] {
        let mut world = ready();
        world.machine.state().randomness = randomness;
        let output = world.command("selftest random");
        assert!(output.contains(verdict), "{output}");
    }
}

#[test]
fn the_mailbox_test_notices_a_cpu_that_does_not_answer() {
    // CPU 2 is said to run when the test begins, but nobody turns its loop.
    let mut machine = FakeMachine::new(3);
    machine.description.cpus[2].state = CpuState::Silent;
    let mut world = Setup { machine, ..Setup::default() }.ready();
    assert!(
        world
            .command("selftest mailbox")
            .starts_with("selftest mailbox: passed (2 CPUs answered, the slowest in ")
    );

    let mut world = Setup { machine: FakeMachine::new(3), ..Setup::default() }.build();
    world.lose_cpu(2);
    world.run();
    world.output();
    world.feed(b"selftest mailbox\r");
    let mut output = String::new();
    for _ in 0..100 {
        world.turn();
        world.machine.state().mailboxes[2].clear();
        // An answer to an earlier question is none to this one.
        world.deliver(0, Mail::Pong { from: CpuNumber(2), number: 0 });
        output += &world.output();
    }
    assert!(output.contains("selftest mailbox: failed: no answer within 5 s from cpu2\n"), "{output}");
}

#[test]
fn the_mailbox_test_waits_for_room_in_a_full_mailbox() {
    let mut world = ready();
    world.machine.state().mailbox_size = 1;
    assert!(world.command("selftest mailbox").starts_with("selftest mailbox: passed (4 CPUs answered"));
}

#[test]
fn the_frames_test_leaves_everything_as_it_was() {
    let mut world = ready();
    let before = world.frames.report();
    assert!(world.command("selftest frames").starts_with("selftest frames: passed (2048 operations, "));
    assert_eq!(world.frames.report(), before);
}

#[test]
fn the_frames_test_notices_frames_that_do_not_come_back() {
    let mut world = ready();
    world.feed(b"selftest frames\r");
    // Frames disappear while the test runs.
    let mut thief = world.frames.cpu();
    let mut lost = Vec::new();
    for _ in 0..12 {
        world.turn();
        lost.push(thief.allocate(Order::FRAME, Mobility::Unmovable).unwrap());
        thief.drain();
    }
    world.run();
    assert!(world.output().contains("selftest frames: failed: 654"), "the free frames before are named");
}

#[test]
fn the_frames_test_passes_where_hardly_anything_is_free() {
    let mut world = Setup { memory_mib: 16, ..Setup::default() }.ready();
    let mut cpu = world.frames.cpu();
    let taken = cpu.allocate_at(FrameRange::new(HostFrame::new(256), 3500), Mobility::Movable).unwrap();
    let output = world.command("selftest frames");
    assert!(output.starts_with("selftest frames: passed ("), "{output}");
    cpu.free(taken).unwrap();
}

#[test]
fn the_vcpu_test_fails_where_guests_should_run_and_do_not() {
    let output = ready().command("selftest vcpu");
    assert_eq!(output, "selftest vcpu: failed: no virtual CPU: this machine is only pretended\n");
}

#[test]
fn the_vcpu_test_says_why_there_is_nothing_to_test() {
    let mut machine = FakeMachine::new(1);
    machine.description.virtualization = Virtualization::Missing("the firmware disabled SVM");
    let mut world = Setup { machine, ..Setup::default() }.ready();
    let output = world.command("selftest vcpu");
    assert_eq!(output, "selftest vcpu: passed (nothing to test: the firmware disabled SVM)\n");
}
