//! Configuration space of this machine: memory-mapped where the MCFG says so, else by the legacy ports.

use alloc::{format, string::String, vec::Vec};
use core::arch::asm;

use godwit_host::description::PciFunction;
use spin::Mutex;
use x86_64::{
    VirtAddr,
    instructions::port::{Port, PortWriteOnly},
};

use super::{ConfigSpace, FunctionAddress, MAX_FUNCTIONS, enumerate};
use crate::acpi::EcamRegion;

const ADDRESS: u16 = 0xcf8;
const DATA: u16 = 0xcfc;
/// The ports reach this much of a function's 4 KiB.
const PORT_BYTES: u16 = 256;

/// Keeps the use of address and data port together.
pub(crate) static PORTS: Mutex<()> = Mutex::new(());

struct MappedRegion {
    region: EcamRegion,
    /// Where the region's first bus is mapped.
    at: VirtAddr,
}

/// All of this machine's configuration space.
pub struct ConfigurationSpace {
    mapped: Vec<MappedRegion>,
}

impl ConfigurationSpace {
    /// Maps `regions` by `map`, which takes a physical address and a length and maps them uncacheable for good; what cannot
    /// be mapped is named in `notes` and reached by the ports as far as they go.
    ///
    /// # Safety
    /// `regions` are the memory-mapped configuration space that the firmware names, and `map` maps what it is asked to.
    pub unsafe fn new<E: core::fmt::Debug>(
        regions: &[EcamRegion],
        mut map: impl FnMut(u64, u64) -> Result<VirtAddr, E>,
        notes: &mut Vec<String>,
    ) -> Self {
        let mut mapped = Vec::new();
        for &region in regions {
            match map(region.start(), region.bytes()) {
                Ok(at) => mapped.push(MappedRegion { region, at }),
                Err(error) => notes.push(format!(
                    "PCI segment {} at {:#x} cannot be mapped: {error:?}",
                    region.segment,
                    region.start()
                )),
            }
        }
        Self { mapped }
    }

    /// Every function of every bus that can be reached, at most [`MAX_FUNCTIONS`].
    pub fn functions(&self, notes: &mut Vec<String>) -> Vec<PciFunction> {
        let mut all = Vec::new();
        let mut add = |segment, buses| {
            let functions = enumerate(self, segment, buses, MAX_FUNCTIONS - all.len());
            if functions.cut {
                notes.push(format!("PCI segment {segment} has more functions than are listed"));
            }
            all.extend(functions.list);
        };
        // Segment 0 answers at the ports where no region covers a bus.
        add(0, 0..=u8::MAX);
        for MappedRegion { region, .. } in self.mapped.iter().filter(|mapped| mapped.region.segment != 0) {
            add(region.segment, region.start_bus..=region.end_bus);
        }
        all
    }

    fn register(&self, function: FunctionAddress, offset: u16) -> Option<VirtAddr> {
        let mapped = self.mapped.iter().find(|mapped| {
            mapped.region.segment == function.segment()
                && (mapped.region.start_bus..=mapped.region.end_bus).contains(&function.bus())
        })?;
        let first_bus = u64::from(mapped.region.start_bus) << 20;
        Some(mapped.at + (function.ecam_offset() - first_bus + u64::from(offset & 0xffc)))
    }

    fn by_ports(&self, function: FunctionAddress, offset: u16) -> Option<u32> {
        (function.segment() == 0 && offset < PORT_BYTES).then(|| function.port_address(offset as u8))
    }
}

impl ConfigSpace for ConfigurationSpace {
    fn read32(&self, function: FunctionAddress, offset: u16) -> u32 {
        if let Some(register) = self.register(function, offset) {
            // SAFETY: inside a region that `new` mapped; aligned to four bytes. Reading configuration space of a function that
            // is not there gives all ones.
            return unsafe { read_mapped(register) };
        }
        let Some(address) = self.by_ports(function, offset) else { return u32::MAX };
        let _together = PORTS.lock();
        // SAFETY: the two ports are configuration space's on every PC, and the lock keeps their use together.
        unsafe {
            PortWriteOnly::new(ADDRESS).write(address);
            Port::new(DATA).read()
        }
    }

    fn write32(&self, function: FunctionAddress, offset: u16, value: u32) {
        if let Some(register) = self.register(function, offset) {
            // SAFETY: as in `read32`; what the write does is the caller's to know: only device drivers and `bar_sizes` write.
            unsafe { write_mapped(register, value) };
            return;
        }
        let Some(address) = self.by_ports(function, offset) else { return };
        let _together = PORTS.lock();
        // SAFETY: as in `read32`.
        unsafe {
            PortWriteOnly::new(ADDRESS).write(address);
            Port::new(DATA).write(value);
        }
    }
}

/// Reads through EAX: AMD processors take no other register for mapped configuration space (family 10h BKDG, 2.11.1).
///
/// # Safety
/// `at` is a mapped, aligned double word of configuration space.
unsafe fn read_mapped(at: VirtAddr) -> u32 {
    let value: u32;
    // SAFETY: the caller's promise.
    unsafe {
        asm!("mov eax, [{}]", in(reg) at.as_u64(), out("eax") value, options(nostack, preserves_flags));
    }
    value
}

/// Writes through EAX, as [`read_mapped`] reads.
///
/// # Safety
/// `at` is a mapped, aligned double word of configuration space.
unsafe fn write_mapped(at: VirtAddr, value: u32) {
    // SAFETY: the caller's promise.
    unsafe { asm!("mov [{}], eax", in(reg) at.as_u64(), in("eax") value, options(nostack, preserves_flags)) };
}
