//! Memory-mapped configuration space.

use super::*;

/// The table's body: reserved bytes, then base, segment, first and last bus.
pub(super) fn body(entries: &[(u64, u16, u8, u8)]) -> Vec<u8> {
    let mut body = vec![0; 8];
    for (base, segment, start_bus, end_bus) in entries {
        body.extend(base.to_le_bytes());
        body.extend(segment.to_le_bytes());
        body.extend([*start_bus, *end_bus, 0, 0, 0, 0]);
    }
    body
}

fn parse(entries: &[(u64, u16, u8, u8)]) -> (Vec<EcamRegion>, Vec<String>) {
    with_notes(|notes| crate::acpi::mcfg::parse(&parsed(b"MCFG", &body(entries)), notes))
}

#[test]
fn regions_of_several_segments_are_listed() {
    let (regions, notes) =
        parse(&[(0xe000_0000, 0, 0, 0x7f), (0xe000_0000, 0, 0x80, 0xff), (1 << 40, 1, 0, 0)]);
    assert_eq!((regions.len(), notes), (3, vec![]));
    assert_eq!((regions[1].start(), regions[1].bytes()), (0xe800_0000, 0x800_0000));
    assert_eq!((regions[2].start(), regions[2].bytes()), (1 << 40, 1 << 20));
}

#[test]
fn regions_that_cannot_be_leave_a_note_and_the_rest_counts() {
    let (regions, notes) = parse(&[
        (0xe000_0000, 0, 9, 8),
        (0, 0, 0, 0xff),
        (0xe000_1000, 0, 0, 0xff),
        (u64::MAX << 20, 0, 0, 0xff),
        ((1 << 52) - (1 << 20), 0, 0, 1),
        (0xe000_0000, 0, 0, 0x3f),
        (0xd000_0000, 0, 0x3f, 0x40),
    ]);
    assert_eq!(regions, [EcamRegion { base: 0xe000_0000, segment: 0, start_bus: 0, end_bus: 0x3f }]);
    let (wrong, beyond) = ("left out", "end beyond the physical address space");
    assert_eq!(notes.len(), 6);
    assert_eq!(
        notes[0],
        format!("ACPI MCFG: segment 0 buses 9 to 8 at 0xe0000000 are in the wrong order; {wrong}")
    );
    assert!(notes[1].contains("do not start on a MiB") && notes[2].contains("do not start on a MiB"));
    assert!(notes[3].contains(beyond) && notes[4].contains(beyond));
    assert!(notes[5].contains("were listed already"));
}

#[test]
fn half_an_entry_is_none() {
    let mut half = body(&[(0xe000_0000, 0, 0, 0xff)]);
    half.pop();
    let (regions, _) = with_notes(|notes| crate::acpi::mcfg::parse(&parsed(b"MCFG", &half), notes));
    assert_eq!(regions, []);
}
