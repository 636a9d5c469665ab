//! Start infos as loaders make them, and as none should.

use proptest::prelude::*;

use super::*;
use crate::sparse_memory::SparseMemory;

const START_INFO: u64 = 0x1000;
const MAP: u64 = 0x2000;
const MODULES: u64 = 0x3000;
const COMMAND_LINE: u64 = 0x4000;
const RSDP: u64 = 0xf_5ac0;

/// A start info of version 1; each test changes what it is about.
struct Given {
    version: u32,
    modules: Vec<(u64, u64, u64)>,
    listed_modules: Option<u32>,
    module_list: u64,
    command_line: u64,
    map: Vec<(u64, u64, u32)>,
    listed_map: Option<u32>,
    map_address: u64,
}

impl Default for Given {
    fn default() -> Self {
        Self {
            version: 1,
            modules: Vec::new(),
            listed_modules: None,
            module_list: MODULES,
            command_line: 0,
            map: vec![(0, 0x9_fc00, 1), (0x10_0000, 0x7ee_0000, 1)],
            listed_map: None,
            map_address: MAP,
        }
    }
}

impl Given {
    fn memory(&self) -> SparseMemory {
        let mut header = Vec::new();
        header.extend(MAGIC.to_le_bytes());
        header.extend(self.version.to_le_bytes());
        header.extend(0_u32.to_le_bytes());
        header.extend(self.listed_modules.unwrap_or(self.modules.len() as u32).to_le_bytes());
        header.extend(self.module_list.to_le_bytes());
        header.extend(self.command_line.to_le_bytes());
        header.extend(RSDP.to_le_bytes());
        if self.version > 0 {
            header.extend(self.map_address.to_le_bytes());
            header.extend(self.listed_map.unwrap_or(self.map.len() as u32).to_le_bytes());
            header.extend(0_u32.to_le_bytes());
        }
        let mut map = Vec::new();
        for (start, bytes, kind) in &self.map {
            map.extend(start.to_le_bytes());
            map.extend(bytes.to_le_bytes());
            map.extend(kind.to_le_bytes());
            map.extend(0_u32.to_le_bytes());
        }
        let mut modules = Vec::new();
        for (start, bytes, command_line) in &self.modules {
            modules.extend(start.to_le_bytes());
            modules.extend(bytes.to_le_bytes());
            modules.extend(command_line.to_le_bytes());
            modules.extend(0_u64.to_le_bytes());
        }
        SparseMemory::new().with(START_INFO, header).with(MAP, map).with(MODULES, modules)
    }

    fn read(&self) -> Handover {
        read(&self.memory(), START_INFO).expect("a start info that is good enough")
    }

    fn read_with_command_line(mut self, bytes: &[u8]) -> Handover {
        self.command_line = COMMAND_LINE;
        read(&self.memory().with(COMMAND_LINE, bytes), START_INFO).expect("a command line is never fatal")
    }
}

fn occupied(handover: &Handover, what: BootData) -> Vec<(u64, u64)> {
    handover
        .occupied
        .iter()
        .filter(|range| range.what == what)
        .map(|range| (range.start, range.bytes))
        .collect()
}

#[test]
fn a_plain_start_info_is_taken_over_whole() {
    let given =
        Given { command_line: COMMAND_LINE, modules: vec![(0x50_0000, 0x1234, 0x4800)], ..Given::default() };
    let memory = given.memory().with(COMMAND_LINE, *b"godwit.host=a\0").with(0x4800, *b"keys\0");
    let handover = read(&memory, START_INFO).unwrap();

    let info = &handover.info;
    assert_eq!((info.path, info.rsdp, info.regions_dropped), (BootPath::Pvh, Some(RSDP), 0));
    assert_eq!((info.command_line.as_str(), info.command_line_cut), ("godwit.host=a", false));
    assert_eq!(
        info.regions.as_slice(),
        [
            MemoryRegion { start: 0, bytes: 0x9_fc00, kind: RegionKind::Usable },
            MemoryRegion { start: 0x10_0000, bytes: 0x7ee_0000, kind: RegionKind::Usable },
        ]
    );
    assert_eq!(info.modules.len(), 1);
    assert_eq!(
        (info.modules[0].start, info.modules[0].bytes, &*info.modules[0].name),
        (0x50_0000, 0x1234, "keys")
    );
    assert!(handover.problems.is_empty());

    assert_eq!(occupied(&handover, BootData::StartInfo), [(START_INFO, 56)]);
    assert_eq!(occupied(&handover, BootData::MemoryMap), [(MAP, 48)]);
    assert_eq!(occupied(&handover, BootData::ModuleList), [(MODULES, 32)]);
    assert_eq!(occupied(&handover, BootData::CommandLine), [(COMMAND_LINE, 14), (0x4800, 5)]);
    assert_eq!(occupied(&handover, BootData::Module), [(0x50_0000, 0x1234)]);
}

#[test]
fn the_structure_must_be_there() {
    let nothing = SparseMemory::new();
    assert_eq!(read(&nothing, START_INFO).unwrap_err(), StartInfoError::Unreadable { address: START_INFO });
    let other = SparseMemory::new().with(START_INFO, [0x5a; 64]);
    assert_eq!(read(&other, START_INFO).unwrap_err(), StartInfoError::BadMagic { found: 0x5a5a_5a5a });
    let last =
        read(&SparseMemory::new().with(u64::MAX - 39, Given::default().memory_header()), u64::MAX - 39);
    assert_eq!(last.unwrap_err(), StartInfoError::Unreadable { address: u64::MAX - 39 });
}

impl Given {
    /// The first 40 bytes of the structure alone.
    fn memory_header(&self) -> Vec<u8> {
        let mut header = vec![0; 40];
        self.memory().read(START_INFO, &mut header).unwrap();
        header
    }
}

#[test]
fn version_0_says_what_is_missing() {
    let given = Given { version: 0, ..Given::default() };
    let error = read(&given.memory(), START_INFO).unwrap_err();
    assert_eq!(error, StartInfoError::NoMemoryMap { version: 0 });
    assert_eq!(
        error.to_string(),
        "PVH start info of version 0 has no memory map: use a loader that gives version 1 with a map"
    );
}

#[test]
fn a_later_version_is_read_as_version_1() {
    assert_eq!(Given { version: 7, ..Given::default() }.read().info.regions.len(), 2);
}

#[test]
fn a_memory_map_must_have_an_entry() {
    let empty = Given { map: Vec::new(), ..Given::default() };
    assert_eq!(read(&empty.memory(), START_INFO).unwrap_err(), StartInfoError::NoMemoryMap { version: 1 });
    let null = Given { map_address: 0, ..Given::default() };
    assert_eq!(read(&null.memory(), START_INFO).unwrap_err(), StartInfoError::NoMemoryMap { version: 1 });
    let nowhere = Given { map_address: 0xdead_0000, ..Given::default() };
    let error = read(&nowhere.memory(), START_INFO).unwrap_err();
    assert_eq!(error, StartInfoError::MemoryMapUnreadable { address: 0xdead_0000 });
    let wraps = Given { map_address: u64::MAX - 7, ..Given::default() };
    let error = read(&wraps.memory(), START_INFO).unwrap_err();
    assert_eq!(error, StartInfoError::MemoryMapUnreadable { address: u64::MAX - 7 });
}

#[test]
fn every_memory_type_has_its_kind() {
    let map = [1, 2, 3, 4, 5, 6, 7, 0, u32::MAX].map(|kind| (0, 0, kind)).to_vec();
    let kinds: Vec<_> =
        Given { map, ..Given::default() }.read().info.regions.iter().map(|r| r.kind).collect();
    use RegionKind::{AcpiNonVolatile, AcpiReclaimable, Reserved, Unusable, Usable};
    assert_eq!(
        kinds,
        [
            Usable,
            Reserved,
            AcpiReclaimable,
            AcpiNonVolatile,
            Unusable,
            Reserved,
            Reserved,
            Reserved,
            Reserved
        ]
    );
}

#[test]
fn a_map_beyond_what_is_kept_is_cut_and_counted() {
    let map = (0..200).map(|i| (i << 20, 1 << 20, 1)).collect();
    let handover = Given { map, ..Given::default() }.read();
    assert_eq!(
        (handover.info.regions.len(), handover.info.regions_dropped),
        (MAX_REGIONS, 200 - MAX_REGIONS)
    );
    assert_eq!(handover.info.regions[MAX_REGIONS - 1].start, (MAX_REGIONS as u64 - 1) << 20);
}

#[test]
fn a_map_that_ends_early_is_kept_as_far_as_it_goes() {
    let handover = Given { listed_map: Some(u32::MAX), ..Given::default() }.read();
    assert_eq!((handover.info.regions.len(), handover.info.regions_dropped), (2, u32::MAX as usize - 2));
    assert_eq!(handover.problems.as_slice(), [Problem::MemoryMapCut { read: 2, listed: u32::MAX }]);
    assert_eq!(occupied(&handover, BootData::MemoryMap), [(MAP, 48)]);
}

#[test]
fn a_command_line_is_cut_at_what_is_kept() {
    let exact = [vec![b'a'; MAX_COMMAND_LINE], vec![0]].concat();
    let handover = Given::default().read_with_command_line(&exact);
    assert_eq!((handover.info.command_line.len(), handover.info.command_line_cut), (MAX_COMMAND_LINE, false));

    let long = [vec![b'a'; MAX_COMMAND_LINE + 1], vec![0]].concat();
    let handover = Given::default().read_with_command_line(&long);
    assert_eq!((handover.info.command_line.len(), handover.info.command_line_cut), (MAX_COMMAND_LINE, true));
    assert!(handover.problems.is_empty());
}

#[test]
fn a_cut_never_falls_inside_a_character() {
    let long = [vec![b'a'; MAX_COMMAND_LINE - 1], "é".into(), vec![b'b'; 9], vec![0]].concat();
    let handover = Given::default().read_with_command_line(&long);
    assert_eq!(handover.info.command_line.as_str(), "a".repeat(MAX_COMMAND_LINE - 1));
    assert!(handover.info.command_line_cut);
}

#[test]
fn what_is_not_utf_8_is_replaced() {
    let handover = Given::default().read_with_command_line(b"a=\xff\xfeb \xe2\x82 c\0");
    assert_eq!(handover.info.command_line.as_str(), "a=\u{fffd}\u{fffd}b \u{fffd} c");
    let tail = Given::default().read_with_command_line(b"tail=\xc3\0");
    assert_eq!(tail.info.command_line.as_str(), "tail=\u{fffd}");
    assert!(!tail.info.command_line_cut);
    let swollen = [vec![0xff; MAX_COMMAND_LINE], vec![0]].concat();
    let swollen = Given::default().read_with_command_line(&swollen);
    assert_eq!(swollen.info.command_line.chars().count(), MAX_COMMAND_LINE / 3);
    assert!(swollen.info.command_line_cut);
}

#[test]
fn a_command_line_without_an_end_is_kept_as_far_as_it_goes() {
    let handover = Given::default().read_with_command_line(b"log=info");
    assert_eq!(handover.info.command_line.as_str(), "log=info");
    let address = COMMAND_LINE + 8;
    assert_eq!(handover.problems.as_slice(), [Problem::CommandLineUnreadable { address }]);
}

#[test]
fn modules_of_zero_length_occupy_nothing_but_are_listed() {
    let handover = Given { modules: vec![(0x50_0000, 0, 0)], ..Given::default() }.read();
    assert_eq!((handover.info.modules.len(), handover.info.modules[0].bytes), (1, 0));
    assert_eq!(occupied(&handover, BootData::Module), []);
    assert!(handover.problems.is_empty());
}

#[test]
fn modules_that_cannot_be_are_dropped_with_a_word() {
    let modules = vec![(u64::MAX, 2, 0), (0x1000, (1 << 52) - 0xfff, 0), (0x50_0000, 0x1000, 0xdead_0000)];
    let handover = Given { modules, ..Given::default() }.read();
    assert_eq!(handover.info.modules.len(), 1);
    assert_eq!(
        handover.problems.as_slice(),
        [
            Problem::ModuleOutOfRange { index: 0 },
            Problem::ModuleOutOfRange { index: 1 },
            Problem::ModuleNameUnreadable { index: 2 },
        ]
    );
}

#[test]
fn modules_beyond_what_is_kept_are_counted() {
    let modules = (0..20).map(|i| (0x50_0000 + i * 0x1000, 0x1000, 0)).collect();
    let handover = Given { modules, ..Given::default() }.read();
    assert_eq!(handover.info.modules.len(), MAX_MODULES);
    assert_eq!(handover.problems.as_slice(), [Problem::ModulesDropped { count: 4 }]);
}

#[test]
fn a_module_list_that_cannot_be_read_is_reported() {
    let given = Given { listed_modules: Some(2), modules: vec![(0x50_0000, 1, 0)], ..Given::default() };
    let handover = given.read();
    assert_eq!(
        (handover.info.modules.len(), handover.problems.as_slice()),
        (1, &[Problem::ModuleListCut { index: 1 }][..])
    );
    let null = Given { listed_modules: Some(1), module_list: 0, ..Given::default() }.read();
    assert_eq!(null.problems.as_slice(), [Problem::ModuleListCut { index: 0 }]);
    assert_eq!(occupied(&null, BootData::ModuleList), []);
}

#[test]
fn a_module_name_is_cut_at_what_is_kept() {
    let given = Given { modules: vec![(0x50_0000, 1, COMMAND_LINE)], ..Given::default() };
    let memory = given.memory().with(COMMAND_LINE, [b'n'; 100]);
    let handover = read(&memory, START_INFO).unwrap();
    assert_eq!(handover.info.modules[0].name.as_str(), "n".repeat(64));
    assert!(handover.problems.is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// Whatever a loader leaves there, reading it ends, reads little, and gives ranges that can be kept.
    #[test]
    fn any_bytes_are_read_within_bounds(
        version in prop_oneof![Just(0_u32), Just(1), any::<u32>()],
        counts in (any::<u32>(), prop_oneof![0_u32..40, any::<u32>()]),
        pointers in prop::array::uniform4(prop_oneof![0_u64..0x400, any::<u64>(), Just(u64::MAX - 3)]),
        bytes in prop::collection::vec(any::<u8>(), 0x400),
    ) {
        let mut start_info = bytes;
        start_info[..4].copy_from_slice(&MAGIC.to_le_bytes());
        start_info[4..8].copy_from_slice(&version.to_le_bytes());
        start_info[12..16].copy_from_slice(&counts.1.to_le_bytes());
        start_info[48..52].copy_from_slice(&counts.0.to_le_bytes());
        for (pointer, offset) in pointers.iter().zip([16, 24, 32, 40]) {
            start_info[offset..offset + 8].copy_from_slice(&pointer.to_le_bytes());
        }
        let memory = SparseMemory::new().with(0, start_info);
        if let Ok(handover) = read(&memory, 0) {
            prop_assert!(!handover.info.regions.is_empty());
            prop_assert!(handover.occupied.iter().all(|r| r.bytes > 0 && r.start + r.bytes <= 1 << 52));
            prop_assert_eq!(occupied(&handover, BootData::StartInfo), [(0, 56)]);
        }
        let most = 56 + MAX_REGIONS * 24 + MAX_COMMAND_LINE + 1 + MAX_MODULES * (32 + 65);
        prop_assert!(memory.bytes_read() <= most, "read {} bytes", memory.bytes_read());
    }
}
