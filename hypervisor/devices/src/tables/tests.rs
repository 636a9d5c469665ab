use godwit_guest::GuestAddress;

use super::{RECOMMENDED, build};

struct Found {
    tables: super::AcpiTables,
    at: GuestAddress,
}

impl Found {
    fn slice(&self, address: u64, bytes: usize) -> &[u8] {
        let from = (address - self.at.0) as usize;
        &self.tables.bytes[from..from + bytes]
    }

    fn u32(&self, address: u64) -> u32 {
        u32::from_le_bytes(self.slice(address, 4).try_into().unwrap())
    }

    fn u64(&self, address: u64) -> u64 {
        u64::from_le_bytes(self.slice(address, 8).try_into().unwrap())
    }

    /// The table at `address`, once its sum was found to be right.
    fn table(&self, address: u64) -> &[u8] {
        let table = self.slice(address, self.u32(address + 4) as usize);
        assert_eq!(sum(table), 0, "{:?}", &table[..4]);
        table
    }

    /// The table with this signature, found as a guest finds it.
    fn by_signature(&self, signature: &[u8; 4]) -> &[u8] {
        let xsdt = self.u64(self.tables.rsdp.0 + 24);
        let entries = (self.table(xsdt).len() - 36) / 8;
        let table = |n| self.table(self.u64(xsdt + 36 + 8 * n as u64));
        (0..entries).map(table).find(|table| &table[..4] == signature).expect("it is listed")
    }
}

fn sum(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0, |sum, byte| sum.wrapping_add(*byte))
}

fn found(cpus: u8) -> Found {
    Found { tables: build(RECOMMENDED, cpus), at: RECOMMENDED }
}

#[test]
fn the_root_pointer_is_where_systems_search() {
    let found = found(1);
    let rsdp = found.slice(found.tables.rsdp.0, 36);
    assert_eq!(&rsdp[..8], b"RSD PTR ");
    assert_eq!((sum(&rsdp[..20]), sum(rsdp)), (0, 0));
    assert_eq!(found.tables.rsdp.0 % 16, 0);
    assert!(found.at.0 + found.tables.bytes.len() as u64 <= 0x10_0000);
}

#[test]
fn the_fadt_names_registers_that_the_board_has() {
    let found = found(1);
    let fadt = found.by_signature(b"FACP");
    assert_eq!(fadt.len(), 276);
    let field = |at: usize, bytes: usize| {
        fadt[at..at + bytes].iter().rev().fold(0u64, |value, byte| value << 8 | u64::from(*byte))
    };
    assert_eq!((field(56, 4), field(88, 1)), (0x600, 4), "PM1a event block");
    assert_eq!((field(64, 4), field(89, 1)), (0x604, 2), "PM1a control block");
    assert_eq!((field(76, 4), field(91, 1)), (0x608, 4), "timer");
    assert_eq!(field(46, 2), 9, "system control interrupt");
    assert_eq!(field(48, 4), 0, "always in ACPI mode");
    assert_eq!(field(109, 2) & 0x26, 0x04, "no keyboard controller, no VGA, a CMOS clock");
    assert_eq!(field(112, 4) >> 20 & 1, 0, "hardware is not reduced");
    assert_eq!(field(112, 4) >> 10 & 1, 1, "there is a reset register");
    assert_eq!((field(116, 1), field(117, 1), field(120, 8), field(128, 1)), (1, 8, 0xcf9, 6));
    assert_eq!(
        (field(152, 8), field(176, 8), field(212, 8)),
        (0x600, 0x604, 0x608),
        "extended addresses agree"
    );
    let facs = found.slice(field(36, 4), 64);
    assert_eq!((&facs[..4], field(36, 4) % 64), (&b"FACS"[..], 0));
    assert_eq!(field(40, 4), field(140, 8));
}

#[test]
fn the_dsdt_names_the_sleep_type_of_power_off() {
    let found = found(1);
    let fadt = found.by_signature(b"FACP");
    let dsdt = found.table(u64::from_le_bytes(fadt[140..148].try_into().unwrap()));
    let aml = &dsdt[36..];
    assert_eq!(&aml[..5], b"\x08_S5_");
    let [0x12, length, 4, 0x0a, type_a, 0x0a, type_b, 0, 0] = aml[5..] else { panic!("{aml:x?}") };
    assert_eq!(usize::from(length), aml.len() - 6);
    assert_eq!((type_a, type_b), (5, 5));
}

#[test]
fn the_madt_lists_every_cpu_and_how_interrupts_run() {
    for cpus in [1, 2, godwit_guest::MAX_VCPUS as u8, 64] {
        let found = found(cpus);
        let mut entries = &found.by_signature(b"APIC")[44..];
        let mut kinds = Vec::new();
        let mut ids = Vec::new();
        while let [kind, length, ..] = *entries {
            let (entry, rest) = entries.split_at(usize::from(length));
            kinds.push(kind);
            match kind {
                0 => ids.push(entry[3]),
                1 => assert_eq!(entry[4..8], 0xfec0_0000u32.to_le_bytes()),
                2 if entry[3] == 0 => assert_eq!((entry[4], entry[8]), (2, 0)),
                2 => assert_eq!((entry[3], entry[4], entry[8]), (9, 9, 0x0d)),
                4 => assert_eq!(entry[2..], [0xff, 0, 0, 1]),
                other => panic!("entry of kind {other}"),
            }
            entries = rest;
        }
        assert_eq!(ids, (0..cpus).collect::<Vec<_>>());
        assert_eq!(kinds[usize::from(cpus)..], [1, 2, 2, 4]);
    }
}
