//! PCI configuration mechanism 1 (PCI Local Bus 3.0, 3.2.2.3.2): a bus with nothing on it but its host bridge.
//!
//! Systems look for a host bridge to tell whether the mechanism works at all.
//!
//! **How it migrates**: the configuration address is saved; there is nothing else that changes.

use serde::{Deserialize, Serialize};

use crate::saved::{DeviceId, Layout, RestoreError, ensure};

/// The configuration address; 4 bytes, and only as such.
pub(crate) const FIRST_PORT: u16 = 0xcf8;
/// The last byte of the configuration data.
pub(crate) const LAST_PORT: u16 = 0xcff;
/// The configuration data, 4 bytes.
const DATA_PORT: u16 = 0xcfc;

/// The address's bit that turns the data ports into configuration space.
const ENABLE: u32 = 1 << 31;
/// Bits of the address that hold: enable, bus, device, function, register.
const KEPT: u32 = ENABLE | 0x00ff_fffc;
/// Bus, device and function.
const FUNCTION: u32 = 0x00ff_ff00;
/// A host bridge's class: base 6, sub-class 0 (appendix D).
const HOST_BRIDGE: u32 = 0x06_0000 << 8;
/// Red Hat's generic host bridge: no system has a driver or a quirk for it, which is the point.
const IDENTITY: u32 = 0x0008_1b36;

/// The configuration address and the one function behind it.
#[derive(Debug, Default)]
pub(crate) struct PciConfiguration {
    address: u32,
}

impl PciConfiguration {
    /// Reads `bytes` (1, 2 or 4) from `port` on; what is not there reads as all ones.
    pub(crate) fn read(&self, port: u16, bytes: u8) -> u32 {
        if port < DATA_PORT {
            return if (port, bytes) == (FIRST_PORT, 4) { self.address } else { u32::MAX };
        }
        // The bytes above the lanes that the access covers are of no account.
        let shift = 8 * u32::from(port - DATA_PORT);
        let beyond = u32::MAX.checked_shl(32 - shift).unwrap_or(0);
        self.register() >> shift | beyond
    }

    /// Writes the low `bytes` of `value`. Nothing behind the data ports can be written.
    pub(crate) fn write(&mut self, port: u16, bytes: u8, value: u32) {
        if (port, bytes) == (FIRST_PORT, 4) {
            self.address = value & KEPT;
        }
    }

    /// The register that the address names.
    fn register(&self) -> u32 {
        if self.address & ENABLE == 0 || self.address & FUNCTION != 0 {
            return u32::MAX;
        }
        match self.address & 0xfc {
            0x00 => IDENTITY,
            0x08 => HOST_BRIDGE,
            _ => 0,
        }
    }

    pub(crate) fn save(&self) -> PciConfigurationV1 {
        PciConfigurationV1 { address: self.address }
    }

    pub(crate) fn restore(saved: &PciConfigurationV1) -> Result<Self, RestoreError> {
        ensure(saved.address & !KEPT == 0, DeviceId::PciConfiguration, "reserved bits are set")?;
        Ok(Self { address: saved.address })
    }
}

/// First layout.
#[derive(Serialize, Deserialize)]
pub(crate) struct PciConfigurationV1 {
    address: u32,
}

impl Layout for PciConfigurationV1 {
    const DEVICE: DeviceId = DeviceId::PciConfiguration;
    const VERSION: u16 = 1;
}

#[cfg(test)]
mod tests {
    use super::{DATA_PORT, FIRST_PORT, PciConfiguration};

    fn read_at(address: u32, port: u16, bytes: u8) -> u32 {
        let mut pci = PciConfiguration::default();
        pci.write(FIRST_PORT, 4, address);
        pci.read(port, bytes)
    }

    #[test]
    fn the_address_reads_back_without_its_reserved_bits() {
        assert_eq!(read_at(0xffff_ffff, FIRST_PORT, 4), 0x80ff_fffc);
        assert_eq!(read_at(0x8000_0000, FIRST_PORT, 4), 0x8000_0000);
        assert_eq!(read_at(0x8000_0000, FIRST_PORT, 2), u32::MAX, "it is 4 bytes wide");
    }

    #[test]
    fn the_host_bridge_is_all_that_there_is() {
        assert_eq!(read_at(0x8000_0000, DATA_PORT, 4), 0x0008_1b36);
        assert_eq!(read_at(0x8000_0000, DATA_PORT + 2, 2) & 0xffff, 0x0008);
        assert_eq!(read_at(0x8000_0008, DATA_PORT + 2, 2) & 0xffff, 0x0600, "the class of a host bridge");
        assert_eq!(read_at(0x8000_000c, DATA_PORT, 4), 0, "one function, a plain header");
        assert_eq!(read_at(0x8000_0000, DATA_PORT + 3, 4), 0xffff_ff00, "past the data port");
        for address in [0x0000_0000, 0x8000_0100, 0x8000_0800, 0x8001_0000] {
            assert_eq!(read_at(address, DATA_PORT, 4), u32::MAX, "{address:#x}");
        }
    }
}
