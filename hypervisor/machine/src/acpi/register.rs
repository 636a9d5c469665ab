//! Where a hardware register lies: ACPI's generic address structure (ACPI 6.5, 5.2.3.2).

use crate::{
    fields::{u8_at, u64_at},
    physical::PHYSICAL_END,
};

/// A register that this code can reach.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Register {
    /// In I/O space.
    Port(u16),
    /// In physical memory.
    Memory(u64),
    /// In the configuration space of a function on bus 0 of segment 0.
    PciConfig {
        /// Device number, 0 to 31.
        device: u8,
        /// Function number, 0 to 7.
        function: u8,
        /// Offset, below 4096.
        offset: u16,
    },
}

/// A generic address that names no place this code can reach.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct UnknownPlace {
    /// Address space id (table 5.1).
    pub(crate) space: u8,
    /// Address there.
    pub(crate) address: u64,
}

impl Register {
    /// The register that the structure at `offset` of `table` names; `None` for address 0, which says
    /// "absent", and where the table ends before it.
    ///
    /// Widths are not looked at: firmware gets them wrong, and each register's width is given by what it is.
    pub(crate) fn from_generic(table: &[u8], offset: usize) -> Result<Option<Self>, UnknownPlace> {
        // Table 5.1: address space id at 0, bit width at 1, bit offset at 2, access size at 3, address at 4.
        let (Some(space), Some(address)) = (u8_at(table, offset), u64_at(table, offset + 4)) else {
            return Ok(None);
        };
        if address == 0 {
            return Ok(None);
        }
        let unknown = UnknownPlace { space, address };
        match space {
            0 if address < PHYSICAL_END => Ok(Some(Self::Memory(address))),
            1 => u16::try_from(address).map(|port| Some(Self::Port(port))).map_err(|_| unknown),
            2 => Self::pci(address).map(Some).ok_or(unknown),
            _ => Err(unknown),
        }
    }

    /// The register at a 32-bit I/O port address of the original FADT fields; `None` for 0.
    pub(crate) fn from_port(address: u32) -> Result<Option<Self>, UnknownPlace> {
        match u16::try_from(address) {
            Ok(0) => Ok(None),
            Ok(port) => Ok(Some(Self::Port(port))),
            Err(_) => Err(UnknownPlace { space: 1, address: address.into() }),
        }
    }

    /// Configuration space on bus 0: device in bits 47:32, function in 31:16, offset in 15:0 (table 5.1).
    fn pci(address: u64) -> Option<Self> {
        let device = u8::try_from(address >> 32).ok().filter(|&device| device < 32)?;
        let function = u8::try_from(address >> 16 & 0xffff).ok().filter(|&function| function < 8)?;
        let offset = u16::try_from(address & 0xffff).ok().filter(|&offset| offset < 0x1000)?;
        Some(Self::PciConfig { device, function, offset })
    }
}
