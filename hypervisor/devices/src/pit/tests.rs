use super::{CLOCK, MINIMUM_INTERVAL_NS, Pit, TimerOutput};
use crate::time::GuestTime;

/// The control word register's offset.
const CONTROL: u16 = 3;

/// The middle of a tick.
fn at(tick: u64) -> GuestTime {
    CLOCK.time_of(tick).after(400)
}

/// Counter `counter` in `mode`, loaded with `count` at tick 0.
fn loaded(counter: u16, mode: u8, count: u16) -> Pit {
    let mut pit = Pit::new();
    load(&mut pit, 0, counter, mode, count);
    pit
}

fn load(pit: &mut Pit, tick: u64, counter: u16, mode: u8, count: u16) {
    pit.write(at(tick), CONTROL, (counter as u8) << 6 | 0x30 | mode << 1);
    let [low, high] = count.to_le_bytes();
    pit.write(at(tick), counter, low);
    pit.write(at(tick), counter, high);
}

fn count(pit: &mut Pit, tick: u64, counter: u16) -> u16 {
    let low = pit.read(at(tick), counter);
    u16::from_le_bytes([low, pit.read(at(tick), counter)])
}

/// Output 0, high or low, for each of the ticks.
fn outputs(pit: &mut Pit, ticks: impl Iterator<Item = u64>) -> String {
    ticks.map(|tick| if pit.look(at(tick)).level { 'H' } else { 'L' }).collect()
}

#[test]
fn each_mode_has_its_waveform() {
    for (mode, count, wanted) in [
        (0, 4, "LLLLHHHHHH"),
        (2, 4, "HHHLHHHLHH"),
        (3, 4, "HHLLHHLLHH"),
        (3, 5, "HHHLLHHHLL"),
        (4, 4, "HHHHLHHHHH"),
        (6, 3, "HHLHHLHHLH"),
    ] {
        let mut pit = loaded(0, mode, count);
        assert_eq!(outputs(&mut pit, 0..10), wanted, "mode {mode}, count {count}");
    }
}

#[test]
fn each_mode_counts_down_its_own_way() {
    for (mode, initial, wanted) in [
        (0, 3, [3, 2, 1, 0, 0xffff, 0xfffe]),
        (2, 3, [3, 2, 1, 3, 2, 1]),
        (3, 6, [6, 4, 2, 6, 4, 2]),
        (4, 2, [2, 1, 0, 0xffff, 0xfffe, 0xfffd]),
        (2, 0, [0, 0xffff, 0xfffe, 0xfffd, 0xfffc, 0xfffb]),
    ] {
        let mut pit = loaded(0, mode, initial);
        let read: Vec<_> = (0..6).map(|tick| count(&mut pit, tick, 0)).collect();
        assert_eq!(read, wanted, "mode {mode}, count {initial}");
    }
}

#[test]
fn interrupts_come_when_the_output_rises() {
    for (mode, count, wanted) in [(0, 1000, 1000), (2, 1000, 1000), (3, 1000, 1000), (4, 1000, 1001)] {
        let mut pit = loaded(0, mode, count);
        assert_eq!(pit.deadline(), Some(CLOCK.time_of(wanted)), "mode {mode}");
        assert!(!pit.look(GuestTime(CLOCK.time_of(wanted).0 - 1)).rose);
        assert!(pit.look(CLOCK.time_of(wanted)).rose);
        assert_eq!(pit.deadline().is_some(), matches!(mode, 2 | 3), "mode {mode}");
    }
}

#[test]
fn missed_periods_are_one_interrupt_and_keep_their_grid() {
    let mut pit = loaded(0, 2, 1000);
    assert_eq!(pit.look(at(50_500)), TimerOutput { rose: true, level: true });
    assert!(!pit.look(at(50_501)).rose);
    assert_eq!(pit.deadline(), Some(CLOCK.time_of(51_000)));
}

#[test]
fn short_periods_do_not_keep_the_host_awake() {
    let mut pit = loaded(0, 2, 2);
    let mut now = at(10);
    for _ in 0..100 {
        assert!(pit.look(now).rose);
        let next = pit.deadline().expect("it is periodic");
        assert!(next.since(now) >= MINIMUM_INTERVAL_NS - 2_000, "{} ns", next.since(now));
        now = next;
    }
}

#[test]
fn latched_counts_and_states_stand_still() {
    let mut pit = loaded(0, 2, 0x1234);
    pit.write(at(4), CONTROL, 0x00);
    pit.write(at(9), CONTROL, 0x00);
    assert_eq!(count(&mut pit, 100, 0), 0x1230, "the first latch holds");
    assert_eq!(count(&mut pit, 0x34, 0), 0x1200, "then the count is read as it is");

    pit.write(at(0x34), CONTROL, 0xc2);
    assert_eq!(pit.read(at(0x40), 0), 0xb4, "state first: output high, both bytes, mode 2");
    assert_eq!(count(&mut pit, 0x40, 0), 0x1200);
    pit.write(at(0x40), CONTROL, 0x36);
    pit.write(at(0x40), CONTROL, 0xe2);
    assert_eq!(pit.read(at(0x40), 0), 0xf6, "no count yet");
}

#[test]
fn single_bytes_and_decimal_digits() {
    let mut pit = Pit::new();
    pit.write(at(0), CONTROL, 0x14);
    pit.write(at(0), 0, 0x80);
    assert_eq!(pit.read(at(0x10), 0), 0x70);
    pit.write(at(0), CONTROL, 0x24);
    pit.write(at(0), 0, 0x80);
    assert_eq!(pit.read(at(0x100), 0), 0x7f);

    pit.write(at(0), CONTROL, 0x35);
    pit.write(at(0), 0, 0x00);
    pit.write(at(0), 0, 0x10);
    assert_eq!(count(&mut pit, 1, 0), 0x0999);
    assert_eq!(pit.deadline(), Some(CLOCK.time_of(1000)));
    pit.write(at(0), 0, 0x00);
    pit.write(at(0), 0, 0x00);
    assert_eq!(count(&mut pit, 1, 0), 0x9999, "0 stands for 10000");
}

/// How systems measure their processor's clock: counter 2 in mode 0, its gate opened, its output polled.
#[test]
fn counter_2_runs_by_its_gate_and_shows_in_port_61() {
    const OUTPUT: u8 = 0x20;
    let mut pit = Pit::new();
    load(&mut pit, 0, 2, 0, 100);
    assert_eq!(count(&mut pit, 50, 2), 100, "its gate is closed");
    pit.write_control(at(50), 0x01);
    assert_eq!(pit.read_control(at(149)) & 0x23, 0x01);
    assert_eq!(pit.read_control(at(150)) & 0x23, 0x01 | OUTPUT);

    load(&mut pit, 200, 2, 0, 100);
    pit.write_control(at(230), 0x02);
    assert_eq!(count(&mut pit, 900, 2), 70, "closed, it holds its count");
    pit.write_control(at(1000), 0x03);
    assert_eq!(count(&mut pit, 1010, 2), 60);
}

#[test]
fn one_shots_wait_for_their_gate() {
    const OUTPUT: u8 = 0x20;
    for (mode, before, during, after) in [(1, OUTPUT, 0, OUTPUT), (5, OUTPUT, OUTPUT, OUTPUT)] {
        let mut pit = loaded(2, mode, 10);
        let output = |pit: &Pit, tick| pit.read_control(at(tick)) & OUTPUT;
        assert_eq!(output(&pit, 50), before);
        pit.write_control(at(100), 0x01);
        assert_eq!(output(&pit, 105), during);
        assert_eq!(output(&pit, 110), if mode == 1 { after } else { 0 });
        assert_eq!(output(&pit, 111), after);
        pit.write_control(at(200), 0x00);
        pit.write_control(at(300), 0x01);
        assert_eq!(output(&pit, 305), during, "a rising gate starts it again");
    }
}

#[test]
fn the_refresh_bit_toggles() {
    let pit = Pit::new();
    let seen: Vec<_> = (0..4).map(|n| pit.read_control(GuestTime(n * 15_085)) & 0x10).collect();
    assert_eq!(seen, [0, 0x10, 0, 0x10]);
}

#[test]
fn a_guest_that_never_programs_it_is_left_alone() {
    let mut pit = Pit::new();
    assert_eq!(pit.deadline(), None);
    assert_eq!(pit.look(GuestTime(u64::MAX)), TimerOutput { rose: false, level: false });
}
