//! Where registers and interrupt table lie, as configuration space says it.

use std::{cell::RefCell, collections::HashMap};

use proptest::prelude::*;

use crate::{
    nic::{
        Registers,
        capability::{self, Layout, NoLayout, Window},
        msi_x::MsiX,
    },
    pci::{ConfigSpace, FunctionAddress, let_use_memory, open_registers},
};

const AT: FunctionAddress = match FunctionAddress::new(0, 0, 2, 0) {
    Some(at) => at,
    None => panic!("in range"),
};

/// One function: 256 bytes, of which base address registers 1 (4 KiB) and 4 and 5 (16 KiB, 64 bits) are as QEMU's.
struct Config(RefCell<[u8; 256]>);

impl Config {
    fn new() -> Self {
        let mut bytes = [0; 256];
        bytes[..4].copy_from_slice(&0x1041_1af4u32.to_le_bytes());
        bytes[6] = 0x10;
        bytes[0x14..0x18].copy_from_slice(&0xfebf_1000u32.to_le_bytes());
        bytes[0x20..0x24].copy_from_slice(&0x0000_000cu32.to_le_bytes());
        bytes[0x24..0x28].copy_from_slice(&0x0000_0008u32.to_le_bytes());
        Self(RefCell::new(bytes))
    }

    /// Adds capabilities one after the other from 0x40 on.
    fn with(self, list: &[&[u8]]) -> Self {
        let mut at = 0x40;
        self.0.borrow_mut()[0x34] = at;
        for (index, content) in list.iter().enumerate() {
            let start = usize::from(at);
            at += content.len().next_multiple_of(4) as u8;
            let mut bytes = self.0.borrow_mut();
            bytes[start..start + content.len()].copy_from_slice(content);
            bytes[start + 1] = if index + 1 == list.len() { 0 } else { at };
        }
        self
    }
}

impl ConfigSpace for Config {
    fn read32(&self, _: FunctionAddress, offset: u16) -> u32 {
        let bytes = self.0.borrow();
        bytes
            .get(usize::from(offset)..)
            .and_then(|rest| rest.first_chunk())
            .map_or(u32::MAX, |word| u32::from_le_bytes(*word))
    }

    fn write32(&self, _: FunctionAddress, offset: u16, value: u32) {
        let writable = match offset {
            0x04 => 0x507,
            0x14 => 0xffff_f000,
            0x20 => 0xffff_c000,
            0x24 | 0x80.. => u32::MAX,
            _ => 0,
        };
        let fixed = self.read32(AT, offset) & !writable;
        self.0.borrow_mut()[usize::from(offset)..][..4]
            .copy_from_slice(&(fixed | value & writable).to_le_bytes());
    }
}

/// A virtio capability of `kind` for `bytes` bytes from `offset` on of base address register `bar`.
fn virtio(kind: u8, bar: u8, offset: u32, bytes: u32) -> Vec<u8> {
    let length = if kind == 2 { 20 } else { 16 };
    let mut content = vec![9, 0, length, kind, bar, 0, 0, 0];
    content.extend(offset.to_le_bytes());
    content.extend(bytes.to_le_bytes());
    if kind == 2 {
        content.extend(4u32.to_le_bytes());
    }
    content
}

fn find(list: &[Vec<u8>]) -> Result<Layout, NoLayout> {
    let list: Vec<_> = list.iter().map(Vec::as_slice).collect();
    capability::find(&Config::new().with(&list), AT)
}

#[test]
fn a_device_as_emulators_make_it_is_read() {
    let layout = find(&[
        virtio(5, 0, 0, 0),
        virtio(2, 4, 0x3000, 0x1000),
        virtio(4, 4, 0x2000, 0x1000),
        virtio(3, 4, 0x1000, 0x1000),
        virtio(1, 4, 0, 0x1000),
    ]);
    let window = |address, bytes| Window { address, bytes };
    assert_eq!(
        layout,
        Ok(Layout {
            common: window(0x8_0000_0000, 0x1000),
            notify: window(0x8_0000_3000, 0x1000),
            notify_multiplier: 4,
            device: window(0x8_0000_2000, 0x1000),
        })
    );
}

#[test]
fn of_several_windows_the_first_that_lies_inside_its_range_counts() {
    let rest = [virtio(2, 4, 0, 64), virtio(4, 4, 0, 64)];
    for (unusable, why) in [
        (virtio(1, 4, 0x3000, 0x1001), "beyond the range"),
        (virtio(1, 4, u32::MAX, u32::MAX), "far beyond the range"),
        (virtio(1, 0, 0, 64), "a range that is not there"),
        (virtio(1, 5, 0, 64), "the upper half of a range"),
        (virtio(1, 7, 0, 64), "a reserved range"),
        (virtio(1, 4, 0, 0), "of no length"),
        ([&[9, 0, 15], &virtio(1, 4, 0, 64)[3..]].concat(), "a capability that is cut"),
    ] {
        let list = [vec![unusable.clone()], rest.to_vec()].concat();
        assert_eq!(find(&list), Err(NoLayout::Missing("common configuration")), "{why}");
        let list = [vec![unusable, virtio(1, 1, 0x100, 0x38)], rest.to_vec()].concat();
        assert_eq!(find(&list).map(|layout| layout.common.address), Ok(0xfebf_1100), "{why}");
    }
}

#[test]
fn a_legacy_device_describes_nothing() {
    assert_eq!(find(&[]), Err(NoLayout::Missing("common configuration")));
    assert_eq!(find(&[virtio(1, 4, 0, 64)]), Err(NoLayout::Missing("notification")));
    assert_eq!(
        find(&[virtio(1, 4, 0, 64), virtio(2, 4, 0, 64)]),
        Err(NoLayout::Missing("device configuration"))
    );
}

#[derive(Default)]
struct Table(RefCell<HashMap<u32, u32>>);

impl Registers for Table {
    fn bytes(&self) -> u32 {
        48
    }

    fn read_8(&self, _: u32) -> u8 {
        panic!("the table takes double words")
    }

    fn read_16(&self, _: u32) -> u16 {
        panic!("the table takes double words")
    }

    fn read_32(&self, offset: u32) -> u32 {
        self.0.borrow().get(&offset).copied().unwrap_or(0)
    }

    fn write_8(&self, _: u32, _: u8) {
        panic!("the table takes double words")
    }

    fn write_16(&self, _: u32, _: u16) {
        panic!("the table takes double words")
    }

    fn write_32(&self, offset: u32, value: u32) {
        assert!(offset + 4 <= self.bytes());
        self.0.borrow_mut().insert(offset, value);
    }
}

#[test]
fn one_entry_of_the_interrupt_table_is_used() {
    // At 0x80, where control can be written: three entries at 0x800 of range 1, all masked.
    let padding = vec![9; 0x40];
    let config = Config::new().with(&[&padding, &[0x11, 0, 2, 0x40, 1, 8, 0, 0, 1, 12, 0, 0]]);
    let msi_x = MsiX::find(&config, AT).unwrap();
    assert_eq!(msi_x.table, Window { address: 0xfebf_1800, bytes: 48 });
    let table = Table::default();
    assert!(!msi_x.enable(&config, &table, 256, 0x41), "no message can name that processor");
    assert_eq!(config.read32(AT, 0x80) >> 16, 0x4002);
    assert!(msi_x.enable(&config, &table, 3, 0x41));
    assert_eq!([0, 4, 8, 12].map(|offset| table.read_32(offset)), [0xfee0_3000, 0, 0x41, 0]);
    assert_eq!([28, 44].map(|offset| table.read_32(offset)), [1, 1], "the others are masked");
    assert_eq!(config.read32(AT, 0x80) >> 16, 0x8002, "on, and not masked as a whole");
}

#[test]
fn an_interrupt_table_that_is_not_there_is_none() {
    assert_eq!(MsiX::find(&Config::new(), AT), None);
    for (place, entries, why) in [
        (0u32, 1u16, "no such range"),
        (1 | 0xff8, 1, "beyond the range"),
        (1, 0x7ff, "longer than the range"),
    ] {
        let mut content = vec![0x11, 0];
        content.extend(((entries - 1) | 0x8000).to_le_bytes());
        content.extend(place.to_le_bytes());
        content.extend([0; 4]);
        assert_eq!(MsiX::find(&Config::new().with(&[&content]), AT), None, "{why}");
    }
}

#[test]
fn a_function_uses_memory_only_when_it_is_let_and_keeps_its_status() {
    let config = Config::new();
    // Ports, and bus mastering as whatever ran before left it.
    config.write32(AT, 4, 0b101);
    open_registers(&config, AT);
    assert_eq!(config.read32(AT, 4), 0x10_0403);
    let_use_memory(&config, AT);
    assert_eq!(config.read32(AT, 4), 0x10_0407);
}

proptest! {
    #[test]
    fn any_configuration_space_is_survived(bytes in proptest::collection::vec(any::<u8>(), 0xc0)) {
        let config = Config::new();
        config.0.borrow_mut()[0x40..].copy_from_slice(&bytes);
        config.0.borrow_mut()[0x34] = 0x40;
        for window in capability::find(&config, AT).iter().flat_map(|layout| [layout.common, layout.notify, layout.device]) {
            let end = window.address + u64::from(window.bytes);
            prop_assert!((0x8_0000_0000..=0x8_0000_4000).contains(&end) || (0xfebf_1000..=0xfebf_2000).contains(&end));
        }
        if let Some(msi_x) = MsiX::find(&config, AT) {
            prop_assert!(msi_x.table.bytes >= 16);
        }
    }
}
