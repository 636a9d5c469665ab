//! A virtio network device: registers, queues and RAM, and every rule that it can break.

use std::sync::{Arc, Mutex, MutexGuard};

use crate::nic::{DeviceMemory, Registers, features::Features};

/// Bytes of RAM. All of it is the device's to reach, from physical address 0 on.
pub(super) const RAM_BYTES: usize = 8 << 20;
/// Where memory for the driver begins; what lies below is for packet bodies.
const DRIVER_MEMORY: u64 = 1 << 20;
/// The multiplier of notification offsets, and the device's own offsets.
const MULTIPLIER: u32 = 4;

/// How the device is.
#[derive(Clone, Copy)]
pub(super) struct Knobs {
    pub(super) features: u64,
    pub(super) mac: [u8; 6],
    pub(super) mtu: u16,
    /// By queue.
    pub(super) sizes: [u16; 2],
    pub(super) refuses_features: bool,
    /// Resets that are done; the status never reads as 0 after more.
    pub(super) resets: usize,
    pub(super) refuses_vectors: bool,
    pub(super) never_holds_still: bool,
    pub(super) notify_bytes: u32,
    pub(super) memory_bytes: u64,
}

impl Default for Knobs {
    fn default() -> Self {
        Self {
            features: Features::all().bits() | 0xff << 40,
            mac: [0x52, 0x54, 0, 0, 0, 7],
            mtu: 9000,
            sizes: [256, 256],
            refuses_features: false,
            resets: usize::MAX,
            refuses_vectors: false,
            never_holds_still: false,
            notify_bytes: 64,
            memory_bytes: RAM_BYTES as u64 - DRIVER_MEMORY,
        }
    }
}

#[derive(Clone, Copy, Default)]
pub(super) struct Queue {
    pub(super) size: u16,
    pub(super) vector: u16,
    pub(super) descriptors: u64,
    pub(super) driver: u64,
    pub(super) device: u64,
    pub(super) enabled: bool,
    /// How far the device has read the driver's ring.
    taken: u16,
    /// How far it has filled its own.
    returned: u16,
}

pub(super) struct Shared {
    knobs: Knobs,
    pub(super) status: u8,
    /// Every value that was written to the status.
    pub(super) statuses: Vec<u8>,
    feature_select: u32,
    driver_select: u32,
    pub(super) accepted: u64,
    generation: u8,
    selected: u16,
    pub(super) queues: [Queue; 2],
    /// Queues that were notified, in order.
    pub(super) notified: Vec<u16>,
    /// Interrupts that were raised, by queue.
    pub(super) interrupts: [usize; 2],
    ram: Vec<u8>,
    next_memory: u64,
}

pub(super) struct Pretended(Mutex<Shared>);

/// A buffer of a chain: its address, its length, and whether the device writes it.
type Buffer = (u64, u32, bool);

#[derive(Clone, Copy)]
enum Kind {
    Common,
    Notify,
    Device,
}

pub(super) struct Window {
    device: Arc<Pretended>,
    kind: Kind,
}

/// Memory that the driver was given. An access outside it is the driver's mistake.
pub(super) struct Memory {
    device: Arc<Pretended>,
    address: u64,
    bytes: u64,
}

impl Pretended {
    pub(super) fn new(knobs: Knobs) -> Arc<Self> {
        Arc::new(Self(Mutex::new(Shared {
            knobs,
            status: 0x0f,
            statuses: Vec::new(),
            feature_select: 0,
            driver_select: 0,
            accepted: 0,
            generation: 0,
            selected: 0,
            queues: [Queue::default(); 2],
            notified: Vec::new(),
            interrupts: [0; 2],
            ram: vec![0; RAM_BYTES],
            next_memory: DRIVER_MEMORY,
        })))
    }

    pub(super) fn shared(&self) -> MutexGuard<'_, Shared> {
        self.0.lock().unwrap()
    }

    pub(super) fn windows(self: &Arc<Self>) -> super::Windows<Window> {
        let window = |kind| Window { device: Arc::clone(self), kind };
        super::Windows {
            common: window(Kind::Common),
            notify: window(Kind::Notify),
            notify_multiplier: MULTIPLIER,
            device: window(Kind::Device),
        }
    }

    pub(super) fn provide(self: &Arc<Self>, bytes: u64) -> Option<Memory> {
        let mut shared = self.shared();
        let address = shared.next_memory;
        let end = address + bytes.next_multiple_of(4096);
        if end > DRIVER_MEMORY + shared.knobs.memory_bytes {
            return None;
        }
        shared.next_memory = end;
        Some(Memory { device: Arc::clone(self), address, bytes })
    }
}

impl Shared {
    fn reset(&mut self) {
        self.queues = [Queue::default(); 2];
        self.accepted = 0;
    }

    fn number<const N: usize>(&self, at: u64) -> [u8; N] {
        self.ram[at as usize..][..N].try_into().unwrap()
    }

    fn u16_at(&self, at: u64) -> u16 {
        u16::from_le_bytes(self.number(at))
    }

    fn put(&mut self, at: u64, bytes: &[u8]) {
        self.ram[at as usize..][..bytes.len()].copy_from_slice(bytes);
    }

    /// Fills RAM from `at` on with a pattern, and answers with it.
    pub(super) fn fill(&mut self, at: u64, bytes: usize) -> Vec<u8> {
        let pattern: Vec<u8> = (0..bytes).map(|index| (index * 7 + index / 251) as u8).collect();
        self.put(at, &pattern);
        pattern
    }

    /// How many chains the driver has shown that the device did not take yet.
    pub(super) fn waiting(&self, queue: usize) -> u16 {
        let Queue { driver, taken, .. } = self.queues[queue];
        self.u16_at(driver + 2).wrapping_sub(taken)
    }

    /// Takes the next chain: its head and its buffers.
    fn take(&mut self, number: usize) -> Option<(u16, Vec<Buffer>)> {
        if self.waiting(number) == 0 {
            return None;
        }
        let queue = self.queues[number];
        let head = self.u16_at(queue.driver + 4 + 2 * u64::from(queue.taken % queue.size));
        self.queues[number].taken = queue.taken.wrapping_add(1);
        let (mut table, mut length, mut index) = (queue.descriptors, u32::from(queue.size), head);
        let mut buffers = Vec::new();
        loop {
            assert!(u32::from(index) < length, "a descriptor outside its table");
            let at = table + 16 * u64::from(index);
            let address = u64::from_le_bytes(self.number(at));
            let bytes = u32::from_le_bytes(self.number(at + 8));
            let (flags, next) = (self.u16_at(at + 12), self.u16_at(at + 14));
            if flags & 4 != 0 {
                assert!(buffers.is_empty() && flags == 4, "a table stands alone");
                assert!(Features::from_bits_truncate(self.accepted).contains(Features::INDIRECT));
                (table, length, index) = (address, bytes / 16, 0);
                continue;
            }
            assert!(bytes > 0 && address + u64::from(bytes) <= RAM_BYTES as u64, "a buffer outside RAM");
            buffers.push((address, bytes, flags & 2 != 0));
            assert!(buffers.len() <= 256, "a chain without end");
            if flags & 1 == 0 {
                return Some((head, buffers));
            }
            index = next;
        }
    }

    /// Returns an entry, true or not, and raises an interrupt if the driver wants one. Once reset, the device does nothing.
    pub(super) fn give_back(&mut self, number: usize, id: u32, bytes: u32) {
        let Queue { size, driver, device, returned, enabled, .. } = self.queues[number];
        if !enabled {
            return;
        }
        let entry = device + 4 + 8 * u64::from(returned % size);
        self.put(entry, &id.to_le_bytes());
        self.put(entry + 4, &bytes.to_le_bytes());
        self.claim(number, 1);
        let wanted = if Features::from_bits_truncate(self.accepted).contains(Features::EVENT_INDEX) {
            self.u16_at(driver + 4 + 2 * u64::from(size)) == returned
        } else {
            self.u16_at(driver) & 1 == 0
        };
        self.interrupts[number] += usize::from(wanted);
    }

    /// Says that `more` entries were returned, whatever stands there.
    pub(super) fn claim(&mut self, number: usize, more: u16) {
        let Queue { device, returned, enabled, .. } = self.queues[number];
        if !enabled {
            return;
        }
        self.queues[number].returned = returned.wrapping_add(more);
        self.put(device + 2, &returned.wrapping_add(more).to_le_bytes());
    }

    /// Says from which entry on the device wants to be notified, or, without event indices, whether at all.
    pub(super) fn want_notifications(&mut self, number: usize, wanted: bool) {
        let Queue { size, device, taken, .. } = self.queues[number];
        let event = if wanted { taken } else { taken.wrapping_sub(1) };
        self.put(device + 4 + 8 * u64::from(size), &event.to_le_bytes());
        self.put(device, &[u8::from(!wanted), 0]);
    }

    /// Takes one outgoing frame without returning it: its head, and its bytes after virtio's header.
    pub(super) fn take_sent(&mut self) -> Option<(u16, Vec<u8>)> {
        let (head, buffers) = self.take(1)?;
        let mut bytes = Vec::new();
        for (address, length, writable) in buffers {
            assert!(!writable, "a frame to be sent is not for writing");
            bytes.extend_from_slice(&self.ram[address as usize..][..length as usize]);
        }
        assert_eq!(bytes[..12], [0; 12], "no offload was agreed on");
        Some((head, bytes.split_off(12)))
    }

    /// Takes and returns every outgoing frame.
    pub(super) fn send_all(&mut self) -> Vec<Vec<u8>> {
        std::iter::from_fn(|| {
            let (head, bytes) = self.take_sent()?;
            self.give_back(1, head.into(), 0);
            Some(bytes)
        })
        .collect()
    }

    /// Takes a buffer for an arriving frame: its head, and where it is.
    pub(super) fn take_buffer(&mut self) -> Option<(u16, u64, u32)> {
        let (head, buffers) = self.take(0)?;
        let [(address, bytes, true)] = buffers.as_slice() else { panic!("{buffers:?}") };
        Some((head, *address, *bytes))
    }

    /// Lets a frame arrive; `false` where no buffer is there for it.
    pub(super) fn deliver(&mut self, frame: &[u8]) -> bool {
        let Some((head, address, bytes)) = self.take_buffer() else { return false };
        assert!(frame.len() + 12 <= bytes as usize, "the buffer is too short for the link");
        self.put(address, &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0]);
        self.put(address + 12, frame);
        self.give_back(0, head.into(), frame.len() as u32 + 12);
        true
    }

    fn read(&mut self, kind: Kind, offset: u32) -> u32 {
        let selected = self.queues.get(usize::from(self.selected)).copied().unwrap_or_default();
        match (kind, offset) {
            (Kind::Common, 0x04) => (self.knobs.features >> (32 * self.feature_select)) as u32,
            (Kind::Common, 0x14) => self.status.into(),
            (Kind::Common, 0x15) => {
                self.generation = self.generation.wrapping_add(self.knobs.never_holds_still.into());
                self.generation.into()
            }
            (Kind::Common, 0x18) => {
                self.knobs.sizes.get(usize::from(self.selected)).copied().unwrap_or(0).into()
            }
            (Kind::Common, 0x1a) => selected.vector.into(),
            (Kind::Common, 0x1e) => (self.selected * 3).into(),
            (Kind::Device, 0..6) => self.knobs.mac[offset as usize].into(),
            (Kind::Device, 10) => self.knobs.mtu.into(),
            _ => panic!("a read of a register that nothing needs: {offset:#x}"),
        }
    }

    fn write(&mut self, kind: Kind, offset: u32, value: u32) {
        let low = |old: u64| old & !0xffff_ffff | u64::from(value);
        let high = |old: u64| old & 0xffff_ffff | u64::from(value) << 32;
        if let (Kind::Notify, 0 | 12) = (kind, offset) {
            assert_eq!(value * 12, offset, "the register of another queue");
            assert_ne!(self.status & 4, 0, "notified before it began");
            self.notified.push(value as u16);
            return;
        }
        match offset {
            0x00 => self.feature_select = value,
            0x08 => self.driver_select = value,
            0x0c => self.accepted |= u64::from(value) << (32 * self.driver_select),
            0x10 => assert_eq!(value, 0xffff),
            0x14 => {
                self.statuses.push(value as u8);
                self.status = value as u8;
                if value == 0 {
                    match self.knobs.resets.checked_sub(1) {
                        Some(left) => {
                            self.knobs.resets = left;
                            self.reset();
                        }
                        None => self.status = 0x40,
                    }
                }
                if self.knobs.refuses_features {
                    self.status &= !8;
                }
            }
            0x16 => self.selected = value as u16,
            _ => {
                let refuses_vectors = self.knobs.refuses_vectors;
                let queue = &mut self.queues[usize::from(self.selected)];
                match offset {
                    0x18 => queue.size = value as u16,
                    0x1a => queue.vector = if refuses_vectors { 0xffff } else { value as u16 },
                    0x1c => queue.enabled = value == 1,
                    0x20 => queue.descriptors = low(queue.descriptors),
                    0x24 => queue.descriptors = high(queue.descriptors),
                    0x28 => queue.driver = low(queue.driver),
                    0x2c => queue.driver = high(queue.driver),
                    0x30 => queue.device = low(queue.device),
                    0x34 => queue.device = high(queue.device),
                    _ => panic!("a write to {offset:#x}"),
                }
            }
        }
    }
}

impl Registers for Window {
    fn bytes(&self) -> u32 {
        match self.kind {
            Kind::Common => 0x38,
            Kind::Notify => self.device.shared().knobs.notify_bytes,
            Kind::Device => 12,
        }
    }

    fn read_8(&self, offset: u32) -> u8 {
        self.device.shared().read(self.kind, offset) as u8
    }

    fn read_16(&self, offset: u32) -> u16 {
        self.device.shared().read(self.kind, offset) as u16
    }

    fn read_32(&self, offset: u32) -> u32 {
        self.device.shared().read(self.kind, offset)
    }

    fn write_8(&self, offset: u32, value: u8) {
        self.device.shared().write(self.kind, offset, value.into());
    }

    fn write_16(&self, offset: u32, value: u16) {
        self.device.shared().write(self.kind, offset, value.into());
    }

    fn write_32(&self, offset: u32, value: u32) {
        self.device.shared().write(self.kind, offset, value);
    }
}

impl Memory {
    /// Where `width` bytes at `offset` are.
    fn at(&self, offset: u64, width: u64) -> u64 {
        assert!(offset + width <= self.bytes && offset.is_multiple_of(width), "{offset} of {}", self.bytes);
        self.address + offset
    }
}

impl DeviceMemory for Memory {
    fn address(&self) -> u64 {
        self.address
    }

    fn bytes(&self) -> u64 {
        self.bytes
    }

    fn load_16(&self, offset: u64) -> u16 {
        self.device.shared().u16_at(self.at(offset, 2))
    }

    fn load_32(&self, offset: u64) -> u32 {
        u32::from_le_bytes(self.device.shared().number(self.at(offset, 4)))
    }

    fn store_16(&self, offset: u64, value: u16) {
        self.device.shared().put(self.at(offset, 2), &value.to_le_bytes());
    }

    fn store_64(&self, offset: u64, value: u64) {
        self.device.shared().put(self.at(offset, 8), &value.to_le_bytes());
    }

    fn write(&self, offset: u64, bytes: &[u8]) {
        assert!(offset + bytes.len() as u64 <= self.bytes);
        self.device.shared().put(self.address + offset, bytes);
    }

    fn show(&self, offset: u64, length: u64, look: &mut dyn FnMut(&[u8])) -> bool {
        assert!(offset + length <= self.bytes);
        let bytes = self.device.shared().ram[(self.address + offset) as usize..][..length as usize].to_vec();
        look(&bytes);
        true
    }
}
