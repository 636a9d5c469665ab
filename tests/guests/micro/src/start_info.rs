//! What the PVH loader left (Xen `xen/include/public/arch-x86/hvm/start_info.h`), copied before anything overwrites it.

/// Bytes of a command line at most.
const LINE_BYTES: usize = 512;
/// Memory ranges at most.
const RANGES: usize = 32;
/// The memory map's type of usable RAM.
const RAM: u32 = 1;

/// A range of RAM.
#[derive(Clone, Copy, Default)]
pub(crate) struct Range {
    pub(crate) start: u64,
    pub(crate) end: u64,
}

/// A copy of all that the guest uses.
pub(crate) struct StartInfo {
    line: [u8; LINE_BYTES],
    line_bytes: usize,
    ranges: [Range; RANGES],
    range_count: usize,
    /// Where the ACPI root pointer lies, or 0.
    pub(crate) rsdp: u64,
}

#[repr(C)]
struct Header {
    magic: u32,
    version: u32,
    flags: u32,
    module_count: u32,
    modules: u64,
    command_line: u64,
    rsdp: u64,
    memory_map: u64,
    memory_map_entries: u32,
    reserved: u32,
}

#[repr(C)]
struct MapEntry {
    address: u64,
    bytes: u64,
    kind: u32,
    reserved: u32,
}

impl StartInfo {
    /// Copies what lies at physical address `at`.
    ///
    /// # Safety
    /// A PVH loader left its start information there, and it is still as the loader left it.
    pub(crate) unsafe fn read(at: u64) -> Self {
        let mut info = Self {
            line: [0; LINE_BYTES],
            line_bytes: 0,
            ranges: [Range::default(); RANGES],
            range_count: 0,
            rsdp: 0,
        };
        // SAFETY: the caller's promise; all memory below 4 GiB is mapped at its own address.
        let header = unsafe { (at as *const Header).read_unaligned() };
        assert_eq!(header.magic, 0x336e_c578, "the start information has no magic number");
        info.rsdp = header.rsdp;
        while header.command_line != 0 && info.line_bytes < LINE_BYTES {
            // SAFETY: the command line is a string that ends with a zero byte, at which this loop ends.
            let byte = unsafe { (header.command_line as *const u8).add(info.line_bytes).read() };
            if byte == 0 {
                break;
            }
            info.line[info.line_bytes] = byte;
            info.line_bytes += 1;
        }
        let entries = if header.version >= 1 { header.memory_map_entries as usize } else { 0 };
        for place in 0..entries.min(RANGES) {
            // SAFETY: version 1 has a map of that many entries.
            let entry = unsafe { (header.memory_map as *const MapEntry).add(place).read_unaligned() };
            if entry.kind == RAM {
                info.ranges[info.range_count] =
                    Range { start: entry.address, end: entry.address + entry.bytes };
                info.range_count += 1;
            }
        }
        info
    }

    pub(crate) fn command_line(&self) -> &str {
        core::str::from_utf8(&self.line[..self.line_bytes]).unwrap_or_default()
    }

    /// Usable RAM.
    pub(crate) fn ram(&self) -> &[Range] {
        &self.ranges[..self.range_count]
    }
}
