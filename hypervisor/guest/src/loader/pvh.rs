//! What a PVH kernel finds: Xen's `hvm_start_info`, version 1 (`xen/include/public/arch-x86/hvm/start_info.h`).

use alloc::{vec, vec::Vec};

use super::{BOOT_PARAMETERS, COMMAND_LINE, Handover, fields::put};

/// `XEN_HVM_START_MAGIC_VALUE`.
const MAGIC: u32 = 0x336e_c578;
/// The first version with a memory map.
const VERSION: u32 = 1;

/// Where in the boot parameters the list of modules begins: behind the 56 bytes of `hvm_start_info`.
const MODULES_AT: usize = 0x40;
/// Where the memory map begins: behind one module of 32 bytes.
const MEMORY_MAP_AT: usize = 0x60;
/// Bytes of an `hvm_memmap_table_entry`.
const MEMORY_MAP_ENTRY_BYTES: usize = 24;

/// The structure and its tables, for [`BOOT_PARAMETERS`].
pub(super) fn start_info(handover: &Handover<'_>) -> Vec<u8> {
    let memory_map = handover.layout.e820();
    let mut bytes = vec![0; MEMORY_MAP_AT + memory_map.len() * MEMORY_MAP_ENTRY_BYTES];
    put(&mut bytes, 0, MAGIC.to_le_bytes());
    put(&mut bytes, 4, VERSION.to_le_bytes());
    put(&mut bytes, 24, COMMAND_LINE.to_le_bytes());
    put(&mut bytes, 32, handover.rsdp.0.to_le_bytes());
    put(&mut bytes, 40, (BOOT_PARAMETERS + MEMORY_MAP_AT as u64).to_le_bytes());
    put(&mut bytes, 48, (memory_map.len() as u32).to_le_bytes());
    if let Some(initrd) = handover.initrd {
        put(&mut bytes, 12, 1u32.to_le_bytes());
        put(&mut bytes, 16, (BOOT_PARAMETERS + MODULES_AT as u64).to_le_bytes());
        put(&mut bytes, MODULES_AT, initrd.start.0.to_le_bytes());
        put(&mut bytes, MODULES_AT + 8, initrd.bytes.to_le_bytes());
    }
    for (index, entry) in memory_map.iter().enumerate() {
        let at = MEMORY_MAP_AT + index * MEMORY_MAP_ENTRY_BYTES;
        put(&mut bytes, at, entry.region.start.0.to_le_bytes());
        put(&mut bytes, at + 8, entry.region.bytes.to_le_bytes());
        put(&mut bytes, at + 16, (entry.kind as u32).to_le_bytes());
    }
    bytes
}
