//! What a guest stops for and goes on behind, with no device that hears of it.

use crate::{
    fake::FakeMachine,
    moves::bundle,
    world::{Setup, World},
};

fn turn(world: &mut World, times: u32) {
    for _ in 0..times {
        world.turn();
    }
}

#[test]
fn a_guest_that_pauses_or_reads_its_counter_goes_on_and_is_counted() {
    let mut machine = FakeMachine::new(2);
    (machine.runs_guests, machine.guests_pause) = (true, true);
    let mut world = Setup { machine, memory_mib: 64, module: Some(bundle()), ..Setup::default() }.ready();
    world.feed(b"start web-1\r");
    turn(&mut world, 2_000);
    world.output();
    world.feed(b"guest web-1 raw\r");
    turn(&mut world, 100);
    let said = world.output();
    let count = |name: &str| {
        let count = said.lines().find_map(|line| line.strip_prefix(&format!("exits {name} ")));
        count.and_then(|count| count.parse::<u64>().ok()).unwrap_or_else(|| panic!("no exits {name}: {said}"))
    };
    assert!(count("pause") > 10 && count("rdtsc") > 10 && count("port") > 10, "{said}");
    assert_eq!(count("fatal"), 0);
    assert!(said.contains("state running"), "{said}");
}
