//! Base address registers: where a function's own registers and memory lie (PCI Express 6.0, 7.5.1.2.1).

use arrayvec::ArrayVec;

use super::{ConfigSpace, FunctionAddress, HeaderKind, offset};

/// Base address registers of an endpoint.
pub const MAX_BARS: usize = 6;
/// Bits of the command register: the function answers in I/O space, in memory space.
const DECODE: u32 = 0b11;
/// The command half of the double word; the other half is status, where writing 1 clears.
const COMMAND: u32 = 0xffff;

/// Which space a range lies in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BarSpace {
    /// I/O ports.
    Port,
    /// Physical memory.
    Memory {
        /// Reads have no side effects.
        prefetchable: bool,
        /// The address has 64 bits and takes two registers.
        wide: bool,
    },
}

/// A range as its registers say it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bar {
    /// Number of its (first) register, 0 to 5.
    pub index: u8,
    /// Which space.
    pub space: BarSpace,
    /// First address; 0 where nobody assigned one.
    pub address: u64,
}

/// A range with its length.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SizedBar {
    /// The range.
    pub bar: Bar,
    /// Length in bytes, a power of two.
    pub bytes: u64,
}

/// The ranges that have been assigned an address. A register that reads as all zero may not exist.
pub fn bars(
    config: &impl ConfigSpace,
    function: FunctionAddress,
    kind: HeaderKind,
) -> ArrayVec<Bar, MAX_BARS> {
    decode(&read_registers(config, function, kind)).filter(|bar| bar.address != 0).collect()
}

/// Every range with its length, whether an address was assigned or not.
///
/// The function does not answer in I/O or memory space meanwhile, and each register is put back: nothing else
/// may use the function during the call.
pub fn bar_sizes(
    config: &impl ConfigSpace,
    function: FunctionAddress,
    kind: HeaderKind,
) -> ArrayVec<SizedBar, MAX_BARS> {
    let original = read_registers(config, function, kind);
    let command = config.read32(function, offset::COMMAND_STATUS) & COMMAND;
    config.write32(function, offset::COMMAND_STATUS, command & !DECODE);
    let mut masks = original.clone();
    for (index, (mask, original)) in masks.iter_mut().zip(&original).enumerate() {
        config.write32(function, register(index), u32::MAX);
        *mask = config.read32(function, register(index));
        config.write32(function, register(index), *original);
    }
    config.write32(function, offset::COMMAND_STATUS, command);
    decode(&original).filter_map(|bar| Some(SizedBar { bar, bytes: length(&masks, bar)? })).collect()
}

/// The length that the writable bits in `masks` give, or `None` where there is no range or it is no power of
/// two.
fn length(masks: &[u32], bar: Bar) -> Option<u64> {
    let index = usize::from(bar.index);
    let low = *masks.get(index)?;
    let bytes = match bar.space {
        BarSpace::Port => {
            // A function may decode 16 address bits only: the upper half then reads as zero.
            let writable = low & !0b11;
            let writable =
                if writable >> 16 == 0 && writable != 0 { writable | 0xffff_0000 } else { writable };
            u64::from((!writable).wrapping_add(1))
        }
        BarSpace::Memory { wide: false, .. } => u64::from((!(low & !0xf)).wrapping_add(1)),
        BarSpace::Memory { wide: true, .. } => {
            let high = *masks.get(index + 1)?;
            (!join(low & !0xf, high)).wrapping_add(1)
        }
    };
    bytes.is_power_of_two().then_some(bytes)
}

/// The ranges that raw register values describe, each once; a 64-bit one takes two registers.
fn decode(registers: &[u32]) -> impl Iterator<Item = Bar> {
    let mut upper_half = false;
    registers.iter().enumerate().filter_map(move |(index, &low)| {
        if core::mem::take(&mut upper_half) {
            return None;
        }
        let number = u8::try_from(index).ok()?;
        if low & 1 != 0 {
            return Some(Bar { index: number, space: BarSpace::Port, address: (low & !0b11).into() });
        }
        let wide = match low >> 1 & 0b11 {
            // 1 was "below 1 MiB" in PCI 2.1.
            0 | 1 => false,
            2 => true,
            _ => return None,
        };
        upper_half = wide;
        // The last register has no upper half.
        let high = if wide { *registers.get(index + 1)? } else { 0 };
        let space = BarSpace::Memory { prefetchable: low & 8 != 0, wide };
        Some(Bar { index: number, space, address: join(low & !0xf, high) })
    })
}

fn read_registers(
    config: &impl ConfigSpace,
    function: FunctionAddress,
    kind: HeaderKind,
) -> ArrayVec<u32, MAX_BARS> {
    let count = match kind {
        HeaderKind::Device => MAX_BARS,
        HeaderKind::Bridge => 2,
        HeaderKind::CardBus | HeaderKind::Unknown(_) => 0,
    };
    (0..count).map(|index| config.read32(function, register(index))).collect()
}

/// Offset of base address register `index`, 0 to 5.
fn register(index: usize) -> u16 {
    offset::BAR0 + 4 * index as u16
}

fn join(low: u32, high: u32) -> u64 {
    u64::from(high) << 32 | u64::from(low)
}
