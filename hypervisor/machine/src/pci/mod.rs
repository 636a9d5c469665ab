//! PCI configuration space: which functions there are, their headers, address ranges and capabilities.
//!
//! Everything goes through [`ConfigSpace`]: ports 0xcf8 and 0xcfc or memory-mapped on a machine, a fake in
//! tests. A device's answers are foreign data: nothing here loops or grows without a bound of its own.

pub use self::{
    address::FunctionAddress,
    bar::{Bar, BarSpace, MAX_BARS, SizedBar, bar_sizes, bars},
    capability::{Capability, MAX_CAPABILITIES, capabilities, capability_id},
    command::{let_use_memory, open_registers},
    enumerate::{Functions, MAX_FUNCTIONS, enumerate},
    header::{Header, HeaderKind},
};

#[cfg(feature = "kernel")]
#[expect(unsafe_code, reason = "I/O ports and mapped configuration space")]
pub mod access;
mod address;
mod bar;
mod capability;
mod command;
mod enumerate;
mod header;
#[cfg(test)]
mod tests;

/// Access to configuration space, a double word at a time.
pub trait ConfigSpace {
    /// The double word at byte `offset`, a multiple of 4 below 4096 (below 256 where access is by ports); all
    /// ones where nothing answers.
    fn read32(&self, function: FunctionAddress, offset: u16) -> u32;

    /// Writes the double word at byte `offset`, likewise; ignored where nothing answers.
    fn write32(&self, function: FunctionAddress, offset: u16, value: u32);
}

/// Offsets of the configuration header (PCI Express 6.0, 7.5.1), as double words.
mod offset {
    /// Vendor id in the low half, device id in the high half.
    pub(super) const ID: u16 = 0x00;
    /// Command in the low half, status in the high half.
    pub(super) const COMMAND_STATUS: u16 = 0x04;
    /// Revision in byte 0, programming interface, subclass, class code above.
    pub(super) const CLASS_REVISION: u16 = 0x08;
    /// Header type in byte 2.
    pub(super) const HEADER_TYPE: u16 = 0x0c;
    /// The first base address register.
    pub(super) const BAR0: u16 = 0x10;
    /// Capabilities pointer in byte 0.
    pub(super) const CAPABILITIES: u16 = 0x34;
    /// The same for a CardBus bridge (PC Card Standard 8.0, volume 7, 4.5.2).
    pub(super) const CARDBUS_CAPABILITIES: u16 = 0x14;
}
