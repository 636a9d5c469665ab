//! A stretch of addresses whose page tables a trial can change: 512 GiB from [`WINDOW`] on.

use x86_64::{VirtAddr, instructions::tlb};

use crate::single::Single;

/// Its first address: entry 1 of the top table.
pub(crate) const WINDOW: u64 = 0x80_0000_0000;

pub(crate) const PRESENT: u64 = 1;
pub(crate) const WRITABLE: u64 = 1 << 1;
pub(crate) const USER: u64 = 1 << 2;
pub(crate) const ACCESSED: u64 = 1 << 5;
pub(crate) const DIRTY: u64 = 1 << 6;
const LARGE: u64 = 1 << 7;
pub(crate) const NO_EXECUTE: u64 = 1 << 63;

type Table = Single<[u64; 512]>;

static POINTERS: Table = Single::new([0; 512]);
static DIRECTORY: Table = Single::new([0; 512]);
static PAGES: Table = Single::new([0; 512]);

// SAFETY: the entry code defines them; only their addresses are used.
unsafe extern "C" {
    static mut boot_pml4: [u64; 512];
    static mut boot_pdpt: [u64; 512];
}

/// The size of a page.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Size {
    Page4K,
    Page2M,
    Page1G,
}

impl Size {
    pub(crate) const fn bytes(self) -> u64 {
        match self {
            Self::Page4K => 4 << 10,
            Self::Page2M => 2 << 20,
            Self::Page1G => 1 << 30,
        }
    }

    /// Where a page of this size lies in the window: each size has its own place.
    pub(crate) const fn address(self) -> u64 {
        match self {
            Self::Page4K => WINDOW,
            Self::Page2M => WINDOW + (2 << 20),
            Self::Page1G => WINDOW + (1 << 30),
        }
    }
}

/// Maps a page of `size` to `physical` with these rights, and answers its address. Rights 0 unmap it.
pub(crate) fn map(size: Size, physical: u64, rights: u64) -> u64 {
    let upper = PRESENT | WRITABLE | USER;
    let put = |table: &Table, index: usize, entry: u64| {
        // SAFETY: inside the table, which nothing else writes.
        unsafe { table.get().cast::<u64>().add(index).write_volatile(entry) };
    };
    // SAFETY: entry 1 of the top table is this window's.
    unsafe { (&raw mut boot_pml4).cast::<u64>().add(1).write_volatile(POINTERS.address() | upper) };
    put(&POINTERS, 0, DIRECTORY.address() | upper);
    put(&DIRECTORY, 0, PAGES.address() | upper);
    let entry = if rights == 0 { 0 } else { physical | rights };
    match size {
        Size::Page4K => put(&PAGES, 0, entry),
        Size::Page2M => put(&DIRECTORY, 1, entry | if entry == 0 { 0 } else { LARGE }),
        Size::Page1G => put(&POINTERS, 1, entry | if entry == 0 { 0 } else { LARGE }),
    }
    tlb::flush(VirtAddr::new(size.address()));
    size.address()
}

/// The second 4 KiB page of the window, right behind the first; rights 0 unmap it.
pub(crate) fn map_second(physical: u64, rights: u64) -> u64 {
    let entry = if rights == 0 { 0 } else { physical | rights };
    // SAFETY: inside the table, which nothing else writes.
    unsafe { PAGES.get().cast::<u64>().add(1).write_volatile(entry) };
    tlb::flush(VirtAddr::new(WINDOW + 4096));
    WINDOW + 4096
}

/// Writes the entry of the first 4 KiB page, and flushes nothing.
pub(crate) fn replace(entry: u64) {
    // SAFETY: inside the table, which nothing else writes.
    unsafe { PAGES.get().cast::<u64>().write_volatile(entry) };
}

/// Lets the window's 4 KiB pages go through the table at this physical address, until [`map`] is used again.
pub(crate) fn use_table(physical: u64) {
    // SAFETY: as above.
    unsafe {
        DIRECTORY.get().cast::<u64>().write_volatile(physical | PRESENT | WRITABLE | USER);
    }
    tlb::flush_all();
}

/// The entry that maps the page of `size`.
pub(crate) fn entry(size: Size) -> u64 {
    let (table, index) = match size {
        Size::Page4K => (&PAGES, 0),
        Size::Page2M => (&DIRECTORY, 1),
        Size::Page1G => (&POINTERS, 1),
    };
    // SAFETY: inside the table; the processor sets bits in it.
    unsafe { table.get().cast::<u64>().add(index).read_volatile() }
}

/// Maps memory from 4 GiB up to `end` at its own address by 1 GiB pages, as far as 512 GiB.
pub(crate) fn map_above_4g(end: u64) {
    for gib in 4..end.div_ceil(1 << 30).min(512) {
        // SAFETY: entries 0 to 3 stay; the others are unused so far.
        unsafe {
            let table = (&raw mut boot_pdpt).cast::<u64>();
            table.add(gib as usize).write_volatile(gib << 30 | PRESENT | WRITABLE | LARGE);
        }
    }
}
