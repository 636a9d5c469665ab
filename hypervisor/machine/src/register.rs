//! Reaching a hardware register that a firmware table names.

use x86_64::{
    PhysAddr, VirtAddr,
    instructions::port::{Port, PortWriteOnly},
    structures::paging::{FrameAllocator, Size4KiB},
};

use crate::{acpi::Register, memory::paging::ADDRESS_SPACE, pci::access::PORTS};

/// A register that can be read and written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reachable {
    /// In I/O space.
    Port(u16),
    /// Mapped, uncacheable.
    Mapped(VirtAddr),
    /// In configuration space of bus 0, below offset 256, by the legacy ports.
    PciConfig {
        /// The address to select, enable bit set.
        select: u32,
        /// Byte within the selected word.
        byte: u16,
    },
}

impl Reachable {
    /// Makes `register`, `bytes` wide, reachable; `None` where it cannot be mapped or addressed, or is not aligned to its width.
    /// It is mapped for good.
    ///
    /// # Safety
    /// The firmware names it as a register, so that reading and writing it as its specification says is what it is for.
    pub unsafe fn new(
        register: Register,
        bytes: u64,
        frames: &mut impl FrameAllocator<Size4KiB>,
    ) -> Option<Self> {
        match register {
            Register::Port(port) => Some(Self::Port(port)),
            Register::Memory(address) => {
                let address = PhysAddr::try_new(address).ok().filter(|at| at.is_aligned(bytes))?;
                let mut space = ADDRESS_SPACE.lock();
                space.as_mut()?.map_device(address, bytes, frames).ok().map(Self::Mapped)
            }
            Register::PciConfig { device, function, offset } => {
                let offset = u32::from(offset);
                let select = 1 << 31 | u32::from(device) << 11 | u32::from(function) << 8 | offset & 0xfc;
                (offset < 256).then_some(Self::PciConfig { select, byte: (offset & 3) as u16 })
            }
        }
    }

    /// Reads 16 bits.
    pub fn read_16(self) -> u16 {
        // SAFETY: `new`'s caller vouches for the register and its width; the mapping covers it, aligned.
        unsafe {
            match self {
                Self::Port(port) => Port::new(port).read(),
                Self::Mapped(at) => at.as_ptr::<u16>().read_volatile(),
                Self::PciConfig { select, byte } => {
                    let _together = PORTS.lock();
                    PortWriteOnly::new(0xcf8).write(select);
                    Port::new(0xcfc + (byte & 2)).read()
                }
            }
        }
    }

    /// Reads 32 bits.
    pub fn read_32(self) -> u32 {
        // SAFETY: as in `read_16`.
        unsafe {
            match self {
                Self::Port(port) => Port::new(port).read(),
                Self::Mapped(at) => at.as_ptr::<u32>().read_volatile(),
                Self::PciConfig { select, .. } => {
                    let _together = PORTS.lock();
                    PortWriteOnly::new(0xcf8).write(select);
                    Port::new(0xcfc).read()
                }
            }
        }
    }

    /// Writes 16 bits.
    pub fn write_16(self, value: u16) {
        // SAFETY: as in `read_16`.
        unsafe {
            match self {
                Self::Port(port) => Port::new(port).write(value),
                Self::Mapped(at) => at.as_mut_ptr::<u16>().write_volatile(value),
                Self::PciConfig { select, byte } => {
                    let _together = PORTS.lock();
                    PortWriteOnly::new(0xcf8).write(select);
                    Port::new(0xcfc + (byte & 2)).write(value);
                }
            }
        }
    }

    /// Writes 8 bits.
    pub fn write_8(self, value: u8) {
        // SAFETY: as in `read_16`.
        unsafe {
            match self {
                Self::Port(port) => Port::new(port).write(value),
                Self::Mapped(at) => at.as_mut_ptr::<u8>().write_volatile(value),
                Self::PciConfig { select, byte } => {
                    let _together = PORTS.lock();
                    PortWriteOnly::new(0xcf8).write(select);
                    Port::new(0xcfc + byte).write(value);
                }
            }
        }
    }
}
