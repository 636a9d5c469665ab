//! Tables as firmware makes them, and as none should.

use proptest::prelude::*;

use super::{table::Table, *};
use crate::sparse_memory::SparseMemory;

mod fadt;
mod madt;
mod mcfg;
mod root;
mod sleep;

const RSDP: u64 = 0xf_5a40;
const RSDT: u64 = 0x7fe_0000;
const XSDT: u64 = 0x7fe_1000;
const MADT: u64 = 0x7fe_2000;
const FADT: u64 = 0x7fe_3000;
const MCFG: u64 = 0x7fe_4000;
const DSDT: u64 = 0x7fe_5000;
const SSDT: u64 = 0x7fe_6000;

/// Makes the bytes sum to 0 by the one at `at`.
fn seal(bytes: &mut [u8], at: usize) {
    bytes[at] = 0;
    bytes[at] = table::checksum(bytes).wrapping_neg();
}

/// A whole table with a good header around `body`.
fn table(signature: &[u8; 4], body: &[u8]) -> Vec<u8> {
    let mut bytes = signature.to_vec();
    bytes.extend((36 + body.len() as u32).to_le_bytes());
    bytes.extend([5, 0]);
    bytes.extend(*b"GODWITTESTS     \0\0\0\0\0\0\0\0\0\0");
    bytes.extend(body);
    seal(&mut bytes, 9);
    bytes
}

fn parsed(signature: &[u8; 4], body: &[u8]) -> Table {
    Table { bytes: table(signature, body) }
}

/// A root pointer of ACPI 2.0 and later.
fn rsdp(rsdt: u64, xsdt: u64) -> Vec<u8> {
    let mut bytes = b"RSD PTR \0GODWIT\x02".to_vec();
    bytes.extend((rsdt as u32).to_le_bytes());
    seal(&mut bytes, 8);
    bytes.extend(36_u32.to_le_bytes());
    bytes.extend(xsdt.to_le_bytes());
    bytes.extend([0; 4]);
    seal(&mut bytes, 32);
    bytes
}

fn list_of_tables(addresses: &[u64]) -> Vec<u8> {
    addresses.iter().flat_map(|address| address.to_le_bytes()).collect()
}

/// Runs one table's parser and gives what it says and notes.
fn with_notes<T>(parse: impl FnOnce(&mut Notes) -> T) -> (T, Vec<String>) {
    let mut notes = Notes::new();
    let parsed = parse(&mut notes);
    (parsed, notes.into_list())
}

/// A machine of two CPUs with everything in order.
fn machine() -> SparseMemory {
    SparseMemory::new()
        .with(RSDP, rsdp(RSDT, XSDT))
        .with(XSDT, table(b"XSDT", &list_of_tables(&[FADT, MADT, MCFG, SSDT])))
        .with(MADT, table(b"APIC", &madt::body(&[madt::cpu(0, 0, 1), madt::cpu(1, 1, 1)])))
        .with(FADT, table(b"FACP", &fadt::pc(DSDT)))
        .with(MCFG, table(b"MCFG", &mcfg::body(&[(0xb000_0000, 0, 0, 255)])))
        .with(DSDT, table(b"DSDT", b"\x10\x0cnothing to see"))
        .with(SSDT, table(b"SSDT", b"\x08_S5_\x12\x06\x04\x0a\x05\x0a\x06\0\0"))
}

fn read(memory: &SparseMemory) -> Platform {
    Platform::read(memory, Some(RSDP))
}

/// The one note of a machine with one thing wrong.
fn the_note(memory: &SparseMemory) -> String {
    let platform = read(memory);
    assert_eq!(platform.notes.len(), 1, "{:?}", platform.notes);
    platform.notes[0].clone()
}

#[test]
fn a_machine_in_order_is_read_whole_and_without_a_note() {
    let platform = read(&machine());
    assert_eq!(platform.notes, [""; 0]);
    assert_eq!(platform.supported(0, 64), HostCpus { apic_ids: vec![0, 1], beyond_support: 0 });
    assert_eq!(platform.ecam, [EcamRegion { base: 0xb000_0000, segment: 0, start_bus: 0, end_bus: 255 }]);
    assert_eq!(platform.pm_timer, Some(PmTimer { register: Register::Port(0x608), bits: 24 }));
    assert_eq!(platform.reset, Some(Reset { register: Register::Port(0xcf9), value: 0x0f }));
    let Some(PowerOff::Pm1 { control, sleep_types, enable, status }) = platform.power_off else {
        panic!("power off: {:?}", platform.power_off)
    };
    assert_eq!(control, Pm1 { a: Register::Port(0x604), b: None });
    assert_eq!(status, Some(Pm1 { a: Register::Port(0x600), b: None }));
    assert_eq!(sleep_types, SleepTypes { a: 5, b: 6 });
    assert_eq!(enable, Some(AcpiEnable { port: 0xb2, value: 2 }));
}

#[test]
fn a_refused_table_leaves_the_rest_standing() {
    let mut memory = machine();
    let mut corrupt = table(b"APIC", &madt::body(&[]));
    corrupt[9] = corrupt[9].wrapping_add(3);
    memory.put(MADT, corrupt);
    let platform = read(&memory);
    assert_eq!(
        platform.notes,
        [
            "ACPI MADT at 0x7fe2000: its checksum is off by 0x03; refused",
            "ACPI: there is no usable MADT; the host runs on one CPU",
        ]
    );
    assert_eq!(platform.supported(3, 64), HostCpus { apic_ids: vec![3], beyond_support: 0 });
    assert_eq!(platform.local_apic_address, 0xfee0_0000);
    assert!(platform.power_off.is_some() && platform.ecam.len() == 1);
}

#[test]
fn without_a_root_pointer_the_defaults_are_safe() {
    let platform = Platform::read(&SparseMemory::new(), None);
    assert_eq!(
        platform.notes,
        ["ACPI: there is no root pointer (RSDP); the host runs on one CPU and cannot switch the machine off"]
    );
    assert_eq!(platform.supported(0, 64), HostCpus { apic_ids: vec![0], beyond_support: 0 });
    assert!(platform.ecam.is_empty() && platform.has_8259);
    assert_eq!((platform.power_off, platform.reset, platform.pm_timer), (None, None, None));
}

#[test]
fn without_a_fadt_there_is_no_power_off_and_a_note_says_so() {
    let mut memory = machine();
    memory.put(XSDT, table(b"XSDT", &list_of_tables(&[MADT, MCFG])));
    assert_eq!(the_note(&memory), "ACPI: there is no usable FADT; the host cannot switch the machine off");
}

#[test]
fn without_sleep_types_there_is_no_power_off_and_a_note_says_so() {
    let mut memory = machine();
    memory.put(SSDT, table(b"SSDT", b"nothing"));
    assert_eq!(
        the_note(&memory),
        "ACPI: no DSDT or SSDT holds the sleep types of S5; the host cannot switch the machine off"
    );
}

#[test]
fn more_cpus_than_supported_are_all_listed_and_split() {
    let cpus: Vec<_> = (0..100).map(|id| madt::cpu(id, id, 1)).collect();
    let mut memory = machine();
    memory.put(MADT, table(b"APIC", &madt::body(&cpus)));
    let platform = read(&memory);
    assert_eq!(platform.cpus.len(), 100);
    // The boot processor is the last one listed: it leads, and the first 63 others follow.
    let host = platform.supported(99, 64);
    assert_eq!((host.apic_ids[0], host.apic_ids.len(), host.beyond_support), (99, 64, 36));
    assert_eq!(host.apic_ids[1..], (0..63).collect::<Vec<_>>());
    assert_eq!(platform.supported(0, 0).apic_ids, [0]);
}

#[test]
fn what_switches_the_machine_off_keeps_the_other_bits() {
    assert_eq!(PowerOff::pm1_control(0b1_1100_0000_0001, 5), 0b11_0100_0000_0001);
    assert_eq!(PowerOff::sleep_control(5), 0b11_0100);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// A machine whose tables are damaged anywhere, or made of anything, is read to an end within bounds.
    #[test]
    fn damaged_tables_are_read_within_bounds(
        damage in prop::collection::vec((0_u64..7, 0_u64..0x300, any::<u8>()), 0..24),
        reseal in any::<bool>(),
    ) {
        let starts = [XSDT, MADT, FADT, MCFG, DSDT, SSDT, RSDT];
        let mut memory = machine().with(RSDT, table(b"RSDT", &[0; 40]));
        for start in starts {
            let mut length = [0; 4];
            memory.read(start + 4, &mut length).unwrap();
            let mut bytes = vec![0; u32::from_le_bytes(length) as usize];
            memory.read(start, &mut bytes).unwrap();
            for (which, offset, value) in &damage {
                if starts[*which as usize] == start
                    && let Some(byte) = bytes.get_mut(*offset as usize)
                {
                    *byte = *value;
                }
            }
            if reseal {
                seal(&mut bytes, 9);
            }
            memory.put(start, bytes);
        }
        let platform = read(&memory);
        prop_assert!(platform.notes.len() <= 49);
        prop_assert!(memory.bytes_read() < 4 << 20, "read {} bytes", memory.bytes_read());
    }

    /// Every parser of a body takes any bytes.
    #[test]
    fn any_body_is_parsed_to_an_end(body in prop::collection::vec(any::<u8>(), 0..600)) {
        let mut notes = Notes::new();
        super::madt::parse(&parsed(b"APIC", &body), &mut notes);
        super::mcfg::parse(&parsed(b"MCFG", &body), &mut notes);
        super::fadt::parse(&parsed(b"FACP", &body), &mut notes);
        super::sleep::find_s5(&body);
        prop_assert!(notes.into_list().len() <= 49);
    }
}
