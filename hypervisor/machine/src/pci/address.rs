//! The name of a function: segment, bus, device, function.

use core::fmt;

/// Where a function is. Its parts are in range by construction.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub struct FunctionAddress {
    segment: u16,
    bus: u8,
    device: u8,
    function: u8,
}

impl FunctionAddress {
    /// Devices on a bus.
    pub const DEVICES: u8 = 32;
    /// Functions of a device.
    pub const FUNCTIONS: u8 = 8;

    /// The function of that name, or `None` where device or function is out of range.
    pub const fn new(segment: u16, bus: u8, device: u8, function: u8) -> Option<Self> {
        if device < Self::DEVICES && function < Self::FUNCTIONS {
            Some(Self { segment, bus, device, function })
        } else {
            None
        }
    }

    /// Segment group.
    pub const fn segment(self) -> u16 {
        self.segment
    }

    /// Bus number.
    pub const fn bus(self) -> u8 {
        self.bus
    }

    /// Device number, 0 to 31.
    pub const fn device(self) -> u8 {
        self.device
    }

    /// Function number, 0 to 7.
    pub const fn function(self) -> u8 {
        self.function
    }

    /// Offset of its 4 KiB in the segment's memory-mapped configuration space (PCI Express 6.0, table 7-1),
    /// counted from bus 0.
    pub const fn ecam_offset(self) -> u64 {
        (self.bus as u64) << 20 | (self.device as u64) << 15 | (self.function as u64) << 12
    }

    /// What to write to port 0xcf8 to reach the double word at `offset`, below 256 (PCI 3.0, 3.2.2.3.2);
    /// segment 0 only.
    pub const fn port_address(self, offset: u8) -> u32 {
        1 << 31
            | (self.bus as u32) << 16
            | (self.device as u32) << 11
            | (self.function as u32) << 8
            | (offset & !3) as u32
    }
}

impl fmt::Display for FunctionAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04x}:{:02x}:{:02x}.{}", self.segment, self.bus, self.device, self.function)
    }
}
