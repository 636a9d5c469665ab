//! Linux bzImages by their 64-bit entry (Linux `Documentation/arch/x86/boot.rst`, `zero-page.rst`).

use alloc::{vec, vec::Vec};

use super::{
    COMMAND_LINE, FileCopy, FileRole, Handover, KernelProblem,
    fields::{put, u16_at, u32_at, u64_at},
    placement::Placement,
};
use crate::{
    GuestAddress,
    description::CommandLine,
    file::{File, read_array},
    layout::LOW_RAM_END,
};

/// Bytes of `boot_params`.
const BOOT_PARAMS_BYTES: usize = 4096;
/// Where the setup header begins, in the file and in `boot_params` alike.
const SETUP_HEADER: usize = 0x1f1;
/// What `boot_params` has room for: the disk signatures follow.
const SETUP_HEADER_END: usize = 0x290;
/// Where the header of protocol 2.12 ends: behind `init_size`.
const SETUP_HEADER_2_12_END: usize = 0x264;
/// The oldest protocol that says whether there is a 64-bit entry.
const MIN_PROTOCOL: u16 = 0x020c;
/// The 64-bit entry, from the start of the protected-mode part.
const ENTRY_64: u64 = 0x200;
/// `XLF_KERNEL_64`.
const HAS_ENTRY_64: u16 = 1;
/// `LOADED_HIGH`, of `loadflags`.
const LOADED_HIGH: u8 = 1;
const SECTOR_BYTES: u64 = 512;

/// Fields of the setup header, by their place in file and `boot_params`.
mod field {
    pub(super) const SETUP_SECTORS: usize = 0x1f1;
    pub(super) const SYSTEM_PARAGRAPHS: usize = 0x1f4;
    pub(super) const VIDEO_MODE: usize = 0x1fa;
    pub(super) const BOOT_FLAG: usize = 0x1fe;
    pub(super) const JUMP_DISTANCE: usize = 0x201;
    pub(super) const HEADER: usize = 0x202;
    pub(super) const VERSION: usize = 0x206;
    pub(super) const LOADER_TYPE: usize = 0x210;
    pub(super) const LOAD_FLAGS: usize = 0x211;
    pub(super) const CODE_32_START: usize = 0x214;
    pub(super) const RAMDISK_IMAGE: usize = 0x218;
    pub(super) const RAMDISK_SIZE: usize = 0x21c;
    pub(super) const COMMAND_LINE_POINTER: usize = 0x228;
    pub(super) const INITRD_ADDRESS_MAX: usize = 0x22c;
    pub(super) const EXTENDED_LOAD_FLAGS: usize = 0x236;
    pub(super) const COMMAND_LINE_SIZE: usize = 0x238;
    pub(super) const SETUP_DATA: usize = 0x250;
    pub(super) const PREFERRED_ADDRESS: usize = 0x258;
    pub(super) const INIT_SIZE: usize = 0x260;
}

/// Fields of `boot_params` outside the setup header.
mod zero_page {
    pub(super) const ACPI_RSDP: usize = 0x070;
    pub(super) const E820_ENTRIES: usize = 0x1e8;
    pub(super) const E820_TABLE: usize = 0x2d0;
    pub(super) const E820_ENTRY_BYTES: usize = 20;
}

/// A bzImage whose place is taken.
pub(super) struct BzImage {
    /// The start of the file with the setup header, as far as `boot_params` has room for it.
    header: [u8; SETUP_HEADER_END],
    /// Where the setup header ends.
    header_end: usize,
    /// Where the protected-mode part goes, and where in the file it lies.
    copy: FileCopy,
}

/// Whether `kernel` looks like a bzImage: by the boot flag and by `HdrS`.
pub(super) fn is_bzimage(kernel: &dyn File) -> bool {
    read_array(kernel, field::BOOT_FLAG as u64).is_ok_and(|flag: [u8; 2]| flag == [0x55, 0xaa])
        && read_array(kernel, field::HEADER as u64).is_ok_and(|header: [u8; 4]| header == *b"HdrS")
}

impl BzImage {
    /// Reads the setup header of `kernel` and takes the place that the kernel unpacks itself in.
    pub(super) fn read(kernel: &dyn File, placement: &mut Placement<'_>) -> Result<Self, KernelProblem> {
        let header: [u8; SETUP_HEADER_END] =
            read_array(kernel, 0).map_err(KernelProblem::cut("the setup header"))?;
        if u16_at(&header, field::VERSION) < MIN_PROTOCOL {
            return Err(KernelProblem::Unsupported("a bzImage older than boot protocol 2.12 (Linux 3.8)"));
        }
        let [jump_distance, ..] = header.get(field::JUMP_DISTANCE..).unwrap_or_default() else {
            return Err(KernelProblem::Damaged("its setup header is too short"));
        };
        let header_end = field::HEADER + usize::from(*jump_distance);
        if header_end < SETUP_HEADER_2_12_END {
            return Err(KernelProblem::Damaged("its setup header is too short"));
        }
        if u16_at(&header, field::EXTENDED_LOAD_FLAGS) & HAS_ENTRY_64 == 0 {
            return Err(KernelProblem::Unsupported(
                "a bzImage without a 64-bit entry: a 64-bit kernel is needed",
            ));
        }
        if header.get(field::LOAD_FLAGS).is_none_or(|flags| flags & LOADED_HIGH == 0) {
            return Err(KernelProblem::Unsupported("a zImage, which loads below 1 MiB: give a bzImage"));
        }

        let setup_sectors = match header.get(field::SETUP_SECTORS).copied().unwrap_or(0) {
            // Old kernels say 0 and mean 4.
            0 => 4,
            sectors => u64::from(sectors),
        };
        let offset = (1 + setup_sectors) * SECTOR_BYTES;
        let bytes = u64::from(u32_at(&header, field::SYSTEM_PARAGRAPHS)) * 16;
        if bytes <= ENTRY_64 {
            return Err(KernelProblem::Damaged("it has no code behind its setup"));
        }
        if offset + bytes > kernel.bytes() {
            return Err(KernelProblem::Truncated { what: "the kernel behind its setup" });
        }
        let load = u64_at(&header, field::PREFERRED_ADDRESS);
        let unpacked_bytes = u64::from(u32_at(&header, field::INIT_SIZE));
        let bytes_taken = unpacked_bytes.max(bytes);
        placement.claim("the kernel", load, bytes_taken)?;
        // The entry's own page tables and 32-bit fields of `boot_params` reach no further.
        if load.saturating_add(bytes_taken) > LOW_RAM_END {
            return Err(KernelProblem::Unsupported("a bzImage that loads above 3 GiB"));
        }
        let copy = FileCopy { file: FileRole::Kernel, offset, to: GuestAddress(load), bytes };
        Ok(Self { header, header_end: header_end.min(SETUP_HEADER_END), copy })
    }

    /// Checks that the kernel keeps all of `command_line`.
    pub(super) fn check(&self, command_line: &CommandLine) -> Result<(), KernelProblem> {
        let max_bytes = u32_at(&self.header, field::COMMAND_LINE_SIZE);
        let bytes = command_line.as_str().len();
        if bytes as u64 > u64::from(max_bytes) {
            return Err(KernelProblem::CommandLine { max_bytes, bytes });
        }
        Ok(())
    }

    /// What of the file goes where.
    pub(super) fn copy(&self) -> FileCopy {
        self.copy
    }

    /// The address that no initial RAM disk may reach beyond.
    pub(super) fn initrd_end(&self) -> u64 {
        u64::from(u32_at(&self.header, field::INITRD_ADDRESS_MAX)) + 1
    }

    /// The address of the 64-bit entry.
    pub(super) fn entry(&self) -> u64 {
        // The place was taken with more bytes than that, so it does not wrap.
        self.copy.to.0.wrapping_add(ENTRY_64)
    }

    /// The page of parameters that RSI points to. The sum of all addresses in it is below 4 GiB: the kernel and the initial
    /// RAM disk lie in low RAM.
    pub(super) fn boot_params(&self, handover: &Handover<'_>) -> Vec<u8> {
        let mut page = vec![0; BOOT_PARAMS_BYTES];
        let setup = SETUP_HEADER..self.header_end;
        if let (Some(from), Some(to)) = (self.header.get(setup.clone()), page.get_mut(setup)) {
            to.copy_from_slice(from);
        }
        put(&mut page, field::VIDEO_MODE, 0xffff_u16.to_le_bytes());
        // A loader without a number of its own.
        put(&mut page, field::LOADER_TYPE, [0xff]);
        put(&mut page, field::LOAD_FLAGS, [LOADED_HIGH]);
        put(&mut page, field::CODE_32_START, (self.copy.to.0 as u32).to_le_bytes());
        put(&mut page, field::COMMAND_LINE_POINTER, (COMMAND_LINE as u32).to_le_bytes());
        put(&mut page, field::SETUP_DATA, 0u64.to_le_bytes());
        put(&mut page, zero_page::ACPI_RSDP, handover.rsdp.0.to_le_bytes());
        if let Some(initrd) = handover.initrd {
            put(&mut page, field::RAMDISK_IMAGE, (initrd.start.0 as u32).to_le_bytes());
            put(&mut page, field::RAMDISK_SIZE, (initrd.bytes as u32).to_le_bytes());
        }
        let memory_map = handover.layout.e820();
        put(&mut page, zero_page::E820_ENTRIES, [memory_map.len() as u8]);
        for (index, entry) in memory_map.iter().enumerate() {
            let at = zero_page::E820_TABLE + index * zero_page::E820_ENTRY_BYTES;
            put(&mut page, at, entry.region.start.0.to_le_bytes());
            put(&mut page, at + 8, entry.region.bytes.to_le_bytes());
            put(&mut page, at + 16, (entry.kind as u32).to_le_bytes());
        }
        page
    }
}
