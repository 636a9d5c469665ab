//! The list of capabilities (PCI Express 6.0, 7.5.1.1.11 and 7.9).

use arrayvec::ArrayVec;

use super::{ConfigSpace, FunctionAddress, HeaderKind, offset};

/// Capability ids (PCI Code and ID Assignment Specification, 2).
pub mod capability_id {
    /// Message-signalled interrupts.
    pub const MSI: u8 = 0x05;
    /// The vendor's own; what virtio describes its registers by.
    pub const VENDOR: u8 = 0x09;
    /// PCI Express.
    pub const PCI_EXPRESS: u8 = 0x10;
    /// Message-signalled interrupts by a table.
    pub const MSI_X: u8 = 0x11;
}

/// Places for a capability: double words from 0x40 to 0xfc.
pub const MAX_CAPABILITIES: usize = 48;
/// Bit 4 of status, the upper half of the double word: there is a list.
const HAS_LIST: u32 = 1 << (16 + 4);
/// Where the header ends and capabilities may begin.
const FIRST: u8 = 0x40;

/// One capability.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Capability {
    /// What it is, see [`capability_id`].
    pub id: u8,
    /// Offset of its first byte, a multiple of 4 from 0x40 on.
    pub offset: u8,
}

/// The function's capabilities in the order of the list, up to the first place that was seen already.
pub fn capabilities(
    config: &impl ConfigSpace,
    function: FunctionAddress,
    kind: HeaderKind,
) -> ArrayVec<Capability, MAX_CAPABILITIES> {
    let mut found = ArrayVec::new();
    if config.read32(function, offset::COMMAND_STATUS) & HAS_LIST == 0 {
        return found;
    }
    let pointer = match kind {
        HeaderKind::Device | HeaderKind::Bridge => offset::CAPABILITIES,
        HeaderKind::CardBus => offset::CARDBUS_CAPABILITIES,
        HeaderKind::Unknown(_) => return found,
    };
    let mut seen = 0_u64;
    // The two low bits are reserved and to be masked.
    let [mut at, ..] = (config.read32(function, pointer) & !0b11).to_le_bytes();
    while at >= FIRST && seen >> (at / 4) & 1 == 0 {
        seen |= 1 << (at / 4);
        let [id, next, ..] = config.read32(function, at.into()).to_le_bytes();
        // 48 places, each seen once: there is room.
        let _ = found.try_push(Capability { id, offset: at });
        at = next & !0b11;
    }
    found
}
