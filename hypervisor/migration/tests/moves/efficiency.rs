//! What a move costs on the wire: all Ethernet bytes both ways against the bytes of frames that are not zero.

use godwit_guest::GuestFrame;
use godwit_migration::SourcePhase;
use godwit_wire::Region;

use crate::guest::{Ram, offer};
use crate::random::Random;
use crate::world::{GOOD, Plan, World};

const FRAMES: u64 = 2048;

/// All bytes / bytes of non-zero frames, for a guest whose frame `n` is filled where `is_filled(n)`.
fn efficiency(plan: Plan, mut is_filled: impl FnMut(u64) -> bool) -> f64 {
    let regions = vec![Region { start: GuestFrame(0), frames: FRAMES }];
    let ram = Ram::new(&regions);
    (0..FRAMES).filter(|&frame| is_filled(frame)).for_each(|frame| ram.fill(frame, frame));
    let mut world = World::new(Random(1), plan, offer(regions), ram);
    world.run();
    assert_eq!(world.source_phase(), Some(SourcePhase::Done));
    let traffic = world.network.traffic;
    let filled_bytes = world.source_ram.written().len() as f64 * 4096.0;
    (traffic.datagram_bytes + traffic.stream_bytes) as f64 / filled_bytes
}

fn jumbo() -> Plan {
    Plan { datagram_bytes: [9000 - 28; 2], ..GOOD }
}

#[test]
fn jumbo_frames_cost_at_most_two_percent() {
    let full = efficiency(jumbo(), |_| true);
    let mut random = Random(5);
    let mixed = efficiency(jumbo(), |_| random.percent(50));
    // Files and heaps: some MiB filled, some free, single free frames in between.
    let like_linux = efficiency(jumbo(), |frame| frame / 300 % 2 == 0 && frame % 17 != 0);
    println!("full {full:.4}, every other frame at random {mixed:.4}, like Linux {like_linux:.4}");
    for cost in [full, mixed, like_linux] {
        assert!((1.0..=1.02).contains(&cost), "{cost:.4}");
    }
}

#[test]
fn single_frames_cost_a_header_each() {
    // The worst pattern there is: no two filled frames side by side, so every datagram is half full.
    let cost = efficiency(jumbo(), |frame| frame % 2 == 0);
    println!("checkerboard {cost:.4}");
    assert!((1.02..1.03).contains(&cost), "{cost:.4}");
}

#[test]
fn other_links_cost_what_their_headers_cost() {
    let small = efficiency(Plan { datagram_bytes: [1500 - 28; 2], ..GOOD }, |_| true);
    let large = efficiency(Plan { datagram_bytes: [65535 - 28; 2], ..GOOD }, |_| true);
    println!("MTU 1500 {small:.4}, MTU 65535 {large:.4}");
    assert!((1.05..1.06).contains(&small) && large < 1.005, "{small:.4} {large:.4}");
}
