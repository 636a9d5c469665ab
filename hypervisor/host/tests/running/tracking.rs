//! Which frames a running guest writes: none is missed, and tracking leaves nothing behind.

use std::collections::BTreeSet;

use godwit_guest::{
    bundle::Builder,
    description::{CommandLine, GuestDescription, GuestName, PagePolicy, Processors, VcpuCount},
};
use godwit_host::split_mix::SplitMix64;

use crate::{
    fake::FakeMachine,
    moves::kernel,
    world::{Setup, World},
    writer::{Act, Plan},
};

/// Turns after which a guest that did not do all it should is broken.
const MOST_TURNS: u32 = 20_000;
/// Frames of the guest.
const FRAMES: u64 = 2048;
/// Frames of a 2 MiB leaf.
const BLOCK: u64 = 512;

/// A host on whose CPUs the guest `web-1` runs.
struct Bed {
    world: World,
    plan: Plan,
    free: u64,
}

impl Bed {
    fn new(vcpus: u64, pages: PagePolicy) -> Self {
        let plan = Plan::default();
        let mut machine = FakeMachine::new(2);
        machine.runs_guests = true;
        machine.guest_writes = Some(plan.clone());
        let mut builder = Builder::new();
        let kernel = builder.file("kernel", kernel()).unwrap();
        let description = GuestDescription {
            name: GuestName::new("web-1").unwrap(),
            memory_bytes: FRAMES << 12,
            command_line: CommandLine::default(),
            pages,
            autostart: false,
            processors: Processors { count: VcpuCount::new(vcpus).unwrap(), ..Processors::default() },
            trust_domain: None,
            tsc_hz: None,
        };
        builder.guest(description, kernel, None).unwrap();
        let module = Some(builder.build().unwrap());
        let mut world = Setup { machine, memory_mib: 64, module, ..Setup::default() }.ready();
        let free = world.frames.report().free_frames;
        let said = ask(&mut world, "start web-1");
        assert!(said.contains("web-1 runs"), "{said}");
        Self { world, plan, free }
    }

    fn ask(&mut self, command: &str) -> String {
        ask(&mut self.world, command)
    }

    /// Lets the guest do all of this.
    fn act(&mut self, acts: impl IntoIterator<Item = Act>) {
        self.plan.lock().unwrap().extend(acts);
        for _ in 0..MOST_TURNS {
            if self.plan.lock().unwrap().is_empty() {
                return;
            }
            self.world.turn();
        }
        panic!("the guest does not go on: {}", self.ask("guest web-1"));
    }

    fn write(&mut self, frames: impl IntoIterator<Item = u64>) {
        self.act(frames.into_iter().map(Act::Write));
    }

    /// The frames that the host says were written since the last look.
    fn written(&mut self) -> BTreeSet<u64> {
        let said = self.ask("tracking web-1 raw");
        let mut frames = BTreeSet::new();
        for line in said.lines().filter_map(|line| line.strip_prefix("written ")) {
            let (start, count) = line.split_once(' ').unwrap();
            let (start, count): (u64, u64) = (start.parse().unwrap(), count.parse().unwrap());
            assert!((start..start + count).all(|frame| frames.insert(frame)), "named twice: {said}");
        }
        assert!(said.contains(&format!("\nframes {}\nend\n", frames.len())), "{said}");
        frames
    }

    /// What is said of the guest's mapping.
    fn leaves(&mut self) -> Vec<String> {
        let said = self.ask("guest web-1 raw");
        let tells = |line: &&str| ["leaves ", "stretch ", "tables "].iter().any(|key| line.starts_with(key));
        said.lines().filter(tells).map(String::from).collect()
    }
}

/// Enters a command, and lets the host answer while its guests run.
fn ask(world: &mut World, command: &str) -> String {
    world.output();
    world.feed(format!("{command}\r").as_bytes());
    let mut said = String::new();
    for _ in 0..MOST_TURNS {
        world.turn();
        said += &world.output();
        if said.ends_with("lab-a> ") {
            return said;
        }
    }
    panic!("no answer to \"{command}\": {said}");
}

#[test]
fn every_frame_that_the_guest_writes_is_found_and_no_other() {
    for vcpus in [1, 2] {
        let mut bed = Bed::new(vcpus, PagePolicy::Largest);
        let before = bed.leaves();
        // All of it is marked and remembered already.
        bed.write(0..FRAMES);
        bed.ask("tracking web-1 on");
        assert_eq!(bed.written(), BTreeSet::new(), "nothing was written since");
        let mut random = SplitMix64::new(5);
        let mut blocks = BTreeSet::new();
        for round in 0..20 {
            // The last block stays alone.
            let count = random.next_u64() % 40;
            let frames: BTreeSet<u64> = (0..count).map(|_| random.next_u64() % (FRAMES - BLOCK)).collect();
            blocks.extend(frames.iter().map(|frame| frame / BLOCK));
            // Some are written twice, also by the other CPU.
            bed.write(frames.iter().chain(frames.iter().step_by(3)).copied());
            assert_eq!(bed.written(), frames, "round {round}, {vcpus} virtual CPUs");
        }
        let split = bed.leaves();
        assert_eq!(
            split[2..4],
            [format!("leaves 0 {}", blocks.len() as u64 * BLOCK), format!("tables {}", 3 + blocks.len())]
        );
        assert_eq!(split[1], format!("leaves 9 {}", 4 - blocks.len()), "{split:?}");
        let said = bed.ask("tracking web-1 off");
        assert!(said.contains("not tracked any more"), "{said}");
        assert_eq!(bed.leaves(), before, "the leaves are as before");
        bed.write(0..FRAMES);
        bed.ask("stop web-1");
        assert_eq!(bed.world.frames.report().free_frames, bed.free, "frames are lost");
    }
}

#[test]
fn a_write_by_the_host_is_found() {
    let mut bed = Bed::new(1, PagePolicy::Largest);
    bed.ask("tracking web-1 on");
    bed.act([Act::AskForClock(700), Act::Write(3)]);
    assert_eq!(bed.written(), BTreeSet::from([3, 700]));
    assert_eq!(bed.written(), BTreeSet::new());
}

#[test]
fn the_first_write_to_a_large_leaf_is_the_only_one_that_faults() {
    let mut bed = Bed::new(1, PagePolicy::Largest);
    bed.ask("tracking web-1 on");
    for _ in 0..3 {
        bed.write(BLOCK..2 * BLOCK);
        assert_eq!(bed.written(), (BLOCK..2 * BLOCK).collect());
    }
    let said = bed.ask("guest web-1 raw");
    assert!(said.contains("\nexits nested-fault 1\n"), "{said}");
}

#[test]
fn small_leaves_are_tracked_as_well() {
    let mut bed = Bed::new(2, PagePolicy::FourKib);
    let before = bed.leaves();
    bed.write(0..FRAMES);
    bed.ask("tracking web-1 on");
    bed.write([0, 1, 511, 512, 2047]);
    assert_eq!(bed.written(), BTreeSet::from([0, 1, 511, 512, 2047]));
    bed.ask("tracking web-1 off");
    assert_eq!(bed.leaves(), before);
}

#[test]
fn tracking_can_be_asked_for_in_any_order_and_the_guest_goes_on() {
    let mut bed = Bed::new(1, PagePolicy::Largest);
    for (command, part) in [
        ("tracking web-1", "web-1: its writes are not tracked"),
        ("tracking web-1 off", "web-1: its writes are not tracked"),
        ("tracking web-1 on", "the writes of web-1 are tracked from now on"),
        ("tracking web-1 on", "web-1: its writes are tracked already"),
        ("tracking web-1", "0 frames of web-1 were written since the last look, 0 B"),
        ("tracking wbe-1", "did you mean \"web-1\"?"),
        ("tracking", "expected \"tracking NAME [on|off]\""),
        ("tracking web-1 maybe", "expected \"tracking NAME [on|off]\""),
    ] {
        let said = bed.ask(command);
        assert!(said.contains(part), "\"{command}\" says {said}");
    }
    bed.write([17, 18, 40]);
    let said = bed.ask("tracking web-1");
    assert!(said.contains("  0x11000 to 0x12fff, 8 KiB\n  0x28000 to 0x28fff, 4 KiB\n"), "{said}");
    bed.ask("stop web-1");
    let said = bed.ask("tracking web-1");
    assert!(said.contains("web-1 does not run here"), "{said}");
    assert_eq!(bed.world.frames.report().free_frames, bed.free, "stopped while it was tracked");
}

#[test]
fn without_memory_for_tables_nothing_is_tracked_and_nothing_else_happens() {
    let mut bed = Bed::new(1, PagePolicy::Largest);
    let before = bed.leaves();
    let mut frames = bed.world.frames.cpu();
    let mut taken = Vec::new();
    while let Ok(run) = frames.allocate(godwit_frames::Order::FRAME, godwit_frames::Mobility::Movable) {
        taken.push(run);
    }
    // Four leaves, and memory for three tables.
    taken.drain(..3).for_each(|run| frames.free(run).unwrap());
    frames.drain();
    let free = bed.world.frames.report().free_frames;
    let said = bed.ask("tracking web-1 on");
    assert!(said.contains("web-1: no memory is left for 4 nested page tables"), "{said}");
    assert_eq!((bed.leaves(), bed.world.frames.report().free_frames), (before, free));
    bed.write(0..FRAMES);
    taken.into_iter().for_each(|run| frames.free(run).unwrap());
    frames.drain();
    bed.ask("tracking web-1 on");
    bed.write([9]);
    assert_eq!(bed.written(), BTreeSet::from([9]));
}
