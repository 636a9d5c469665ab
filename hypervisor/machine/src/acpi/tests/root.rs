//! The root pointer and the list of tables.

use super::*;

#[test]
fn the_root_pointer_is_found_where_a_bios_leaves_it() {
    let mut memory = machine();
    assert_eq!(Platform::read(&memory, None), read(&memory));
    // The extended data area comes first: this one leads to the RSDT, which does not list the MCFG.
    memory.put(0x40e, 0x9fc0_u16.to_le_bytes());
    memory.put(0x9_fc00, vec![0; 1024]).put(0x9_fd50, rsdp(RSDT, 0));
    memory.put(RSDT, table(b"RSDT", &[(FADT as u32).to_le_bytes(), (MADT as u32).to_le_bytes()].concat()));
    let platform = Platform::read(&memory, None);
    assert_eq!((platform.cpus.len(), platform.ecam.len()), (2, 0));
}

#[test]
fn a_root_pointer_off_its_alignment_or_beyond_the_searched_areas_is_not_found() {
    for address in [0xf_5a48, 0x10_0000, 0xd_fff0] {
        let memory = SparseMemory::new().with(address, rsdp(RSDT, XSDT));
        assert_eq!(Platform::read(&memory, None).notes.len(), 1, "{address:#x}");
    }
}

#[test]
fn a_wrong_address_of_the_root_pointer_is_noted_and_searched_for() {
    let platform = Platform::read(&machine(), Some(0xdead_0000));
    assert_eq!(
        platform.notes,
        ["ACPI RSDP at 0xdead0000, as the boot path names it: cannot be read; the BIOS areas are searched"]
    );
    assert_eq!(platform.cpus.len(), 2);
    assert_eq!(Platform::read(&machine(), Some(u64::MAX)).cpus.len(), 2);
}

#[test]
fn a_root_pointer_with_a_bad_checksum_does_not_count() {
    let mut memory = machine();
    let mut bad = rsdp(RSDT, XSDT);
    bad[9] ^= 1;
    memory.put(0xe_0000, bad);
    let platform = Platform::read(&memory, None);
    assert_eq!(platform.notes.len(), 1);
    assert!(
        platform.notes[0].starts_with("ACPI RSDP at 0xe0000: its checksum is off by"),
        "{:?}",
        platform.notes
    );
    assert_eq!(platform.cpus.len(), 2);
}

#[test]
fn a_bad_extended_part_leaves_the_rsdt() {
    let mut memory = machine();
    let mut bad = rsdp(RSDT, XSDT);
    bad[25] ^= 1;
    memory.put(RSDP, bad);
    memory.put(RSDT, table(b"RSDT", &[FADT, MADT, MCFG, SSDT].map(|at| (at as u32).to_le_bytes()).concat()));
    assert_eq!(
        the_note(&memory),
        "ACPI RSDP at 0xf5a40: its extended part has a wrong checksum; its RSDT is used"
    );
    assert_eq!(read(&memory).cpus.len(), 2);
}

#[test]
fn the_first_revision_has_no_extended_part() {
    let mut v1 = rsdp(RSDT, XSDT)[..20].to_vec();
    v1[15] = 0;
    seal(&mut v1, 8);
    let mut memory = machine();
    // Later patches cover earlier ones: beyond the 20 bytes nothing can be read.
    memory.put(0xe_0010, v1);
    memory.put(RSDT, table(b"RSDT", &[FADT, MADT, MCFG, SSDT].map(|at| (at as u32).to_le_bytes()).concat()));
    let platform = Platform::read(&memory, Some(0xe_0010));
    assert_eq!((platform.cpus.len(), platform.notes), (2, vec![]));
}

#[test]
fn a_refused_xsdt_gives_way_to_the_rsdt() {
    let mut memory = machine();
    memory.put(XSDT, table(b"XSDX", &[]));
    memory.put(RSDT, table(b"RSDT", &[FADT, MADT, MCFG, SSDT].map(|at| (at as u32).to_le_bytes()).concat()));
    assert_eq!(the_note(&memory), "ACPI XSDT at 0x7fe1000: holds \"XSDX\"; refused");
    assert_eq!(read(&memory).cpus.len(), 2);
}

#[test]
fn with_neither_list_nothing_is_known_and_notes_say_so() {
    let mut memory = machine();
    memory.put(RSDP, rsdp(0, 0));
    let platform = read(&memory);
    assert_eq!(platform.notes[0], "ACPI RSDP at 0xf5a40: leads to no list of tables");
    assert_eq!(platform.notes.len(), 3);
}

#[test]
fn a_list_may_hold_nulls_itself_and_repetitions() {
    let mut memory = machine();
    let list = [0, XSDT, FADT, RSDP, MADT, MADT, 0, MCFG, SSDT, FADT];
    memory.put(XSDT, table(b"XSDT", &list_of_tables(&list)));
    let platform = read(&memory);
    assert_eq!((platform.cpus.len(), platform.notes), (2, vec![]));
}

#[test]
fn an_entry_that_cannot_be_read_is_noted() {
    let mut memory = machine();
    memory.put(XSDT, table(b"XSDT", &list_of_tables(&[u64::MAX, FADT, MADT, MCFG, SSDT])));
    assert_eq!(the_note(&memory), "ACPI table at 0xffffffffffffffff: cannot be read; left out");
}

#[test]
fn an_absurd_list_is_cut() {
    let mut memory = machine();
    let mut list = vec![FADT, MADT, MCFG, SSDT];
    list.resize(100_000, 0);
    // Far from the others, which it would cover.
    memory.put(0x1000_0000, table(b"XSDT", &list_of_tables(&list))).put(RSDP, rsdp(RSDT, 0x1000_0000));
    assert_eq!(the_note(&memory), "ACPI: 100000 tables are listed; the first 512 are used");
}

#[test]
fn a_table_of_an_absurd_length_is_refused() {
    for (length, text) in [(35_u32, "35"), (0x10_0001, "1048577"), (u32::MAX, "4294967295"), (0, "0")] {
        let mut memory = machine();
        let mut short = table(b"MCFG", &[]);
        short[4..8].copy_from_slice(&length.to_le_bytes());
        memory.put(MCFG, short);
        assert_eq!(
            the_note(&memory),
            format!("ACPI MCFG at 0x7fe4000: is {text} bytes long, not 36 to 1048576; refused")
        );
        assert!(memory.bytes_read() < 4096);
    }
}

#[test]
fn of_two_tables_of_a_name_the_first_whole_one_counts() {
    const SECOND: u64 = 0x7fe_8000;
    let mut memory = machine();
    memory.put(XSDT, table(b"XSDT", &list_of_tables(&[FADT, MADT, SECOND, MCFG, SSDT])));
    memory.put(SECOND, table(b"APIC", &madt::body(&[madt::cpu(9, 9, 1)])));
    assert_eq!(the_note(&memory), "ACPI MADT at 0x7fe8000: there is one already; left out");
    assert_eq!(read(&memory).cpus.len(), 2);

    let mut corrupt = table(b"APIC", &madt::body(&[]));
    corrupt[40] ^= 0xff;
    memory.put(MADT, corrupt);
    assert!(the_note(&memory).starts_with("ACPI MADT at 0x7fe2000: its checksum is off by"));
    assert_eq!(read(&memory).supported(9, 64).apic_ids, [9]);
}

#[test]
fn a_name_of_any_bytes_is_printable() {
    let mut memory = machine();
    memory.put(DSDT, [0x1b; 64]);
    assert_eq!(the_note(&memory), r#"ACPI DSDT at 0x7fe5000: holds "\x1b\x1b\x1b\x1b"; refused"#);
}
