//! `fragment` and `defragment`: as much as asked, the same each time, and all of it undone.

use godwit_frames::{BlockState, Mobility, Report};
use proptest::prelude::*;

use crate::world::{Setup, World};

fn of(memory_mib: u64) -> World {
    Setup { memory_mib, ..Setup::default() }.ready()
}

/// Each block as its state and class, for comparison.
fn picture(world: &World) -> Vec<(u64, u16, Option<Mobility>)> {
    let class = |view: &godwit_frames::BlockView| {
        matches!(view.state(), BlockState::Partial | BlockState::Full).then_some(view.mobility)
    };
    world.frames.blocks().map(|view| (view.start.number(), view.free_frames, class(&view))).collect()
}

#[test]
fn the_same_seed_makes_the_same_picture_and_another_seed_another() {
    let pictures: Vec<_> = [7, 7, 8]
        .map(|seed| {
            let mut world = of(512);
            world.command(&format!("fragment 50 {seed}"));
            picture(&world)
        })
        .into();
    assert_eq!(pictures[0], pictures[1]);
    assert_ne!(pictures[0], pictures[2]);
}

#[test]
fn again_after_undoing_it_is_the_same_again() {
    let mut world = of(512);
    world.command("fragment 50 7");
    let first = picture(&world);
    world.command("defragment");
    world.command("fragment 50 7");
    assert_eq!(picture(&world), first);
}

#[test]
fn both_classes_are_there_in_their_shares() {
    let mut world = of(2048);
    world.command("fragment 80 3");
    let broken: Vec<_> = picture(&world).into_iter().filter_map(|(_, _, class)| class).collect();
    let unmovable = broken.iter().filter(|class| **class == Mobility::Unmovable).count();
    assert_eq!(broken.len(), (1023 * 80_usize).div_ceil(100));
    assert!((broken.len() / 6..broken.len() / 3).contains(&unmovable), "{unmovable} of {}", broken.len());
}

#[test]
fn memory_is_not_fragmented_twice() {
    let mut world = of(64);
    assert_eq!(world.command("fragment"), "memory is not fragmented on purpose\n");
    world.command("fragment 50 7");
    assert!(world.command("fragment").starts_with("memory is fragmented 50 % with seed 7: "));
    let before = picture(&world);
    assert_eq!(
        world.command("fragment 60 8"),
        "memory is fragmented already, 50 % with seed 7: \"defragment\" first\n"
    );
    assert_eq!(picture(&world), before);
}

#[test]
fn only_free_blocks_are_broken_up() {
    let mut world = of(64);
    let mut cpu = world.frames.cpu();
    let guest = cpu.allocate(godwit_frames::Order::new(12).unwrap(), Mobility::Movable).unwrap();
    let blocks_of_guest = guest.start().number()..guest.start().number() + guest.frames();
    let output = world.command("fragment 100 1");
    assert!(
        output.starts_with("fragmented 100 % with seed 1: 23 of 23 free 2 MiB blocks broken up by "),
        "{output}"
    );
    for (start, free, _) in picture(&world) {
        assert_eq!(blocks_of_guest.contains(&start), free == 0, "block at frame {start}");
    }
    cpu.free(guest).unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn as_much_as_asked_and_all_of_it_undone(percent in 1u64..=100, seed: u64, memory_mib in 3u64..300) {
        let mut world = of(memory_mib);
        let before: Report = world.frames.report();
        world.command(&format!("fragment {percent} {seed}"));
        let after = world.frames.report();
        let broken = (before.free_2m_runs() * percent).div_ceil(100);
        prop_assert_eq!(after.free_2m_runs(), before.free_2m_runs() - broken);
        prop_assert!((broken..=4 * broken).contains(&after.used_frames()), "{} frames", after.used_frames());
        world.command("defragment");
        prop_assert_eq!(world.frames.report(), before);
    }
}
