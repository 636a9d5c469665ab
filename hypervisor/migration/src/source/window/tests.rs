use godwit_guest::GuestAddress;
use godwit_wire::Token;
use godwit_wire::record::WINDOW_WORDS;

use super::*;

fn load(number: u64) -> Load {
    Load::Pages(GuestRange { at: GuestAddress(number * 4096), bytes: 4096 }, 0)
}

fn ack(base: u32, bits: u64) -> Ack {
    let mut arrived = [0; WINDOW_WORDS];
    arrived[0] = bits;
    Ack { sequence: 0, token: Token(0), base, arrived }
}

/// A window with the datagrams 0 to `count` - 1 on the way, one sent each ns.
fn window(count: u64) -> SendWindow {
    let mut window = SendWindow::new(u32::MAX, 8192);
    (0..count).for_each(|number| assert_eq!(window.launch(number, load(number)), Some(number as u32)));
    window
}

#[test]
fn what_arrived_is_settled_once() {
    let mut window = window(4);
    let settled = window.acknowledge(10, &ack(1, 0b10)).unwrap();
    assert_eq!(settled, Settled { datagrams: 2, memory_bytes: 8192, zero_frames: 0 });
    assert_eq!(window.acknowledge(10, &ack(1, 0b10)), Ok(Settled::default()));
    assert_eq!(window.floor(), 1);
    assert_eq!(window.acknowledge(10, &ack(4, 0)).unwrap().datagrams, 2);
    assert!(window.is_settled() && window.floor() == 4 && window.deadline_ns().is_none());
}

#[test]
fn what_three_later_ones_overtook_is_lost_and_no_more() {
    let mut window = window(8);
    window.acknowledge(10, &ack(0, 0b10_0000)).unwrap();
    let lost: alloc::vec::Vec<_> = core::iter::from_fn(|| window.take_lost()).collect();
    assert_eq!(lost, [load(0), load(1), load(2)], "5 arrived: 3 and 4 may be late");
    assert_eq!(window.floor(), 3, "given up below");
    assert_eq!(window.launch(11, lost[0].clone()), Some(8), "again, under a new number");
}

#[test]
fn a_timer_gives_up_the_oldest_alone_and_asks_for_an_answer() {
    let mut window = window(5);
    let deadline_ns = window.deadline_ns().unwrap();
    window.expire(deadline_ns - 1);
    assert!(!window.has_lost() && !window.take_probe());
    window.expire(deadline_ns);
    assert_eq!((window.take_lost(), window.take_lost()), (Some(load(0)), None));
    assert!(window.take_probe() && !window.take_probe());
    assert!(window.deadline_ns().unwrap() > deadline_ns + (deadline_ns >> 1), "the next one is later");
}

#[test]
fn the_window_holds_what_it_may() {
    let mut window = window(512);
    assert!(!window.has_room());
    window.acknowledge(600, &ack(0, 0b1000)).unwrap();
    assert!(window.has_room(), "3 arrived");
    let again = window.take_lost().unwrap();
    assert_eq!(window.launch(601, again), Some(512), "0 goes again");
    assert!(!window.has_room() && window.take_lost().is_none(), "numbers 1 to 512");
    assert_eq!(SendWindow::new(0, 8192).capacity, LEAST_PACKETS);
    assert_eq!(SendWindow::new(100 * 1024, 1024).capacity, 100);
}

#[test]
fn numbers_run_out_instead_of_coming_again() {
    let mut window = SendWindow::new(u32::MAX, 8192);
    window.floor = u32::MAX - 1;
    assert_eq!(window.launch(0, load(0)), Some(u32::MAX - 1));
    assert_eq!(window.launch(0, load(1)), None);
    assert_eq!(window.acknowledge(1, &ack(u32::MAX, 0)).unwrap().datagrams, 1);
}
