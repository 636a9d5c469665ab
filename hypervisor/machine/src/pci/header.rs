//! The part of the configuration header that every function has (PCI Express 6.0, 7.5.1.1).

use super::{ConfigSpace, FunctionAddress, offset};

/// What the rest of the header looks like.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HeaderKind {
    /// Type 0: an endpoint, with six base address registers.
    Device,
    /// Type 1: a bridge to another PCI bus, with two.
    Bridge,
    /// Type 2: a CardBus bridge.
    CardBus,
    /// Anything else.
    Unknown(u8),
}

/// What a function says of itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Header {
    /// Vendor id.
    pub vendor_id: u16,
    /// Device id.
    pub device_id: u16,
    /// Revision id.
    pub revision: u8,
    /// Class code, subclass, programming interface.
    pub class: (u8, u8, u8),
    /// Which header it has.
    pub kind: HeaderKind,
    /// Whether the device has further functions; only function 0's counts.
    pub multifunction: bool,
}

impl Header {
    /// Reads the header, or `None` where there is no function.
    pub fn read(config: &impl ConfigSpace, function: FunctionAddress) -> Option<Self> {
        let [vendor_low, vendor_high, device_low, device_high] =
            config.read32(function, offset::ID).to_le_bytes();
        let vendor_id = u16::from_le_bytes([vendor_low, vendor_high]);
        // All ones is nobody's answer; 0 is no vendor's id, and what broken bridges give.
        if matches!(vendor_id, 0 | 0xffff) {
            return None;
        }
        let [revision, interface, subclass, class] =
            config.read32(function, offset::CLASS_REVISION).to_le_bytes();
        let [_, _, header_type, _] = config.read32(function, offset::HEADER_TYPE).to_le_bytes();
        let kind = match header_type & 0x7f {
            0 => HeaderKind::Device,
            1 => HeaderKind::Bridge,
            2 => HeaderKind::CardBus,
            other => HeaderKind::Unknown(other),
        };
        Some(Self {
            vendor_id,
            device_id: u16::from_le_bytes([device_low, device_high]),
            revision,
            class: (class, subclass, interface),
            kind,
            multifunction: header_type & 0x80 != 0,
        })
    }
}
