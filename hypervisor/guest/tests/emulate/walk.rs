//! Page tables of every format, by hand.

use godwit_guest::{
    GuestAddress,
    emulate::walk::{Access, PageFault, Translation, walk},
    vcpu::SystemState,
};

use crate::fake::{CR0_PAGING, CR0_PROTECTED, CR0_WRITE_PROTECT, EFER_LONG, FakeCpu, Memory};

const READ: Access = Access { write: false, fetch: false, user: false };
const WRITE: Access = Access { write: true, ..READ };
const FETCH: Access = Access { fetch: true, ..READ };
const USER_READ: Access = Access { user: true, ..READ };
const USER_WRITE: Access = Access { write: true, ..USER_READ };
const USER_FETCH: Access = Access { fetch: true, ..USER_READ };

const PSE: u64 = 1 << 4;
const PAE: u64 = 1 << 5;
const SMEP: u64 = 1 << 20;
const SMAP: u64 = 1 << 21;
const NXE: u64 = 1 << 11;
const NO_EXECUTE: u64 = 1 << 63;
const AC: u64 = 1 << 18;

fn system(cr4: u64, efer: u64) -> SystemState {
    let mut system = FakeCpu::protected().system;
    system.control.cr0 = CR0_PROTECTED | CR0_PAGING | CR0_WRITE_PROTECT;
    system.control.cr3 = 0x1000;
    system.control.cr4 = cr4;
    system.control.efer = efer;
    system
}

fn long(cr4: u64) -> SystemState {
    system(PAE | cr4, EFER_LONG | NXE)
}

/// Tables in memory, from a list of addresses and entries.
fn tables(entries: &[(u64, u64)]) -> Memory {
    let memory = Memory::new();
    for (at, entry) in entries {
        memory.put(*at, &entry.to_le_bytes());
    }
    memory
}

fn to(address: u64, page_bytes: u64) -> Result<Translation, PageFault> {
    Ok(Translation { address: GuestAddress(address), page_bytes })
}

fn fault(address: u64, error_code: u32) -> Result<Translation, PageFault> {
    Err(PageFault { address, error_code })
}

#[test]
fn without_paging_addresses_are_physical() {
    let system = FakeCpu::protected().system;
    assert_eq!(walk(&system, 2, &Memory::new(), 0x1234_5678, WRITE), to(0x1234_5678, 4096));
}

#[test]
fn two_levels_of_32_bit_tables() {
    let memory = Memory::new();
    let put = |at, entry: u32| memory.put(at, &entry.to_le_bytes());
    put(0x1000 + 4, 0x2000 | 7);
    put(0x2000 + 3 * 4, 0xabc0_0000 | 7);
    // 4 MiB at 0x3_8040_0000: bits 32 to 39 of the address stand in bits 13 to 20.
    put(0x1000 + 2 * 4, 0x8040_0000 | (3 << 13) | 0x87);
    put(0x1000 + 3 * 4, (1 << 21) | 0x87);
    let system = self::system(PSE, 0);
    assert_eq!(walk(&system, 2, &memory, 0x0040_3123, READ), to(0xabc0_0123, 4096));
    assert_eq!(walk(&system, 2, &memory, 0x00b0_4567, READ), to(0x3_8070_4567, 4 << 20));
    assert_eq!(walk(&system, 2, &memory, 0x00c0_0000, READ), fault(0x00c0_0000, 9));
    // Without CR4.PSE the bit is ignored and the entry leads to a table, here outside RAM, which reads as all ones.
    let system = self::system(0, 0);
    assert_eq!(walk(&system, 2, &memory, 0x00b0_4567, READ), to(0xffff_f567, 4096));
    // There is no no-execute bit, so none in the error code.
    assert_eq!(walk(&system, 2, &memory, 0x0100_0000, FETCH), fault(0x0100_0000, 0));
}

#[test]
fn three_levels_of_pae_tables() {
    let memory = tables(&[
        (0x1020 + 3 * 8, 0x2001),
        (0x2000, 0x3007),
        (0x3000 + 5 * 8, 0x12_3456_7007),
        (0x2000 + 8, 0x12_3440_0087),
        (0x1020 + 2 * 8, 0x2003),
        (0x2000 + 2 * 8, (1 << 52) | 0x3007),
        (0x2000 + 3 * 8, 0x3087),
    ]);
    let mut system = self::system(PAE, 0);
    // Four pointers, aligned to 32 bytes only.
    system.control.cr3 = 0x1020;
    assert_eq!(walk(&system, 2, &memory, 0xc000_5abc, READ), to(0x12_3456_7abc, 4096));
    assert_eq!(walk(&system, 2, &memory, 0xc031_2345, WRITE), to(0x12_3451_2345, 2 << 20));
    assert_eq!(walk(&system, 2, &memory, 0x8000_0000, READ), fault(0x8000_0000, 9));
    assert_eq!(walk(&system, 2, &memory, 0xc040_0000, READ), fault(0xc040_0000, 9));
    assert_eq!(walk(&system, 2, &memory, 0xc060_0000, READ), fault(0xc060_0000, 9));
    assert_eq!(walk(&system, 2, &memory, 0x4000_0000, USER_WRITE), fault(0x4000_0000, 6));
    // A pointer that an emulated processor has marked accessed, and one with a bit that is reserved.
    memory.put(0x1038, &0x2021u64.to_le_bytes());
    assert_eq!(walk(&system, 2, &memory, 0xc000_5abc, READ), to(0x12_3456_7abc, 4096));
    memory.put(0x1038, &0x2041u64.to_le_bytes());
    assert_eq!(walk(&system, 2, &memory, 0xc000_5abc, READ), fault(0xc000_5abc, 9));
    memory.put(0x1038, &0x2001u64.to_le_bytes());
    walk(&system, 2, &memory, 0xc000_5abc, READ).unwrap();
    // The pointer has neither rights nor an accessed bit.
    assert_eq!(memory.get(0x1038), 0x2001u64.to_le_bytes());
}

#[test]
fn four_levels_with_all_page_sizes() {
    let memory = tables(&[
        (0x1000 + 511 * 8, 0x2007),
        (0x2000 + 510 * 8, 0x3007),
        (0x3000 + 3 * 8, 0x4007),
        (0x4000 + 9 * 8, 0x5_6789_a007),
        (0x3000 + 4 * 8, 0x5_6780_1087),
        (0x2000 + 8, 0x5_4000_0087),
        (0x3000 + 5 * 8, 0x2087),
        (0x1000, 0x2087),
    ]);
    let system = long(0);
    let base = 0xffff_ffff_8000_0000;
    assert_eq!(walk(&system, 2, &memory, base + 0x60_9123, READ), to(0x5_6789_a123, 4096));
    assert_eq!(walk(&system, 2, &memory, base + 0x81_2345, READ), to(0x5_6781_2345, 2 << 20));
    let gib = 0xffff_ff80_4000_0000;
    assert_eq!(walk(&system, 2, &memory, gib + 0x1234_5678, READ), to(0x5_5234_5678, 1 << 30));
    // Bits between the page's size and bit 13, and a large bit at the top, are reserved.
    assert_eq!(walk(&system, 2, &memory, base + 0xa0_0000, READ), fault(base + 0xa0_0000, 9));
    assert_eq!(walk(&system, 2, &memory, 0x1234, USER_FETCH), fault(0x1234, 0x1d));
}

#[test]
fn rights_come_from_every_level() {
    // The page's rights at its last level; the levels above allow all.
    let check = |leaf: u64, access: Access, cr4: u64, rflags: u64| {
        let memory = tables(&[(0x1000, 0x2007), (0x2000, 0x3007), (0x3000, 0x4007), (0x4000, leaf)]);
        let result = walk(&long(cr4), rflags, &memory, 0x10, access);
        result.map(|found| assert_eq!(found.address.0, 0x9010)).map_err(|fault| fault.error_code)
    };
    const KERNEL_READ: u64 = 0x9001;
    const KERNEL_WRITE: u64 = 0x9003;
    const USER_READABLE: u64 = 0x9005;
    const USER_WRITABLE: u64 = 0x9007;
    for (leaf, access, cr4, rflags, expected) in [
        (KERNEL_WRITE, WRITE, 0, 2, Ok(())),
        (KERNEL_READ, READ, 0, 2, Ok(())),
        (KERNEL_READ, WRITE, 0, 2, Err(3)),
        (KERNEL_WRITE, USER_READ, 0, 2, Err(5)),
        (KERNEL_WRITE, USER_WRITE, 0, 2, Err(7)),
        (USER_READABLE, USER_READ, 0, 2, Ok(())),
        (USER_READABLE, USER_WRITE, 0, 2, Err(7)),
        (USER_WRITABLE, USER_WRITE, 0, 2, Ok(())),
        (USER_WRITABLE, USER_FETCH, 0, 2, Ok(())),
        (USER_WRITABLE | NO_EXECUTE, USER_FETCH, 0, 2, Err(0x15)),
        (KERNEL_WRITE | NO_EXECUTE, FETCH, 0, 2, Err(0x11)),
        (KERNEL_WRITE | NO_EXECUTE, WRITE, 0, 2, Ok(())),
        (USER_WRITABLE, FETCH, 0, 2, Ok(())),
        (USER_WRITABLE, FETCH, SMEP, 2, Err(0x11)),
        (KERNEL_WRITE, FETCH, SMEP, 2, Ok(())),
        (USER_WRITABLE, READ, SMAP, 2, Err(1)),
        (USER_WRITABLE, READ, SMAP, AC, Ok(())),
        (USER_WRITABLE, USER_READ, SMAP, 2, Ok(())),
        (USER_WRITABLE, FETCH, SMAP, 2, Ok(())),
        (KERNEL_WRITE, READ, SMAP, 2, Ok(())),
    ] {
        assert_eq!(check(leaf, access, cr4, rflags), expected, "{leaf:#x} {access:?} {cr4:#x}");
    }
    // One level that forbids is enough, whichever it is.
    for forbidding in 0..4 {
        let build = |clear: u64| {
            let mut entries = [(0x1000, 0x2007), (0x2000, 0x3007), (0x3000, 0x4007), (0x4000, 0x9007)];
            entries[forbidding].1 &= !clear;
            tables(&entries)
        };
        assert_eq!(walk(&long(0), 2, &build(2), 0x10, USER_WRITE), fault(0x10, 7));
        assert_eq!(walk(&long(0), 2, &build(4), 0x10, USER_READ), fault(0x10, 5));
        assert_eq!(walk(&long(0), 2, &build(1), 0x10, WRITE), fault(0x10, 2));
    }
}

#[test]
fn no_execute_is_reserved_until_it_is_enabled() {
    let memory =
        tables(&[(0x1000, 0x2007), (0x2000, 0x3007), (0x3000, 0x4007), (0x4000, NO_EXECUTE | 0x9007)]);
    let system = self::system(PAE, EFER_LONG);
    assert_eq!(walk(&system, 2, &memory, 0x10, READ), fault(0x10, 9));
    assert_eq!(walk(&system, 2, &memory, 0x10, FETCH), fault(0x10, 9));
}

#[test]
fn marks_accessed_and_dirty_only_where_the_access_is_allowed() {
    let memory = tables(&[(0x1000, 0x2007), (0x2000, 0x3007), (0x3000, 0x4007), (0x4000, 0x9005)]);
    let entries = || [0x1000, 0x2000, 0x3000, 0x4000].map(|at| u64::from_le_bytes(memory.get(at)));
    walk(&long(0), 2, &memory, 0x10, WRITE).unwrap_err();
    assert_eq!(entries(), [0x2007, 0x3007, 0x4007, 0x9005]);
    walk(&long(0), 2, &memory, 0x10, READ).unwrap();
    assert_eq!(entries(), [0x2027, 0x3027, 0x4027, 0x9025]);
    memory.put(0x4000, &0x9007u64.to_le_bytes());
    walk(&long(0), 2, &memory, 0x10, WRITE).unwrap();
    assert_eq!(entries(), [0x2027, 0x3027, 0x4027, 0x9067]);
}
