//! Functions as devices show them, and as none should.

use std::{cell::RefCell, collections::HashMap};

use godwit_host::description::PciFunction;
use proptest::prelude::*;

use super::*;

/// One function: its registers by double word, and which of their bits can be written.
#[derive(Clone)]
struct Device {
    registers: [u32; 64],
    writable: [u32; 64],
}

/// A machine's configuration space, with a log of what was written.
#[derive(Default)]
struct Fake {
    devices: RefCell<HashMap<FunctionAddress, Device>>,
    written: RefCell<Vec<(u16, u32)>>,
    reads: RefCell<usize>,
}

impl ConfigSpace for Fake {
    fn read32(&self, function: FunctionAddress, offset: u16) -> u32 {
        *self.reads.borrow_mut() += 1;
        self.devices
            .borrow()
            .get(&function)
            .map_or(u32::MAX, |device| device.registers[usize::from(offset / 4)])
    }

    fn write32(&self, function: FunctionAddress, offset: u16, value: u32) {
        self.written.borrow_mut().push((offset, value));
        if let Some(device) = self.devices.borrow_mut().get_mut(&function) {
            let index = usize::from(offset / 4);
            let writable = device.writable[index];
            device.registers[index] = device.registers[index] & !writable | value & writable;
        }
    }
}

fn at(bus: u8, device: u8, function: u8) -> FunctionAddress {
    FunctionAddress::new(0, bus, device, function).unwrap()
}

/// A function of vendor 0x1af4 with that device id and header type.
fn device(device_id: u16, header_type: u8) -> Device {
    let mut device = Device { registers: [0; 64], writable: [0; 64] };
    device.registers[0] = 0x1af4 | u32::from(device_id) << 16;
    device.registers[2] = 0x0200_0001;
    device.registers[3] = u32::from(header_type) << 16;
    device.writable[1] = 0x7;
    device
}

fn machine(devices: impl IntoIterator<Item = (FunctionAddress, Device)>) -> Fake {
    Fake { devices: RefCell::new(devices.into_iter().collect()), ..Fake::default() }
}

fn places(list: &[PciFunction]) -> Vec<(u8, u8, u8)> {
    list.iter().map(|function| (function.bus, function.device, function.function)).collect()
}

#[test]
fn addresses_are_in_range_and_name_their_place() {
    assert_eq!((FunctionAddress::new(0, 0, 32, 0), FunctionAddress::new(0, 0, 0, 8)), (None, None));
    let function = FunctionAddress::new(1, 0xff, 31, 7).unwrap();
    assert_eq!(function.to_string(), "0001:ff:1f.7");
    assert_eq!(function.ecam_offset(), 0xfff_f000);
    assert_eq!(at(2, 3, 1).port_address(0x0e), 0x8002_190c);
}

#[test]
fn functions_are_listed_in_order_of_their_place() {
    let config = machine([
        (at(0, 0, 0), device(1, 0x80)),
        (at(0, 0, 3), device(2, 0)),
        // Function 1 of a device of one function is not asked for.
        (at(0, 4, 0), device(3, 0)),
        (at(0, 4, 1), device(4, 0)),
        // A device without function 0 is none.
        (at(0, 5, 2), device(5, 0)),
        (at(0, 6, 0), device(6, 1)),
        (at(1, 0, 0), device(7, 0)),
        // A root bus that no bridge leads to.
        (at(0x40, 31, 0), device(8, 0)),
    ]);
    let functions = enumerate(&config, 0, 0..=0xff, MAX_FUNCTIONS);
    assert_eq!(
        places(&functions.list),
        [(0, 0, 0), (0, 0, 3), (0, 4, 0), (0, 6, 0), (1, 0, 0), (0x40, 31, 0)]
    );
    assert!(!functions.cut);
    assert_eq!(
        functions.list[1],
        PciFunction {
            segment: 0,
            bus: 0,
            device: 0,
            function: 3,
            vendor_id: 0x1af4,
            device_id: 2,
            class: (2, 0, 0),
        }
    );
    assert_eq!(places(&enumerate(&config, 0, 1..=1, MAX_FUNCTIONS).list), [(1, 0, 0)]);
    assert_eq!(places(&enumerate(&config, 1, 0..=0xff, MAX_FUNCTIONS).list), []);
}

#[test]
fn an_empty_machine_costs_one_read_a_device() {
    let config = machine([]);
    assert_eq!(enumerate(&config, 0, 0..=0xff, MAX_FUNCTIONS).list, []);
    assert_eq!(*config.reads.borrow(), 256 * 32);
}

#[test]
fn a_vendor_of_zeros_or_ones_is_nobody() {
    for id in [0, 0xffff, 0x1234_0000, 0x1234_ffff] {
        let mut nobody = device(1, 0);
        nobody.registers[0] = id;
        assert_eq!(enumerate(&machine([(at(0, 0, 0), nobody)]), 0, 0..=0, MAX_FUNCTIONS).list, []);
    }
}

/// Configuration space that gives the same answer everywhere, as a broken bridge does.
struct Everywhere(u32);

impl ConfigSpace for Everywhere {
    fn read32(&self, _function: FunctionAddress, _offset: u16) -> u32 {
        self.0
    }

    fn write32(&self, _function: FunctionAddress, _offset: u16, _value: u32) {}
}

#[test]
fn a_space_that_answers_everywhere_is_cut() {
    let functions = enumerate(&Everywhere(0x0080_1af4), 0, 0..=0xff, MAX_FUNCTIONS);
    assert_eq!((functions.list.len(), functions.cut), (MAX_FUNCTIONS, true));
    // 4096 functions are 16 full buses: exactly as many are not too many.
    let functions = enumerate(&Everywhere(0x0080_1af4), 0, 0..=15, MAX_FUNCTIONS);
    assert_eq!((functions.list.len(), functions.cut), (MAX_FUNCTIONS, false));
}

#[test]
fn a_header_is_read_as_it_is() {
    let mut bridge = device(0x1041, 0x81);
    bridge.registers[2] = 0x0604_0102;
    let header = Header::read(&machine([(at(0, 1, 0), bridge)]), at(0, 1, 0)).unwrap();
    assert_eq!((header.vendor_id, header.device_id, header.revision), (0x1af4, 0x1041, 2));
    assert_eq!((header.class, header.kind, header.multifunction), ((6, 4, 1), HeaderKind::Bridge, true));
    for (header_type, kind) in
        [(0, HeaderKind::Device), (2, HeaderKind::CardBus), (0x7f, HeaderKind::Unknown(0x7f))]
    {
        let header = Header::read(&machine([(at(0, 1, 0), device(1, header_type))]), at(0, 1, 0)).unwrap();
        assert_eq!((header.kind, header.multifunction), (kind, false));
    }
    assert_eq!(Header::read(&machine([]), at(0, 1, 0)), None);
}

/// A card with 32 bytes of ports, 4 KiB of memory, 16 KiB of 64-bit prefetchable memory above 4 GiB, and 8
/// GiB that nobody assigned an address.
fn card() -> Device {
    let mut card = device(0x1041, 0);
    let bars = [
        (0xc001, 0xffe0),
        (0xfebf_1000, 0xffff_f000),
        (0xfe00_000c, 0xffff_c000),
        (0x0000_0038, 0xffff_ffff),
        (0x0000_0004, 0x0000_0000),
        (0x0000_0000, 0xffff_fffe),
    ];
    for (index, (value, writable)) in bars.into_iter().enumerate() {
        card.registers[4 + index] = value;
        card.writable[4 + index] = writable;
    }
    card.registers[1] = 0x0010_0007;
    card
}

const PREFETCHABLE: BarSpace = BarSpace::Memory { prefetchable: true, wide: true };

#[test]
fn assigned_ranges_are_listed() {
    let config = machine([(at(0, 2, 0), card())]);
    let plain = BarSpace::Memory { prefetchable: false, wide: false };
    assert_eq!(
        bars(&config, at(0, 2, 0), HeaderKind::Device).as_slice(),
        [
            Bar { index: 0, space: BarSpace::Port, address: 0xc000 },
            Bar { index: 1, space: plain, address: 0xfebf_1000 },
            Bar { index: 2, space: PREFETCHABLE, address: 0x38_fe00_0000 },
        ]
    );
    assert_eq!(bars(&config, at(0, 2, 0), HeaderKind::Bridge).len(), 2);
    assert_eq!(bars(&config, at(0, 2, 0), HeaderKind::Unknown(9)).len(), 0);
    assert!(config.written.borrow().is_empty());
}

#[test]
fn sizes_are_probed_and_everything_is_put_back() {
    let config = machine([(at(0, 2, 0), card())]);
    let before = config.devices.borrow()[&at(0, 2, 0)].registers;
    let sizes = bar_sizes(&config, at(0, 2, 0), HeaderKind::Device);
    let found: Vec<_> = sizes.iter().map(|sized| (sized.bar.index, sized.bytes)).collect();
    assert_eq!(found, [(0, 32), (1, 0x1000), (2, 0x4000), (4, 1 << 33)]);
    assert_eq!(config.devices.borrow()[&at(0, 2, 0)].registers, before);

    let written = config.written.borrow();
    // Decoding stops first and resumes last, bus mastering stays, and no status bit is cleared.
    assert_eq!((written[0], *written.last().unwrap()), ((4, 0x4), (4, 0x7)));
    assert!(written[1..written.len() - 1].iter().all(|(offset, _)| (0x10..0x28).contains(offset)));
}

#[test]
fn ranges_that_cannot_be_are_left_out() {
    let size_of = |value, writable| {
        let mut odd = device(1, 0);
        odd.registers[4] = value;
        odd.writable[4] = writable;
        bar_sizes(&machine([(at(0, 0, 0), odd)]), at(0, 0, 0), HeaderKind::Device)
            .first()
            .map(|sized| sized.bytes)
    };
    assert_eq!(size_of(0, 0xffff_f000), Some(0x1000));
    // Not there; holes in the mask; the reserved type; nothing that can be written.
    assert_eq!((size_of(0, 0), size_of(0, 0xffff_5000), size_of(6, 0xffff_f000)), (None, None, None));
    assert_eq!((size_of(1, 0), size_of(1, 0xffff_fffc), size_of(1, 0xfff0)), (None, Some(4), Some(16)));
    // A 64-bit range in the last register has no upper half.
    let mut last = device(1, 0);
    last.registers[9] = 0xfe00_0004;
    let config = machine([(at(0, 0, 0), last)]);
    assert!(bars(&config, at(0, 0, 0), HeaderKind::Device).is_empty());
    assert!(bar_sizes(&config, at(0, 0, 0), HeaderKind::Device).is_empty());
}

fn with_capabilities(first: u8, list: &[(u8, u8, u8)]) -> Fake {
    let mut device = device(1, 0);
    device.registers[1] = 0x0010_0000;
    device.registers[0x34 / 4] = first.into();
    for (at, id, next) in list {
        device.registers[usize::from(*at) / 4] = u32::from(*id) | u32::from(*next) << 8;
    }
    machine([(at(0, 0, 0), device)])
}

fn walk(config: &Fake) -> Vec<(u8, u8)> {
    capabilities(config, at(0, 0, 0), HeaderKind::Device)
        .iter()
        .map(|found| (found.id, found.offset))
        .collect()
}

#[test]
fn capabilities_come_in_the_order_of_the_list() {
    let config = with_capabilities(
        0x98,
        &[(0x98, capability_id::MSI_X, 0x84), (0x84, capability_id::VENDOR, 0x40), (0x40, 5, 0)],
    );
    assert_eq!(walk(&config), [(0x11, 0x98), (0x09, 0x84), (0x05, 0x40)]);
    assert_eq!(capabilities(&config, at(0, 0, 0), HeaderKind::Unknown(3)).len(), 0);
    // The two low bits of a pointer are reserved.
    assert_eq!(walk(&with_capabilities(0x43, &[(0x40, 9, 0x53), (0x50, 5, 3)])), [(9, 0x40), (5, 0x50)]);
}

#[test]
fn without_the_status_bit_there_is_no_list() {
    let config = with_capabilities(0x40, &[(0x40, 9, 0)]);
    config.devices.borrow_mut().get_mut(&at(0, 0, 0)).unwrap().registers[1] = 0;
    assert_eq!(walk(&config), []);
}

#[test]
fn a_list_that_loops_ends_at_the_first_place_seen_again() {
    assert_eq!(walk(&with_capabilities(0x40, &[(0x40, 9, 0x40)])), [(9, 0x40)]);
    let loops = with_capabilities(0x40, &[(0x40, 9, 0x50), (0x50, 5, 0x60), (0x60, 1, 0x50)]);
    assert_eq!(walk(&loops), [(9, 0x40), (5, 0x50), (1, 0x60)]);
    assert_eq!(walk(&with_capabilities(0x3c, &[])), []);
}

#[test]
fn a_cardbus_bridge_keeps_its_pointer_elsewhere() {
    let mut bridge = device(1, 2);
    bridge.registers[1] = 0x0010_0000;
    bridge.registers[0x14 / 4] = 0xa0;
    bridge.registers[0xa0 / 4] = 1;
    let found = capabilities(&machine([(at(0, 0, 0), bridge)]), at(0, 0, 0), HeaderKind::CardBus);
    assert_eq!(found.as_slice(), [Capability { id: 1, offset: 0xa0 }]);
}

proptest! {
    /// A device that says anything is read to an end, and probing puts back what it wrote over.
    #[test]
    fn any_function_is_read_to_an_end(
        registers in prop::collection::vec(any::<u32>(), 64),
        writable in prop::collection::vec(any::<u32>(), 6),
    ) {
        let mut device = Device { registers: registers.try_into().unwrap(), writable: [0; 64] };
        device.registers[0] = 0x1234_1af4;
        device.registers[1] |= 0x0010_0000;
        device.writable[1] = 0x547;
        device.writable[4..10].copy_from_slice(&writable);
        let before = device.registers;
        let config = machine([(at(0, 0, 0), device)]);
        let header = Header::read(&config, at(0, 0, 0)).unwrap();
        let sizes = bar_sizes(&config, at(0, 0, 0), HeaderKind::Device);
        prop_assert!(sizes.iter().all(|sized| sized.bytes.is_power_of_two()));
        prop_assert_eq!(config.devices.borrow()[&at(0, 0, 0)].registers, before);
        let found = capabilities(&config, at(0, 0, 0), header.kind);
        prop_assert!(found.iter().all(|capability| capability.offset >= 0x40 && capability.offset % 4 == 0));
        prop_assert!(*config.reads.borrow() < 100);
    }
}
