//! Nothing of what one guest left comes to the next.

use std::collections::HashSet;

use godwit_frames::{FRAME_BYTES, FrameRun, Mobility, Order};
use godwit_host::machine::HostMemory;

use crate::{
    moves::{NORTH, Pair, SOUTH},
    world::World,
};

/// What guests before have written all over their memory.
const SECRET: u64 = 0x5ec2_e7a5_5ec2_e7a5;

/// Every free frame of a host.
fn take_all(world: &World) -> Vec<FrameRun> {
    let mut frames = world.frames.cpu();
    std::iter::from_fn(|| frames.allocate(Order::FRAME, Mobility::Movable).ok()).collect()
}

fn give_back(world: &World, runs: Vec<FrameRun>) {
    let mut frames = world.frames.cpu();
    for run in runs {
        frames.free(run).expect("the run was allocated");
    }
    frames.drain();
}

/// Writes the secret over every free frame, as guests that are gone could have.
fn write_secrets(world: &World) {
    let runs = take_all(world);
    let page = SECRET.to_le_bytes().repeat(FRAME_BYTES as usize / 8);
    for run in &runs {
        world.machine.memory.write(run, 0, &page).expect("a frame");
    }
    give_back(world, runs);
}

/// Frames that are in use and still hold the secret, wherever the guest or its tables have them.
fn secrets_in_use(world: &World) -> Vec<u64> {
    let runs = take_all(world);
    let free: HashSet<u64> = runs.iter().map(|run| run.start().number()).collect();
    give_back(world, runs);
    let secret = world.machine.memory.frames_with(SECRET);
    assert!(!secret.is_empty(), "the secret is still in free frames: nobody erased it for this test");
    secret.into_iter().filter(|frame| !free.contains(frame)).collect()
}

#[test]
fn a_guest_that_starts_finds_nothing_of_those_before() {
    let mut pair = Pair::new();
    pair.ask(NORTH, "stop web-1");
    write_secrets(&pair.worlds[NORTH]);
    let before = pair.worlds[NORTH].frames.report().free_frames;
    let said = pair.ask(NORTH, "start web-1");
    assert!(said.contains("web-1 runs"), "{said}");
    let taken = before - pair.worlds[NORTH].frames.report().free_frames;
    assert!(taken > 2048, "8 MiB and its tables: {taken} frames");
    assert_eq!(secrets_in_use(&pair.worlds[NORTH]), []);
}

#[test]
fn a_guest_that_arrives_finds_nothing_of_those_before() {
    let mut pair = Pair::new();
    write_secrets(&pair.worlds[SOUTH]);
    let said = pair.ask(NORTH, "send web-1 south");
    assert!(said.contains("web-1 runs on south: "), "{said}");
    assert_eq!(secrets_in_use(&pair.worlds[SOUTH]), []);
}

#[test]
fn a_cpu_that_goes_to_another_guest_forgets_the_last() {
    let mut pair = Pair::new();
    let forgotten = |pair: &Pair| pair.worlds[NORTH].machine.state().forgotten.iter().sum::<u32>();
    assert_eq!(forgotten(&pair), 1, "whatever ran before the first guest");
    for _ in 0..3 {
        pair.ask(NORTH, "guests");
    }
    assert_eq!(forgotten(&pair), 1, "the same guest goes on");
    pair.ask(NORTH, "stop web-1");
    assert_eq!(forgotten(&pair), 1, "nobody follows yet");
    pair.ask(NORTH, "start web-1");
    assert_eq!(forgotten(&pair), 2, "a guest of the same name is another one");
}
