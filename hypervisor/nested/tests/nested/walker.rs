//! An independent walker: what a processor makes of the raw entries, by the bit positions in the manuals.

use std::collections::BTreeSet;

use godwit_nested::{Ept, Format, Npt};

use crate::memory::Tables;

/// Whose processor walks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Vendor {
    /// APM vol. 2, 15.25 and 5.4.1.
    Amd,
    /// SDM vol. 3, 30.3.2.
    Intel,
}

/// A format under test, and who walks it.
pub(crate) trait Walked: Format {
    const VENDOR: Vendor;
}

impl Walked for Npt {
    const VENDOR: Vendor = Vendor::Amd;
}

impl Walked for Ept {
    const VENDOR: Vendor = Vendor::Intel;
}

/// A leaf as the raw entry says it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct RawLeaf {
    pub(crate) guest_frame: u64,
    pub(crate) host: u64,
    pub(crate) order: u8,
    pub(crate) write: bool,
    pub(crate) execute: bool,
    pub(crate) accessed: bool,
    pub(crate) dirty: bool,
}

impl RawLeaf {
    pub(crate) fn end(&self) -> u64 {
        self.guest_frame + (1 << self.order)
    }
}

const fn bit(entry: u64, position: u32) -> bool {
    entry >> position & 1 != 0
}

const fn address(entry: u64) -> u64 {
    entry >> 12 & ((1 << 40) - 1)
}

/// An entry `depth` steps below the root: 0 for the root's own entries, 3 for those of the last tables.
enum Meaning {
    Absent,
    Table(u64),
    /// The guest frame is left 0.
    Leaf(RawLeaf),
}

/// Reads an entry as a processor does, and checks every reserved or ignored bit on the way.
fn read(vendor: Vendor, entry: u64, depth: u8) -> Meaning {
    let order = (3 - depth) * 9;
    let last = depth == 3;
    match vendor {
        Vendor::Amd => {
            if !bit(entry, 0) {
                assert_eq!(entry, 0, "nothing is left in an absent entry");
                return Meaning::Absent;
            }
            assert!(bit(entry, 2), "{entry:#x}: nested accesses are user accesses");
            let unused = 0x7ff << 52 | 0xf << 8 | 0b11 << 3;
            assert_eq!(entry & unused, 0, "{entry:#x}: PWT, PCD, G, available and ignored bits");
            let leaf = last || bit(entry, 7);
            if !leaf {
                assert!(bit(entry, 1) && !bit(entry, 63), "{entry:#x}: a table forbids nothing");
                assert!(!bit(entry, 6), "{entry:#x}: only leaves are dirty");
                return Meaning::Table(address(entry));
            }
            assert!(!last || !bit(entry, 7), "{entry:#x}: bit 7 is PAT in the last table");
            check_leaf(entry, depth, order);
            Meaning::Leaf(RawLeaf {
                guest_frame: 0,
                host: address(entry),
                order,
                write: bit(entry, 1),
                execute: !bit(entry, 63),
                accessed: bit(entry, 5),
                dirty: bit(entry, 6),
            })
        }
        Vendor::Intel => {
            if entry & 0b111 == 0 {
                assert_eq!(entry, 0, "nothing is left in an absent entry");
                return Meaning::Absent;
            }
            assert!(bit(entry, 0), "{entry:#x}: what is not readable is a misconfiguration or of no use");
            assert_eq!(entry & (0xfff << 52 | 0b11 << 10), 0, "{entry:#x}: ignored bits");
            let leaf = last || bit(entry, 7);
            if !leaf {
                assert_eq!(entry & 0b111, 0b111, "{entry:#x}: a table forbids nothing");
                assert_eq!(entry & 0b10_1111_1000, 0, "{entry:#x}: reserved bits, and only leaves are dirty");
                return Meaning::Table(address(entry));
            }
            assert!(!last || !bit(entry, 7), "{entry:#x}: bit 7 is ignored in the last table");
            assert_eq!(entry >> 3 & 0b1111, 6, "{entry:#x}: write-back, and the guest's PAT counts");
            check_leaf(entry, depth, order);
            Meaning::Leaf(RawLeaf {
                guest_frame: 0,
                host: address(entry),
                order,
                write: bit(entry, 1),
                execute: bit(entry, 2),
                accessed: bit(entry, 8),
                dirty: bit(entry, 9),
            })
        }
    }
}

fn check_leaf(entry: u64, depth: u8, order: u8) {
    assert_ne!(depth, 0, "{entry:#x}: the root has no leaves");
    assert_eq!(address(entry) % (1 << order), 0, "{entry:#x}: low address bits of a large leaf are reserved");
}

/// All leaves in order. Checks that every table in use is reached once, and that none but the root is empty.
pub(crate) fn leaves(vendor: Vendor, tables: &Tables, root: u64) -> Vec<RawLeaf> {
    let mut reached = BTreeSet::new();
    let mut leaves = Vec::new();
    collect(vendor, tables, root, 0, 0, &mut reached, &mut leaves);
    assert!(reached.iter().eq(tables.keys()), "tables in use that nothing names");
    leaves
}

fn collect(
    vendor: Vendor,
    tables: &Tables,
    table: u64,
    depth: u8,
    base: u64,
    reached: &mut BTreeSet<u64>,
    leaves: &mut Vec<RawLeaf>,
) {
    assert!(reached.insert(table), "table {table:#x} is named twice");
    let before = leaves.len();
    for (index, entry) in tables[&table].iter().enumerate() {
        let guest_frame = base + ((index as u64) << ((3 - depth) * 9));
        match read(vendor, *entry, depth) {
            Meaning::Absent => {}
            Meaning::Table(child) => collect(vendor, tables, child, depth + 1, guest_frame, reached, leaves),
            Meaning::Leaf(leaf) => leaves.push(RawLeaf { guest_frame, ..leaf }),
        }
    }
    assert!(depth == 0 || leaves.len() > before, "table {table:#x} is empty");
}

/// Uses a guest frame as a processor with nothing in its caches: answers the host frame and marks what it used, or `None`
/// for a fault, which marks nothing.
pub(crate) fn touch(vendor: Vendor, tables: &mut Tables, root: u64, frame: u64, write: bool) -> Option<u64> {
    let (accessed, dirty, present) = match vendor {
        Vendor::Amd => (5, 6, 0b1),
        Vendor::Intel => (8, 9, 0b111),
    };
    if frame >> 36 != 0 {
        return None;
    }
    let index = |depth: u64| (frame >> ((3 - depth) * 9) & 511) as usize;
    let mut used = Vec::new();
    let mut table = root;
    for depth in 0..4 {
        let entry = tables[&table][index(depth)];
        if entry & present == 0 {
            return None;
        }
        used.push((table, index(depth)));
        if depth == 3 || bit(entry, 7) {
            if write && !bit(entry, 1) {
                return None;
            }
            for (table, index) in &used {
                tables.get_mut(table).unwrap()[*index] |= 1 << accessed;
            }
            if write {
                tables.get_mut(&table).unwrap()[index(depth)] |= 1 << dirty;
            }
            return Some(address(entry) + frame % (1 << ((3 - depth) * 9)));
        }
        table = address(entry);
    }
    unreachable!("the fourth table has only leaves")
}
