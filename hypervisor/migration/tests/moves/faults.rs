//! Moves that go well, and moves that do not: at most one copy runs, and as long as both hosts live and meet again, one does.

use godwit_migration::{DestinationPhase, Failure, SourceEvent, SourcePhase};

use crate::network::{FAIR, MILLISECOND_NS, ROUGH, Side, Weather};
use crate::random::Random;
use crate::world::{GOOD, Plan, World};

const DATAGRAM_BYTES: [u16; 5] = [1472, 8972, 65507, 200, 4128];

fn assert_moved(world: &World, what: &str) {
    assert_eq!(world.source_phase(), Some(SourcePhase::Done), "{what}: {:?}", world.source_events);
    assert_eq!(world.destination_phase(), Some(DestinationPhase::Running), "{what}");
    assert!(world.destination_runs && !world.source_runs);
    let (sent, got) =
        (world.source.as_ref().unwrap().progress(), world.destination.as_ref().unwrap().progress());
    assert_eq!(sent.frames_done, sent.frames_total);
    assert_eq!((got.frames_done, got.frames_total), (sent.frames_total, sent.frames_total));
    assert_eq!(sent.zero_frames, sent.frames_total - world.source_ram.written().len() as u64);
    assert_eq!(got.zero_frames, sent.zero_frames);
}

/// Exactly one copy runs.
fn assert_one(world: &World, what: &str) {
    assert!(
        world.source_runs != world.destination_runs,
        "{what}: {:?} {:?}",
        world.source_phase(),
        world.destination_phase()
    );
}

fn sizes(random: &mut Random) -> [u16; 2] {
    [random.pick(&DATAGRAM_BYTES), random.pick(&DATAGRAM_BYTES)]
}

#[test]
fn guests_move_over_fair_links_without_sending_anything_twice() {
    for seed in 0..150 {
        let datagram_bytes = sizes(&mut Random(seed));
        let mut world = World::random(seed, Plan { datagram_bytes, ..GOOD });
        world.run();
        assert_moved(&world, &format!("seed {seed}"));
        let sent = world.source.as_ref().unwrap().progress();
        assert_eq!(sent.repeated, 0, "seed {seed}");
        assert_eq!(sent.page_bytes, world.source_ram.written().len() as u64 * 4096);
    }
}

#[test]
fn a_guest_on_a_fair_link_waits_for_no_timer() {
    // Six messages and two windows of datagrams, 50 to 100 µs each way; a delayed acknowledgement alone takes 2 ms.
    for seed in 0..50 {
        let mut world = World::random(seed, GOOD);
        while world.source_phase() != Some(SourcePhase::Done) {
            assert!(world.advance());
        }
        assert!(world.now_ns < 2 * MILLISECOND_NS, "seed {seed} took {} ns", world.now_ns);
    }
}

#[test]
fn guests_move_over_rough_links() {
    let mut repeated = 0;
    for seed in 0..200 {
        let mut random = Random(seed);
        let weather = Weather { lost_percent: random.pick(&[1, 10, 30]), ..ROUGH };
        let window_bytes = random.pick(&[1, 100_000, 4 << 20]);
        let plan = Plan { weather, window_bytes, datagram_bytes: sizes(&mut random), ..GOOD };
        let mut world = World::random(seed, plan);
        world.run();
        assert_moved(&world, &format!("seed {seed}"));
        repeated += world.source.as_ref().unwrap().progress().repeated;
    }
    assert!(repeated > 500, "the links were not rough: {repeated}");
}

#[test]
fn a_cut_at_any_step_leaves_one_copy_running() {
    let mut ends = [0; 2];
    for seed in 0..24 {
        for step in 0.. {
            let weather = if seed % 2 == 0 { FAIR } else { ROUGH };
            let mut world = World::random(seed, Plan { weather, ..GOOD });
            world.random = Random(seed << 32 | step);
            if !(0..step).all(|_| world.advance()) {
                break;
            }
            world.cut();
            world.run();
            assert_one(&world, &format!("seed {seed}, cut at step {step}"));
            ends[usize::from(world.destination_runs)] += 1;
        }
    }
    assert!(ends.iter().all(|&count| count > 20), "both ends were reached: {ends:?}");
}

#[test]
fn a_cut_without_a_second_meeting_leaves_at_most_doubt() {
    let mut doubts = 0;
    for seed in 0..24 {
        for step in 0.. {
            let mut world = World::random(seed, Plan { reconnects: false, ..GOOD });
            world.random = Random(seed << 32 | step);
            if !(0..step).all(|_| world.advance()) {
                break;
            }
            world.cut();
            world.run();
            let in_doubt = world.source_phase() == Some(SourcePhase::InDoubt);
            assert!(in_doubt || world.source_runs != world.destination_runs, "seed {seed}, step {step}");
            doubts += u32::from(in_doubt && !world.destination_runs);
            if in_doubt && !world.destination_runs {
                assert_eq!(world.destination_phase(), Some(DestinationPhase::Discarded));
            }
        }
    }
    assert!(doubts > 10, "GO was never lost: {doubts}");
}

#[test]
fn a_crash_at_any_step_leaves_at_most_one_copy_running() {
    for side in [Side::Source, Side::Destination] {
        for seed in 0..12 {
            for step in 0.. {
                let mut world = World::random(seed, GOOD);
                if !(0..step).all(|_| world.advance()) {
                    break;
                }
                let said_go = world.source_phase().is_some_and(|phase| phase >= SourcePhase::Committed);
                world.crash(side);
                world.run();
                let what = format!("seed {seed}, {side:?} crashed at step {step}");
                match side {
                    Side::Source => {
                        let phase = world.destination_phase().unwrap();
                        assert!(said_go || phase == DestinationPhase::Discarded, "{what}");
                        assert_eq!(world.destination_runs, phase == DestinationPhase::Running, "{what}");
                    }
                    Side::Destination => {
                        let phase = world.source_phase().unwrap();
                        assert!(!(said_go && phase == SourcePhase::Resumed), "{what}");
                        assert_eq!(world.source_runs, phase == SourcePhase::Resumed, "{what}");
                    }
                }
            }
        }
    }
}

/// A world whose destination crashes with GO on the way to it.
fn crashed_after_go(plan: Plan) -> World {
    let mut world = World::random(3, plan);
    while world.source_phase() != Some(SourcePhase::Committed) {
        assert!(world.advance());
    }
    world.crash(Side::Destination);
    world
}

#[test]
fn a_destination_that_was_started_again_is_told_apart() {
    let mut world = crashed_after_go(GOOD);
    world.run();
    assert_eq!(world.source_phase(), Some(SourcePhase::InDoubt));
    assert!(world.source_events.contains(&SourceEvent::Forgotten));
}

#[test]
fn either_side_can_call_it_off_before_go_and_not_after() {
    for side in [Side::Source, Side::Destination] {
        for step in 0.. {
            let mut world = World::random(7, GOOD);
            if !(0..step).all(|_| world.advance()) {
                break;
            }
            let was_called_off = world.cancel(side, "maintenance");
            world.run();
            assert_one(&world, &format!("{side:?} at step {step}"));
            if side == Side::Source {
                assert_eq!(world.source_runs, was_called_off, "step {step}");
            } else if was_called_off {
                assert!(world.source_runs, "step {step}");
            }
        }
    }
}

#[test]
fn the_reason_reaches_the_other_side() {
    let mut world = World::random(7, Plan { refuses: true, ..GOOD });
    world.run();
    assert!(world.resumed_because().unwrap().to_string().contains("3 GiB are not free"));
    assert!(!world.source_events.contains(&SourceEvent::Pause), "a guest that is refused never stops");

    let mut world = World::random(7, Plan { restores: false, ..GOOD });
    world.run();
    assert!(world.resumed_because().unwrap().to_string().contains("no such device"));
    assert!(matches!(world.discarded_because(), Some(Failure::Restore(_))));

    let mut world = World::random(7, Plan { starts: false, ..GOOD });
    world.run();
    assert!(world.source_runs && world.resumed_because().unwrap().to_string().contains("no CPU"));
}

#[test]
fn a_link_that_passes_no_datagram_ends_the_move() {
    let weather = Weather { lost_percent: 100, ..FAIR };
    let mut world = World::random(7, Plan { weather, ..GOOD });
    world.run();
    assert!(world.source_runs);
    assert!(matches!(world.resumed_because(), Some(Failure::Silence { waiting_for: "an acknowledgement" })));
}

#[test]
fn a_link_too_small_for_records_is_refused_before_the_guest_stops() {
    let mut world = World::random(7, Plan { datagram_bytes: [8972, 95], ..GOOD });
    world.run();
    assert!(world.source_runs && !world.source_events.contains(&SourceEvent::Pause));
    assert!(matches!(world.resumed_because(), Some(Failure::LinkTooSmall { datagram_bytes: 95 })));
}

#[test]
fn state_of_any_length_within_bounds_moves() {
    for state_bytes in [1, 64 << 10, (64 << 10) + 1, 1 << 20] {
        let mut world = World::random(1, Plan { state_bytes, ..GOOD });
        world.run();
        assert_moved(&world, "state");
    }
    for state_bytes in [0, (1 << 20) + 1] {
        let mut world = World::random(1, Plan { state_bytes, ..GOOD });
        world.run();
        assert!(matches!(world.resumed_because(), Some(Failure::StateLength)));
        assert!(world.source_runs);
    }
}

#[test]
fn a_person_can_end_doubt() {
    let mut world = crashed_after_go(Plan { reconnects: false, ..GOOD });
    assert!(world.force_resume().is_err(), "there is no doubt yet");
    world.run();
    assert_eq!(world.source_phase(), Some(SourcePhase::InDoubt));
    assert!(!world.cancel(Side::Source, "please"), "only a decision ends doubt");
    assert_eq!(world.force_resume(), Ok(()));
    assert!(world.source_runs && world.resumed_because() == Some(&Failure::Forced));
}
