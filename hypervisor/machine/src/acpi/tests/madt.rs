//! Processors and interrupt controllers.

use super::{super::madt::Madt, *};

/// The table's body: local APIC address, flags, entries.
pub(super) fn body(entries: &[Vec<u8>]) -> Vec<u8> {
    [&0xfee0_0000_u32.to_le_bytes()[..], &1_u32.to_le_bytes()[..], &entries.concat()].concat()
}

/// A processor local APIC entry.
pub(super) fn cpu(uid: u8, apic_id: u8, flags: u8) -> Vec<u8> {
    vec![0, 8, uid, apic_id, flags, 0, 0, 0]
}

fn x2apic(apic_id: u32, uid: u32, flags: u32) -> Vec<u8> {
    let mut entry = vec![9, 16, 0, 0];
    entry.extend([apic_id, flags, uid].iter().flat_map(|field| field.to_le_bytes()));
    entry
}

fn parse(entries: &[Vec<u8>]) -> (Madt, Vec<String>) {
    with_notes(|notes| crate::acpi::madt::parse(&parsed(b"APIC", &body(entries)), notes))
}

fn ids(madt: &Madt) -> Vec<(u32, CpuStatus)> {
    madt.cpus.iter().map(|cpu| (cpu.apic_id, cpu.status)).collect()
}

#[test]
fn processors_come_in_order_with_what_the_firmware_says_of_them() {
    let (madt, notes) =
        parse(&[cpu(0, 4, 1), cpu(1, 2, 0), cpu(2, 6, 2), x2apic(0x1234, 7, 1), cpu(3, 0, 3)]);
    use CpuStatus::{Disabled, Enabled, OnlineCapable};
    assert_eq!(
        ids(&madt),
        [(4, Enabled), (2, Disabled), (6, OnlineCapable), (0x1234, Enabled), (0, Enabled)]
    );
    assert_eq!((madt.cpus[3].uid, madt.has_8259, notes), (7, true, vec![]));
}

#[test]
fn an_apic_id_counts_once() {
    // Both kinds for one processor; a placeholder before and after the real one; broadcast ids.
    let (madt, notes) = parse(&[
        cpu(0, 0, 1),
        x2apic(0, 0, 1),
        cpu(1, 1, 0),
        cpu(2, 1, 1),
        cpu(3, 1, 0),
        cpu(4, 255, 1),
        x2apic(u32::MAX, 5, 1),
    ]);
    assert_eq!(ids(&madt), [(0, CpuStatus::Enabled), (1, CpuStatus::Enabled)]);
    assert_eq!((madt.cpus[1].uid, notes), (2, vec![]));
}

#[test]
fn an_apic_id_of_two_processors_is_noted() {
    let (madt, notes) = parse(&[cpu(0, 3, 1), cpu(1, 3, 1)]);
    assert_eq!((madt.cpus.len(), madt.cpus[0].uid), (1, 0));
    assert_eq!(notes, ["ACPI MADT: APIC id 3 belongs to processors 0 and 1; the first counts"]);
}

#[test]
fn interrupt_controllers_and_lines_are_listed() {
    let io_apic = vec![1, 12, 2, 0, 0, 0, 0xc0, 0xfe, 24, 0, 0, 0];
    let timer = vec![2, 10, 0, 0, 2, 0, 0, 0, 0, 0];
    let sci = vec![2, 10, 0, 9, 9, 0, 0, 0, 0x0f, 0];
    let nmi = vec![3, 8, 0x0d, 0, 7, 0, 0, 0];
    let every_lint1 = vec![4, 6, 0xff, 5, 0, 1];
    let one_lint0 = vec![10, 12, 0, 0, 0x99, 0, 0, 0, 0, 0, 0, 0];
    let (madt, notes) = parse(&[io_apic.clone(), timer, sci, nmi, every_lint1, one_lint0, io_apic]);
    let edge_high = Signalling { active_low: false, level: false };
    let level_low = Signalling { active_low: true, level: true };
    assert_eq!(madt.io_apics, [IoApic { id: 2, address: 0xfec0_0000, gsi_base: 24 }]);
    assert_eq!(
        madt.overrides,
        [
            InterruptOverride { isa_irq: 0, gsi: 2, signalling: edge_high },
            InterruptOverride { isa_irq: 9, gsi: 9, signalling: level_low },
        ]
    );
    assert_eq!(
        madt.nmi_sources,
        [NmiSource { gsi: 7, signalling: Signalling { active_low: false, level: true } }]
    );
    assert_eq!(
        madt.local_nmis,
        [
            LocalNmi { uid: None, lint: 1, signalling: edge_high },
            LocalNmi { uid: Some(0x99), lint: 0, signalling: edge_high },
        ]
    );
    assert_eq!(notes, [""; 0]);
}

#[test]
fn the_local_apics_lie_where_the_override_says() {
    let at = |address: u64| [vec![5, 12, 0, 0], address.to_le_bytes().to_vec()].concat();
    let (madt, notes) = parse(&[at(0x12_fee0_0000)]);
    assert_eq!((madt.local_apic_address, notes), (0x12_fee0_0000, vec![]));
    let (madt, notes) = parse(&[at(0xfee0_0010)]);
    assert_eq!(madt.local_apic_address, 0xfee0_0000);
    assert_eq!(notes, ["ACPI MADT: there is no local APIC at 0xfee00010; 0xfee00000 is used"]);
}

#[test]
fn entries_that_cannot_be_leave_a_note_and_the_rest_counts() {
    let wrong = [
        vec![0, 4, 1, 1],
        vec![1, 12, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        vec![2, 10, 1, 0, 0, 0, 0, 0, 0, 0],
        vec![2, 10, 0, 16, 0, 0, 0, 0, 0, 0],
        vec![2, 10, 0, 3, 3, 0, 0, 0, 0x02, 0],
        vec![3, 8, 0x08, 0, 0, 0, 0, 0],
        vec![4, 6, 0, 0, 0, 2],
        vec![9, 2],
    ];
    let count = wrong.len();
    let (madt, notes) = parse(&[wrong.concat(), cpu(0, 0, 1)]);
    assert_eq!(madt.cpus.len(), 1);
    assert_eq!((madt.io_apics.len(), madt.overrides.len(), madt.nmi_sources.len()), (0, 0, 0));
    assert_eq!(notes.len(), count);
    assert_eq!(notes[0], "ACPI MADT: an entry of type 0 makes no sense; left out");
}

#[test]
fn an_entry_of_an_unknown_type_is_skipped() {
    let (madt, notes) = parse(&[vec![0x7f, 5, 1, 2, 3], cpu(0, 0, 1), vec![0x10, 2]]);
    assert_eq!((madt.cpus.len(), notes), (1, vec![]));
}

#[test]
fn an_entry_without_length_ends_the_table() {
    for bad in [vec![0, 0, 0, 0], vec![0, 1, 0, 0], vec![0, 200, 0, 0]] {
        let length = bad[1];
        let (madt, notes) = parse(&[cpu(0, 0, 1), bad, cpu(1, 1, 1)]);
        assert_eq!(madt.cpus.len(), 1);
        assert_eq!(
            notes,
            [format!(
                "ACPI MADT: the entry at offset 52 has length {length}; it and what follows are left out"
            )]
        );
    }
}

#[test]
fn a_table_full_of_processors_is_cut_with_a_note() {
    let cpus: Vec<_> = (0..60_000).map(|id| x2apic(id, id, 1)).collect();
    let (madt, notes) = parse(&cpus);
    assert_eq!(madt.cpus.len(), 4096);
    assert_eq!(notes, ["ACPI MADT: 55904 entries beyond 4096 of a kind were left out"]);
}

#[test]
fn a_table_without_a_body_lists_nothing() {
    let (madt, notes) = with_notes(|notes| crate::acpi::madt::parse(&parsed(b"APIC", &[]), notes));
    assert_eq!((madt.cpus.len(), madt.local_apic_address, notes.len()), (0, 0xfee0_0000, 1));
}
