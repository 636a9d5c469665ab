//! CPUs answer each other, also where mailboxes are full.

use std::time::Duration;

use godwit_frames::{Mobility, Order};
use godwit_host::{
    CpuLoop,
    machine::{CpuNumber, Instant, Mail},
};

use crate::{fake::FakeMachine, world::Setup};

fn pong(from: u16, number: u32) -> Mail {
    Mail::Pong { from: CpuNumber(from), number }
}

#[test]
fn a_question_is_answered_with_its_number() {
    let mut world = Setup { machine: FakeMachine::new(3), ..Setup::default() }.ready();
    world.deliver(1, Mail::Ping { from: CpuNumber(2), number: 77 });
    world.deliver(0, Mail::DrainFrames { from: CpuNumber(2), number: 78 });
    world.machine.state().cpu = 0;
    world.host.turn();
    let answers = world.machine.state().mailboxes[2].clone();
    assert_eq!(answers, [pong(0, 78)]);
    world.run();
    assert!(world.machine.state().mailboxes.iter().all(|mailbox| mailbox.is_empty()));
}

#[test]
fn a_cpu_gives_the_frames_at_hand_back_before_it_sleeps() {
    let world = Setup::default().build();
    let mut cpu = CpuLoop::new(world.machine, world.frames, world.guests);
    let run = cpu.frames().allocate(Order::FRAME, Mobility::Movable).unwrap();
    assert!(world.frames.report().cached_frames_at_most > 0, "something is at hand");
    cpu.turn();
    let report = world.frames.report();
    assert_eq!((report.used_frames(), report.cached_frames_at_most), (1, 0));
    cpu.frames().free(run).unwrap();
}

#[test]
fn an_answer_waits_for_room_in_a_full_mailbox() {
    let world = Setup::default().build();
    let mut cpu = CpuLoop::new(world.machine, world.frames, world.guests);
    {
        let mut state = world.machine.state();
        state.mailbox_size = 1;
        state.mailboxes[1].push_back(pong(0, 1));
        state.mailboxes[0].push_back(Mail::Ping { from: CpuNumber(1), number: 9 });
    }
    cpu.turn();
    assert_eq!(world.machine.state().mailboxes[1], [pong(0, 1)]);
    let (before, wake) = (Instant::from_nanoseconds(1_000_000_000), world.machine.state().deadlines[0]);
    assert!(
        wake.is_some_and(|wake| wake.since(before) < Duration::from_millis(2)),
        "it tries again soon: {wake:?}"
    );
    world.machine.state().mailboxes[1].clear();
    cpu.turn();
    assert_eq!(world.machine.state().mailboxes[1], [pong(0, 9)]);
}

#[test]
fn answers_to_nobody_and_endless_questions_do_not_hold_a_cpu_up() {
    let mut world = Setup::default().ready();
    for number in 0..1000 {
        world.deliver(0, pong(63, number));
        world.deliver(0, pong(200, number));
        world.deliver(0, Mail::Ping { from: CpuNumber(999), number });
    }
    world.feed(b"log\r");
    for _ in 0..100 {
        world.turn();
    }
    assert!(world.output().contains("log level is "));
    assert!(world.machine.state().mailboxes[0].is_empty());
}
