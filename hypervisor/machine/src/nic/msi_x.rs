//! Message-signalled interrupts by a table (PCI Express 6.0, 6.1.4.2 and 7.7.2).

use super::{
    Registers,
    capability::{Window, window},
    registers::write_address,
};
use crate::pci::{ConfigSpace, FunctionAddress, HeaderKind, bar_sizes, capabilities, capability_id};

/// Bytes of one entry: address, upper address, data, control.
const ENTRY_BYTES: u32 = 16;
const DATA: u32 = 8;
const CONTROL: u32 = 12;
/// Bit 0 of an entry's control: nothing is sent.
const MASKED: u32 = 1;
/// In the upper half of the capability's first double word: on, all entries masked, and last entry.
const ENABLE: u32 = 1 << 31;
const ALL_MASKED: u32 = 1 << 30;
const LAST_ENTRY: u32 = 0x7ff << 16;

/// Where messages go to be an interrupt of a local APIC (SDM vol. 3, 11.11.1): bits 19 to 12 name it, if its id has 8 bits.
const LOCAL_APICS: u64 = 0xfee0_0000;

/// A function's ability to interrupt by messages.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MsiX {
    function: FunctionAddress,
    offset: u16,
    /// The table.
    pub table: Window,
}

impl MsiX {
    /// Finds it, or `None` where the function has none, or says that its table is where nothing was assigned to it.
    pub fn find(config: &impl ConfigSpace, function: FunctionAddress) -> Option<Self> {
        let list = capabilities(config, function, HeaderKind::Device);
        let capability = list.iter().find(|capability| capability.id == capability_id::MSI_X)?;
        let offset = u16::from(capability.offset);
        if offset + 12 > 256 {
            return None;
        }
        let entries = ((config.read32(function, offset) & LAST_ENTRY) >> 16) + 1;
        let place = config.read32(function, offset + 4);
        let [bar, ..] = (place & 0b111).to_le_bytes();
        let bars = bar_sizes(config, function, HeaderKind::Device);
        let table = window(&bars, bar, place & !0b111, entries * ENTRY_BYTES)?;
        Some(Self { function, offset, table })
    }

    /// Lets entry 0 raise `vector` on the processor with APIC id `apic_id`, masks all others, and turns the table on;
    /// `table` is [`Self::table`], mapped. Answers whether that processor can be named in a message.
    pub fn enable(
        &self,
        config: &impl ConfigSpace,
        table: &impl Registers,
        apic_id: u32,
        vector: u8,
    ) -> bool {
        let Ok(destination) = u8::try_from(apic_id) else { return false };
        for entry in 1..table.bytes() / ENTRY_BYTES {
            table.write_32(entry * ENTRY_BYTES + CONTROL, MASKED);
        }
        table.write_32(CONTROL, MASKED);
        write_address(table, 0, LOCAL_APICS | u64::from(destination) << 12);
        table.write_32(DATA, u32::from(vector));
        table.write_32(CONTROL, 0);
        let control = config.read32(self.function, self.offset);
        config.write32(self.function, self.offset, control & !ALL_MASKED | ENABLE);
        true
    }
}
