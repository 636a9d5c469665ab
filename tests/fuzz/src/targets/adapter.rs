//! A network adapter that breaks every rule: its configuration space, its registers, its rings.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicU32, Ordering},
};

use godwit_host::machine::NetworkDevice;
use godwit_machine::{
    nic::{
        DeviceMemory, Registers, capability,
        device::{VirtioNet, Windows},
        msi_x::MsiX,
    },
    pci::{ConfigSpace, FunctionAddress, Header, HeaderKind, bar_sizes, bars, capabilities, enumerate},
};

use crate::{Input, Kind, Script, Target};

/// A PCI function and a virtio network device, whatever they answer.
pub(super) const TARGET: Target =
    Target { name: "adapter", kind: Kind::Outside, run, corpus, max_bytes: 1024, executions: 30_000 };

/// Steps of one execution at most.
const MAX_STEPS: usize = 48;
/// Memory that the driver is given at most.
const MAX_MEMORY_BYTES: u64 = 4 << 20;

fn run(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    if input.below(4) == 0 { function(&mut input) } else { device(&mut input) }
}

/// One function's configuration space; what is written to its address registers sticks as far as a mask says.
struct Function {
    words: Mutex<Vec<u32>>,
    mask: u32,
}

impl ConfigSpace for Function {
    fn read32(&self, function: FunctionAddress, offset: u16) -> u32 {
        assert!(offset.is_multiple_of(4) && offset < 4096);
        if function.bus() != 0 || function.device() > 1 {
            return u32::MAX;
        }
        hold(&self.words).get(usize::from(offset / 4)).copied().unwrap_or(u32::MAX)
    }

    fn write32(&self, _: FunctionAddress, offset: u16, value: u32) {
        assert!(offset.is_multiple_of(4) && offset < 4096);
        if let Some(word) = hold(&self.words).get_mut(usize::from(offset / 4)) {
            *word = match offset / 4 {
                // The status is the device's alone.
                1 => value & 0xffff | *word & 0xffff_0000,
                // Address registers of 64 bits: the lower half has the mask, the upper one all bits.
                4 | 6 | 8 => value & self.mask | *word & 0xf,
                _ => value,
            };
        }
    }
}

fn hold<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn function(input: &mut Input<'_>) {
    let mask = input.number() as u32;
    let words = input.rest().chunks(4).map(|chunk| {
        let mut word = [0xff; 4];
        word[..chunk.len()].copy_from_slice(chunk);
        u32::from_le_bytes(word)
    });
    let config = Function { words: Mutex::new(words.collect()), mask };
    let at = FunctionAddress::new(0, 0, 0, 0).expect("the first there is");
    let found = enumerate(&config, 0, 0..=1, 20);
    assert!(found.list.len() <= 20);
    let _ = Header::read(&config, at);
    for kind in [HeaderKind::Device, HeaderKind::Bridge, HeaderKind::CardBus] {
        let list = capabilities(&config, at, kind);
        assert!(list.iter().all(|capability| capability.offset >= 0x40));
        let _ = bars(&config, at, kind);
        for sized in bar_sizes(&config, at, kind) {
            assert!(sized.bytes.is_power_of_two());
        }
    }
    if let Ok(layout) = capability::find(&config, at) {
        for window in [layout.common, layout.notify, layout.device] {
            assert!(window.bytes > 0 && window.address.checked_add(window.bytes.into()).is_some());
        }
    }
    if let Some(msi_x) = MsiX::find(&config, at) {
        assert!(msi_x.table.address.checked_add(msi_x.table.bytes.into()).is_some());
        let table = Bytes::new(&[], msi_x.table.bytes.min(4096));
        msi_x.enable(&config, &table, 0, 0x40);
    }
}

/// Registers that are plain bytes, but that the offered features are behind their select register. One read in so many answers
/// with something else.
#[derive(Clone)]
struct Bytes {
    bytes: Arc<Mutex<Vec<u8>>>,
    length: u32,
    features: u64,
    reads: Arc<AtomicU32>,
    /// Which read answers what.
    odd: (u32, u32),
}

impl Bytes {
    fn new(bytes: &[u8], length: u32) -> Self {
        let mut all = bytes.to_vec();
        all.resize(length as usize, 0);
        let bytes = Arc::new(Mutex::new(all));
        Self { bytes, length, features: 0, reads: Arc::default(), odd: (u32::MAX, 0) }
    }

    fn get<const N: usize>(&self, offset: u32) -> u32 {
        let count = self.reads.fetch_add(1, Ordering::Relaxed);
        if count == self.odd.0 {
            return self.odd.1 & (u32::MAX >> (32 - 8 * N));
        }
        let bytes = hold(&self.bytes);
        let at = offset as usize;
        if self.features != 0 && offset == 4 {
            return (self.features >> (32 * u32::from(bytes[0] & 1))) as u32;
        }
        let Some(field) = bytes.get(at..).and_then(<[u8]>::first_chunk::<N>) else { return u32::MAX };
        field.iter().rev().fold(0, |value, byte| value << 8 | u32::from(*byte))
    }

    fn set(&self, offset: u32, value: &[u8]) {
        let mut bytes = hold(&self.bytes);
        if let Some(field) = bytes.get_mut(offset as usize..).and_then(|rest| rest.get_mut(..value.len())) {
            field.copy_from_slice(value);
        }
    }
}

impl Registers for Bytes {
    fn bytes(&self) -> u32 {
        self.length
    }
    fn read_8(&self, offset: u32) -> u8 {
        self.get::<1>(offset) as u8
    }
    fn read_16(&self, offset: u32) -> u16 {
        assert!(offset.is_multiple_of(2));
        self.get::<2>(offset) as u16
    }
    fn read_32(&self, offset: u32) -> u32 {
        assert!(offset.is_multiple_of(4));
        self.get::<4>(offset)
    }
    fn write_8(&self, offset: u32, value: u8) {
        self.set(offset, &[value]);
    }
    fn write_16(&self, offset: u32, value: u16) {
        assert!(offset.is_multiple_of(2));
        self.set(offset, &value.to_le_bytes());
    }
    fn write_32(&self, offset: u32, value: u32) {
        assert!(offset.is_multiple_of(4));
        self.set(offset, &value.to_le_bytes());
    }
}

/// Memory that driver and device share.
#[derive(Clone)]
struct Shared {
    address: u64,
    length: u64,
    bytes: Arc<Mutex<Vec<u8>>>,
}

impl Shared {
    fn get<const N: usize>(&self, offset: u64) -> [u8; N] {
        assert!(offset.is_multiple_of(N as u64), "{offset:#x} is not aligned");
        hold(&self.bytes).get(offset as usize..).and_then(<[u8]>::first_chunk).copied().unwrap_or([0; N])
    }
}

impl DeviceMemory for Shared {
    fn address(&self) -> u64 {
        self.address
    }
    fn bytes(&self) -> u64 {
        self.length
    }
    fn load_16(&self, offset: u64) -> u16 {
        u16::from_le_bytes(self.get(offset))
    }
    fn load_32(&self, offset: u64) -> u32 {
        u32::from_le_bytes(self.get(offset))
    }
    fn store_16(&self, offset: u64, value: u16) {
        self.write(offset, &value.to_le_bytes());
    }
    fn store_64(&self, offset: u64, value: u64) {
        self.write(offset, &value.to_le_bytes());
    }
    fn write(&self, offset: u64, bytes: &[u8]) {
        let mut all = hold(&self.bytes);
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        let place = all.get_mut(start..).and_then(|rest| rest.get_mut(..bytes.len()));
        place.expect("the driver's own arithmetic stays inside").copy_from_slice(bytes);
    }
    fn show(&self, offset: u64, length: u64, look: &mut dyn FnMut(&[u8])) -> bool {
        let all = hold(&self.bytes);
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        let shown = all.get(start..).and_then(|rest| rest.get(..length as usize)).map(<[u8]>::to_vec);
        drop(all);
        let shown = shown.expect("only what was lent is shown");
        look(&shown);
        true
    }
}

fn device(input: &mut Input<'_>) {
    // VERSION_1 and MAC as they must be, and others as they come.
    let features = 1 << 32 | 1 << 5 | input.number();
    let mut common = Bytes::new(&[], input.pick(&[0x38, 0x38, 0x40, 0x20]));
    common.features = features;
    common.odd = (input.number() as u32, input.number() as u32);
    common.set(0x18, &input.pick(&[256u16, 8, 0, 1, 0x8000, 3]).to_le_bytes());
    let own = Bytes::new(input.bytes(12), input.pick(&[12, 12, 8, 4]));
    let notify = Bytes::new(&[], input.pick(&[4, 64, 2, 0]));
    let notify_multiplier = input.number() as u32;
    let mut lent: Vec<Shared> = Vec::new();
    let mut most = input.below(64);
    let mut provide = |bytes: u64| {
        if bytes > MAX_MEMORY_BYTES || most == 0 {
            return None;
        }
        most -= 1;
        let shared = Shared {
            address: 0x1000_0000 * (lent.len() as u64 + 1),
            length: bytes,
            bytes: Arc::new(Mutex::new(vec![0; bytes as usize])),
        };
        lent.push(shared.clone());
        Some(shared)
    };
    let windows = Windows { common, notify, notify_multiplier, device: own };
    let Ok(adapter) = VirtioNet::start(windows, &mut provide) else { return };
    for _ in 0..MAX_STEPS {
        if input.is_empty() {
            break;
        }
        match input.below(8) {
            0 => {
                let header = vec![1; input.number().min(300) as usize];
                let _ = adapter.transmit(&header, &[]);
            }
            1 => adapter.flush(),
            2 => _ = adapter.unfinished(),
            3 => _ = adapter.receive(&mut |frame| assert!(frame.len() <= 1 << 17)),
            // The device writes wherever it likes: used rings first of all.
            _ => {
                let Some(memory) = lent.get(input.below(lent.len().min(4))) else { continue };
                let place = input.number() % memory.length.max(1);
                let value = input.number();
                let width = input.pick(&[2, 4, 8, 1]);
                let mut all = hold(&memory.bytes);
                let end = (place as usize + width).min(all.len());
                let start = place as usize;
                let count = end - start;
                all[start..end].copy_from_slice(&value.to_le_bytes()[..count]);
            }
        }
        let _ = adapter.ends_sleep();
    }
    let _ = adapter.counters();
}

fn corpus() -> Vec<Vec<u8>> {
    let head = |features: u64| {
        let script = Script::new().byte(1).number(features).byte(0).number(0xffff_ffff).number(0).byte(0);
        script.bytes(&[2, 0, 0, 0, 0, 1, 0, 0, 1, 0, 0xdc, 0x05]).byte(0).byte(1).number(4).byte(63)
    };
    let mut inputs = Vec::new();
    for features in [0, 1 << 3, 1 << 28 | 1 << 29] {
        let mut script = head(features);
        for step in 0..6u64 {
            script = script.byte(0).number(60).byte(1);
            // Indices and entries of used rings at the places that a queue of 256 or 8 has.
            for (memory, place) in
                [(0u8, 0x1202), (0, 0x1204), (0, 0x1208), (1, 0x1202), (1, 0x1204), (0, 0xc2), (0, 0xc4)]
            {
                script = script.byte(4).byte(memory).number(place).number(step).byte(0);
            }
            script = script.byte(2).byte(3);
        }
        inputs.push(script.end());
    }
    // A device with an assigned range and capabilities that name windows in it, and MSI-X.
    let mut config = vec![0; 256];
    config[0..4].copy_from_slice(&[0xf4, 0x1a, 0x41, 0x10]);
    config[6] = 0x10;
    config[0x10..0x18].copy_from_slice(&[0x0c, 0, 0, 0xfe, 0, 0, 0, 0]);
    config[0x34] = 0x40;
    for (place, next, kind, offset) in
        [(0x40usize, 0x50u8, 1u8, 0u8), (0x50, 0x64, 2, 0x10), (0x64, 0x78, 4, 0x20)]
    {
        config[place..place + 5].copy_from_slice(&[9, next, 20, kind, 0]);
        config[place + 9] = offset;
        config[place + 12] = 0x38;
    }
    config[0x78..0x80].copy_from_slice(&[0x11, 0, 3, 0, 0, 0x30, 0, 0]);
    inputs.push(Script::new().byte(0).number(0xffff_c000).bytes(&config).end());
    inputs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_corpus_starts_devices() {
        let config = corpus().pop().expect("there is one");
        let words =
            config[6..].chunks_exact(4).map(|word| u32::from_le_bytes([word[0], word[1], word[2], word[3]]));
        let config = Function { words: Mutex::new(words.collect()), mask: 0xffff_c000 };
        let at = FunctionAddress::new(0, 0, 0, 0).expect("the first there is");
        assert!(capability::find(&config, at).is_ok(), "{:?}", capability::find(&config, at));
        assert!(MsiX::find(&config, at).is_some());
    }
}
