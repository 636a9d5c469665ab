use super::Pic;

const COMMAND: u16 = 0;
const DATA: u16 = 1;
const END: u8 = 0x20;

/// Both chips as systems set them up: vectors from 0x30 and 0x38, nothing masked.
fn set_up() -> Pic {
    set_up_with(0x01)
}

fn set_up_with(modes: u8) -> Pic {
    let mut pic = Pic::new();
    for (chip, base, wiring) in [(0, 0x30, 0x04), (1, 0x38, 0x02)] {
        pic.write(chip, COMMAND, 0x11);
        for word in [base, wiring, modes, 0] {
            pic.write(chip, DATA, word);
        }
    }
    pic
}

fn pulse(pic: &mut Pic, irq: u8) {
    pic.set_line(irq, true);
    pic.set_line(irq, false);
}

#[test]
fn nothing_comes_before_it_is_unmasked() {
    let mut pic = Pic::new();
    pulse(&mut pic, 4);
    assert!(!pic.has_interrupt());
    assert_eq!((pic.read(0, DATA), pic.read(1, DATA)), (0xff, 0xff));
}

#[test]
fn lower_numbers_come_first_and_interrupt_higher_ones() {
    let mut pic = set_up();
    pulse(&mut pic, 6);
    pulse(&mut pic, 3);
    assert_eq!(pic.acknowledge(), 0x33);
    assert!(!pic.has_interrupt(), "6 waits for the end of 3");
    pulse(&mut pic, 1);
    assert_eq!(pic.acknowledge(), 0x31);
    pic.write(0, COMMAND, END);
    assert!(!pic.has_interrupt(), "3 is still in service");
    pic.write(0, COMMAND, END);
    assert_eq!(pic.acknowledge(), 0x36);
}

#[test]
fn an_edge_counts_once_and_a_level_as_long_as_it_lasts() {
    let mut pic = set_up();
    pic.set_line(4, true);
    assert_eq!(pic.acknowledge(), 0x34);
    pic.write(0, COMMAND, END);
    assert!(!pic.has_interrupt());

    pic.write_level_triggered(0, 0xff);
    assert_eq!(pic.read_level_triggered(0), 0xf8, "0, 1 and 2 are always edges");
    assert_eq!(pic.acknowledge(), 0x34);
    pic.write(0, COMMAND, END);
    assert!(pic.has_interrupt());
    pic.set_line(4, false);
    assert!(!pic.has_interrupt());
}

#[test]
fn the_second_chip_comes_through_the_first() {
    let mut pic = set_up();
    pulse(&mut pic, 12);
    pulse(&mut pic, 8);
    assert_eq!(pic.acknowledge(), 0x38);
    assert!(!pic.has_interrupt());
    pic.write(1, COMMAND, END);
    assert!(!pic.has_interrupt(), "the first chip still serves its input 2");
    pic.write(0, COMMAND, END);
    assert_eq!(pic.acknowledge(), 0x3c);
    pulse(&mut pic, 1);
    assert_eq!(pic.acknowledge(), 0x31, "input 1 is above the cascade");
}

#[test]
fn what_vanishes_before_it_is_acknowledged_is_interrupt_7() {
    let mut pic = set_up();
    assert_eq!(pic.acknowledge(), 0x37);
    pic.write(0, COMMAND, 0x0b);
    assert_eq!(pic.read(0, COMMAND), 0, "and it is not in service");
}

#[test]
fn ends_can_be_specific_and_rotate() {
    let mut pic = set_up();
    pulse(&mut pic, 5);
    assert_eq!(pic.acknowledge(), 0x35);
    pic.write(0, COMMAND, 0x60 | 5);
    pulse(&mut pic, 5);
    pulse(&mut pic, 6);
    assert_eq!(pic.acknowledge(), 0x35);
    pic.write(0, COMMAND, 0xa0);
    pulse(&mut pic, 5);
    assert_eq!(pic.acknowledge(), 0x36, "5 became the lowest");
    pic.write(0, COMMAND, 0xe0 | 6);
    pulse(&mut pic, 7);
    assert_eq!(pic.acknowledge(), 0x37, "6 became the lowest, so 7 is the highest");
    pic.write(0, COMMAND, 0xc0 | 7);
    pic.write(0, COMMAND, 0x60 | 7);
    assert_eq!(pic.acknowledge(), 0x35);
}

#[test]
fn automatic_ends_leave_nothing_in_service() {
    let mut pic = set_up_with(0x03);
    pulse(&mut pic, 10);
    pulse(&mut pic, 11);
    assert_eq!(pic.acknowledge(), 0x3a);
    assert_eq!(pic.acknowledge(), 0x3b);
    pic.write(0, COMMAND, 0x80);
    pulse(&mut pic, 3);
    assert_eq!(pic.acknowledge(), 0x33);
    pulse(&mut pic, 3);
    pulse(&mut pic, 4);
    assert_eq!(pic.acknowledge(), 0x34, "priorities rotate with each");
}

#[test]
fn special_fully_nested_lets_the_second_chip_interrupt_itself() {
    let mut pic = set_up_with(0x11);
    pulse(&mut pic, 12);
    assert_eq!(pic.acknowledge(), 0x3c);
    pulse(&mut pic, 8);
    assert_eq!(pic.acknowledge(), 0x38);
}

#[test]
fn the_special_mask_opens_the_way_for_lower_priorities() {
    let mut pic = set_up();
    pulse(&mut pic, 3);
    assert_eq!(pic.acknowledge(), 0x33);
    pulse(&mut pic, 5);
    assert!(!pic.has_interrupt());
    pic.write(0, DATA, 1 << 3);
    pic.write(0, COMMAND, 0x68);
    assert_eq!(pic.acknowledge(), 0x35);
    pic.write(0, COMMAND, 0x48);
}

#[test]
fn polling_acknowledges() {
    let mut pic = set_up();
    pic.write(0, COMMAND, 0x0c);
    assert_eq!(pic.read(0, COMMAND), 0, "nothing there");
    pulse(&mut pic, 6);
    pic.write(0, COMMAND, 0x0c);
    assert_eq!(pic.read(0, COMMAND), 0x86);
    pic.write(0, COMMAND, 0x0b);
    assert_eq!(pic.read(0, COMMAND), 0x40, "in service");
    pic.write(0, COMMAND, 0x0a);
    assert_eq!(pic.read(0, COMMAND), 0, "not requested any more");
}

#[test]
fn initialization_forgets_edges_and_opens_the_mask() {
    let mut pic = set_up();
    pulse(&mut pic, 4);
    pic.write(0, DATA, 0xff);
    pic.write(0, COMMAND, 0x13);
    assert_eq!(pic.read(0, DATA), 0);
    assert!(!pic.has_interrupt());
    pic.write(0, DATA, 0x47);
    pic.write(0, DATA, 0x01);
    pic.write(0, DATA, 0xee);
    assert_eq!(pic.read(0, DATA), 0xee, "a single chip has no third word");
    pulse(&mut pic, 4);
    assert_eq!(pic.acknowledge(), 0x44);
}
