//! Table memory that catches what must not happen, and lets a processor run between any two accesses.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use godwit_frames::HostFrame;
use godwit_nested::TableMemory;

/// Tables by frame number.
pub(crate) type Tables = BTreeMap<u64, Box<[u64; 512]>>;

/// Something that happens just before the access with this number, counted from 0.
type Meanwhile = Box<dyn FnMut(u64, &mut Tables)>;

/// A frame number is never given out twice, so that an access to a freed table is always seen.
pub(crate) struct Memory {
    tables: RefCell<Tables>,
    next: u64,
    /// Tables that may still be allocated.
    pub(crate) left: usize,
    /// Tables that were ever allocated.
    pub(crate) allocated: usize,
    accesses: Cell<u64>,
    meanwhile: RefCell<Option<Meanwhile>>,
}

impl Memory {
    pub(crate) fn new() -> Self {
        Self {
            tables: RefCell::default(),
            next: 0x7_0000_0000,
            left: usize::MAX,
            allocated: 0,
            accesses: Cell::new(0),
            meanwhile: RefCell::default(),
        }
    }

    pub(crate) fn tables(&self) -> std::cell::Ref<'_, Tables> {
        self.tables.borrow()
    }

    pub(crate) fn tables_mut(&self) -> std::cell::RefMut<'_, Tables> {
        self.tables.borrow_mut()
    }

    /// From now on `happens` is called before every access, with its number from 0 on.
    pub(crate) fn meanwhile(&self, happens: impl FnMut(u64, &mut Tables) + 'static) {
        self.accesses.set(0);
        *self.meanwhile.borrow_mut() = Some(Box::new(happens));
    }

    /// Ends [`meanwhile`](Self::meanwhile), and answers how many accesses there were.
    pub(crate) fn alone_again(&self) -> u64 {
        *self.meanwhile.borrow_mut() = None;
        self.accesses.get()
    }

    fn access<T>(&self, table: HostFrame, index: usize, act: impl FnOnce(&mut u64) -> T) -> T {
        if let Some(happens) = self.meanwhile.borrow_mut().as_mut() {
            happens(self.accesses.replace(self.accesses.get() + 1), &mut self.tables_mut());
        }
        let mut tables = self.tables_mut();
        let table = tables.get_mut(&table.number()).unwrap_or_else(|| panic!("{table:?} is no table in use"));
        act(&mut table[index])
    }
}

impl TableMemory for Memory {
    fn load(&self, table: HostFrame, index: usize) -> u64 {
        self.access(table, index, |entry| *entry)
    }

    fn store(&mut self, table: HostFrame, index: usize, entry: u64) {
        self.access(table, index, |stored| *stored = entry);
    }

    fn clear(&mut self, table: HostFrame, index: usize, mask: u64) -> u64 {
        self.access(table, index, |entry| {
            let before = *entry;
            *entry &= !mask;
            before
        })
    }

    fn allocate(&mut self) -> Option<HostFrame> {
        self.left = self.left.checked_sub(1)?;
        self.allocated += 1;
        self.next += 1;
        self.tables_mut().insert(self.next, Box::new([0; 512]));
        Some(HostFrame::new(self.next))
    }

    fn free(&mut self, table: HostFrame) {
        let freed = self.tables_mut().remove(&table.number());
        assert!(freed.is_some(), "{table:?} is freed, and was no table in use");
    }
}
