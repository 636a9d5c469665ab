//! Spoiled bytes: nothing that arrived different ever runs.

use godwit_migration::{DestinationPhase, Failure};

use crate::network::Weather;
use crate::random::Random;
use crate::world::{GOOD, Plan, World};

#[test]
fn one_wrong_bit_in_one_frame_is_found_and_the_source_resumes() {
    let mut spoiled = 0;
    for seed in 0..200 {
        let mut random = Random(seed ^ 0xf11b);
        let datagram_bytes = [random.pick(&[1472, 8972, 65507]); 2];
        let flip = (random.below(20), random.next() as usize);
        let mut world = World::random(seed, Plan { datagram_bytes, flip: Some(flip), ..GOOD });
        world.run();
        if world.page_records > flip.0 {
            spoiled += 1;
            assert_eq!(world.discarded_because(), Some(&Failure::RootDiffers), "seed {seed}");
            assert!(world.source_runs, "seed {seed}");
            assert_eq!(world.destination_phase(), Some(DestinationPhase::Discarded));
        } else {
            assert!(world.destination_runs, "seed {seed}");
        }
    }
    assert!(spoiled > 100, "only {spoiled} moves had that many records");
}

#[test]
fn noise_on_the_page_port_changes_nothing() {
    for seed in 0..100 {
        let plan = Plan { weather: Weather { lost_percent: 5, ..crate::network::FAIR }, ..GOOD };
        let mut world = World::random(seed, plan);
        let mut noise = Random(seed);
        while world.advance() {
            // Short, long, and with the magic of a record but of another move.
            let mut bytes: Vec<u8> = (0..noise.below(200)).map(|_| noise.next() as u8).collect();
            if noise.percent(50) {
                bytes.splice(0..bytes.len().min(4), [b'g', b'w', 0, noise.below(4) as u8]);
            }
            world.noise(&bytes);
        }
        assert!(world.destination_runs, "seed {seed}: {:?}", world.discarded_because());
    }
}

#[test]
fn spoiled_records_never_lead_to_a_different_guest() {
    // `World` compares both memories when the guest starts: here only the headers' and bodies' bytes change under way.
    let mut ends = [0; 2];
    for seed in 0..300 {
        let mut world = World::random(seed, GOOD);
        world.network.spoil_percent = 3;
        world.run();
        assert!(world.source_runs != world.destination_runs, "seed {seed}");
        ends[usize::from(world.destination_runs)] += 1;
    }
    assert!(ends.iter().all(|&count| count > 20), "{ends:?}");
}
