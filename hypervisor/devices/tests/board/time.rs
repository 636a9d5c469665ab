//! Time as the CPUs of one guest read it, one after the other (Linux, `Documentation/virt/kvm/x86/msr.rst`).

use godwit_devices::{Board, BoardConfig, GuestTime, Now};
use godwit_guest::{GuestAddress, GuestMemory};
use proptest::prelude::*;

use crate::drive::CONFIG;
use crate::guest::{Guest, cpu};

const SYSTEM_TIME: u32 = 0x4b56_4d01;
const CPUS: usize = 4;

fn page_of(index: usize) -> u64 {
    0x1000 + 0x40 * index as u64
}

fn bytes<const N: usize>(guest: &Guest, at: u64) -> [u8; N] {
    let mut bytes = [0; N];
    guest.memory.read(GuestAddress(at), &mut bytes).expect("there is memory");
    bytes
}

/// What a CPU computes from its page at `tsc`.
fn read_time(guest: &Guest, index: usize, tsc: u64) -> u64 {
    let page = page_of(index);
    assert_eq!(u32::from_le_bytes(bytes(guest, page)) % 2, 0, "the page is being written");
    let ticks = tsc - u64::from_le_bytes(bytes(guest, page + 8));
    let [shift] = bytes(guest, page + 28);
    let shift = shift as i8;
    let ticks = if shift < 0 { ticks >> -shift } else { ticks << shift };
    let multiplier = u32::from_le_bytes(bytes(guest, page + 24));
    u64::from_le_bytes(bytes(guest, page + 16)) + ((u128::from(ticks) * u128::from(multiplier)) >> 32) as u64
}

fn flags(guest: &Guest, index: usize) -> u8 {
    let [flags] = bytes(guest, page_of(index) + 29);
    flags
}

#[test]
fn all_pages_say_the_same() {
    let mut guest = Guest::new(4);
    guest.advance(1_000_000);
    assert!(guest.write_msr(0, SYSTEM_TIME, page_of(0) | 1));
    // Whatever the host's clock says by then, and however little the two clocks agree.
    for (index, later) in [(2, 777_777_777), (1, 1), (3, 3_000_000_001)] {
        guest.advance(later);
        guest.now.time = guest.now.time.after(12_345);
        assert!(guest.write_msr(index, SYSTEM_TIME, page_of(index) | 1));
        assert_eq!(bytes::<22>(&guest, page_of(index) + 8), bytes::<22>(&guest, page_of(0) + 8));
        assert_eq!(flags(&guest, index), 0x01, "the TSC is stable");
    }
    assert_eq!(guest.read_msr(2, SYSTEM_TIME), Some(page_of(2) | 1), "the register is the CPU's own");
    assert_eq!(
        (guest.read_msr(0, 0x12), guest.read_msr(3, 0x12)),
        (Some(page_of(0) | 1), Some(page_of(3) | 1))
    );
}

#[test]
fn a_pause_rewrites_every_page_and_no_other() {
    let mut guest = Guest::new(4);
    for index in [0, 1, 3] {
        assert!(guest.write_msr(index, SYSTEM_TIME, page_of(index) | 1));
    }
    assert!(guest.write_msr(1, SYSTEM_TIME, 0), "vcpu1 gives its page up");
    let given_up: [u8; 32] = bytes(&guest, page_of(1));
    guest.advance(5_000_000_000);
    guest.now.time = GuestTime(9_000_000_000);
    guest.board.after_pause(guest.now, &guest.memory);
    for index in [0, 3] {
        assert_eq!(flags(&guest, index), 0x03, "stable, and the guest was stopped");
        assert_eq!(read_time(&guest, index, guest.now.tsc), 9_000_000_000);
    }
    assert_eq!(bytes::<32>(&guest, page_of(1)), given_up);
    assert_eq!(bytes::<32>(&guest, page_of(2)), [0; 32]);
    assert_eq!(guest.board.counters().clock_page_failures, 0);
}

#[test]
fn a_page_begins_no_earlier_than_one_that_was_given_up_on_another_cpu() {
    let mut guest = Guest::new(2);
    guest.now = Now { time: GuestTime(1_000_000), tsc: 0 };
    assert!(guest.write_msr(0, SYSTEM_TIME, page_of(0) | 1));
    guest.now = Now { time: GuestTime(1_000_100), tsc: 2_500 };
    assert!(read_time(&guest, 0, guest.now.tsc) >= 1_000_999);
    assert!(guest.write_msr(0, SYSTEM_TIME, 0));
    assert!(guest.write_msr(1, SYSTEM_TIME, page_of(1) | 1));
    assert!(read_time(&guest, 1, guest.now.tsc) >= 1_000_999, "the clock had run ahead");
}

#[test]
fn a_page_that_cannot_be_written_is_refused_and_changes_nothing() {
    let mut guest = Guest::new(2);
    assert!(guest.write_msr(1, SYSTEM_TIME, page_of(1) | 1));
    for value in [0x1003, 0x1_0001, u64::MAX] {
        assert!(!guest.write_msr(1, SYSTEM_TIME, value), "{value:#x}");
        assert!(!guest.write_msr(0, SYSTEM_TIME, value), "{value:#x}");
    }
    assert_eq!(
        (guest.read_msr(0, SYSTEM_TIME), guest.read_msr(1, SYSTEM_TIME)),
        (Some(0), Some(page_of(1) | 1))
    );
}

#[test]
fn the_wall_clock_is_one_for_all_cpus() {
    let mut guest = Guest::new(2);
    assert!(guest.write_msr(1, 0x11, 0x2000));
    assert_eq!(guest.read_msr(0, 0x4b56_4d00), Some(0x2000));
    assert_eq!(u32::from_le_bytes(bytes(&guest, 0x2004)), CONFIG.wall_clock_start_s as u32);
}

/// What happens between two readings of the time.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// A CPU asks for its page, for the first time or again.
    Ask(usize),
    /// A CPU gives its page up.
    GiveUp(usize),
    /// All stand still; the TSC may have another rate afterwards.
    Pause(u64),
    /// All move to another host.
    Move(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let hz = prop_oneof![Just(2_500_000_000u64), 1_000_000u64..1 << 36];
    prop_oneof![
        4 => (0..CPUS).prop_map(Step::Ask),
        1 => (0..CPUS).prop_map(Step::GiveUp),
        1 => hz.clone().prop_map(Step::Pause),
        1 => hz.prop_map(Step::Move),
    ]
}

proptest! {
    /// Any CPU reads, then any other: the second never reads less, at the same TSC or later.
    #[test]
    fn time_never_goes_back_from_cpu_to_cpu(
        steps in prop::collection::vec((0u64..1 << 36, 0u64..1 << 37, step()), 1..40),
    ) {
        let mut guest = Guest::new(CPUS as u8);
        let mut reads = [false; CPUS];
        let mut seen = 0;
        for (nanoseconds, ticks, step) in steps {
            guest.now = Now { time: guest.now.time.after(nanoseconds), tsc: guest.now.tsc + ticks };
            for index in (0..CPUS).filter(|index| reads[*index]) {
                let time = read_time(&guest, index, guest.now.tsc);
                prop_assert!(time >= seen, "vcpu{} reads {} after {}", index, time, seen);
                seen = time;
            }
            match step {
                Step::Ask(index) => {
                    prop_assert!(guest.write_msr(index, SYSTEM_TIME, page_of(index) | 1));
                    reads[index] = true;
                }
                Step::GiveUp(index) => {
                    prop_assert!(guest.write_msr(index, SYSTEM_TIME, 0));
                    reads[index] = false;
                }
                Step::Pause(hz) => {
                    guest.board.set_tsc_hz(hz);
                    guest.board.after_pause(guest.now, &guest.memory);
                }
                Step::Move(hz) => {
                    let saved = guest.board.save(guest.now);
                    let config = BoardConfig { cpus: CPUS as u8, tsc_hz: hz, ..CONFIG };
                    guest.board = Board::restore(&config, guest.now, &saved).expect("it was saved");
                    guest.board.after_pause(guest.now, &guest.memory);
                }
            }
            // From the last to the first, at the very same TSC.
            for index in (0..CPUS).rev().filter(|index| reads[*index]) {
                let time = read_time(&guest, index, guest.now.tsc);
                prop_assert!(time >= seen, "vcpu{} reads {} after {}", index, time, seen);
                seen = time;
            }
        }
        prop_assert!(guest.board.deadline(guest.now, cpu(0)).is_none_or(|due| due.0 > 0));
    }
}

#[test]
fn a_timer_of_all_cpus_calls_the_first_whoever_sets_it() {
    const COMMAND: u16 = 0x43;
    const COUNTER: u16 = 0x40;
    const ONE_SHOT_BOTH_BYTES: u32 = 0x30;
    let mut guest = Guest::new(2);
    assert_eq!(guest.board.deadline(guest.now, cpu(0)), None);
    let now = guest.now;
    guest.board.write_port(now, COMMAND, 1, ONE_SHOT_BOTH_BYTES);
    guest.board.write_port(now, COUNTER, 1, 0x34);
    guest.board.take_attention();
    guest.board.write_port(now, COUNTER, 1, 0x12);
    assert!(guest.board.deadline(now, cpu(0)).is_some());
    assert!(guest.board.take_attention().contains(cpu(0)), "it may sleep for longer than that");
    // What changes none of them is no news.
    guest.board.write_port(now, 0x80, 1, 0);
    assert!(!guest.board.take_attention().contains(cpu(0)));
}
