//! Puts a kernel into a guest's memory: what is copied where, what is written, and how the CPU starts.
//!
//! [`plan`] reads headers only and moves nothing: the host carries a [`LoadPlan`] out in steps as large as it likes. Two
//! kinds of kernels boot: an ELF file with a PVH note (`pvh`), and Linux's bzImage by its 64-bit entry (`bzimage`).
//!
//! | address | what |
//! |---|---|
//! | `0x1000` | `hvm_start_info` and its tables, or `boot_params` |
//! | `0x2000` | the command line |
//! | `0x3000` | the GDT that the CPU starts with |
//! | `0x4000` | page tables that map the first 4 GiB to themselves (64-bit entry only), up to `0xa000` |
//! | legacy hole | the ACPI tables |
//! | as the kernel says | the kernel |
//! | the highest place below 3 GiB | the initial RAM disk |

mod bzimage;
mod elf;
mod entry;
mod error;
mod fields;
mod placement;
mod pvh;

use alloc::{boxed::Box, vec, vec::Vec};

pub use error::{InitrdProblem, KernelProblem, LoadError};

use crate::{
    GuestAddress,
    cpu::CpuState,
    description::{CommandLine, GuestDescription},
    file::{File, read_array},
    layout::{MemoryLayout, Region},
};
use placement::{MisplacedTables, Placement};

/// Where `hvm_start_info` or `boot_params` lies.
const BOOT_PARAMETERS: u64 = 0x1000;
/// Where the command line lies, at most 2048 bytes with its NUL.
const COMMAND_LINE: u64 = 0x2000;
/// The end of all that the loader itself writes in low memory.
const BOOT_DATA_END: u64 = entry::PAGE_TABLES + entry::PAGE_TABLES_BYTES;

/// One of the files that a guest boots from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FileRole {
    /// The kernel.
    Kernel,
    /// The initial RAM disk.
    Initrd,
}

/// Bytes of a file that belong into the guest's memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FileCopy {
    /// Which file.
    pub file: FileRole,
    /// Where in the file they begin.
    pub offset: u64,
    /// Where they go.
    pub to: GuestAddress,
    /// How many, at least 1.
    pub bytes: u64,
}

/// How a guest is made ready to run. Memory that it does not mention is zero.
///
/// Copies and writes never overlap, and all of them lie in the guest's RAM.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LoadPlan {
    /// What comes from files.
    pub copies: Vec<FileCopy>,
    /// What is written as it stands here.
    pub writes: Vec<(GuestAddress, Vec<u8>)>,
    /// The first CPU's state.
    pub cpu: CpuState,
}

/// ACPI tables that were made for a place in the guest's memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PlacedTables<'t> {
    /// Where they go: in the [legacy hole](crate::layout::LEGACY_HOLE).
    pub at: GuestAddress,
    /// All of them.
    pub bytes: &'t [u8],
    /// Where among them the root pointer (RSDP) lies.
    pub rsdp: GuestAddress,
}

/// Plans how `kernel` comes into a guest's memory of the given `layout`.
///
/// # Errors
/// [`LoadError`] names the file and what is wrong with it.
pub fn plan(
    description: &GuestDescription,
    layout: &MemoryLayout,
    kernel: &dyn File,
    initrd: Option<&dyn File>,
    acpi: PlacedTables<'_>,
) -> Result<LoadPlan, LoadError> {
    let mut placement = Placement::new(layout, BOOT_DATA_END);
    placement.claim_reserved(acpi).map_err(|MisplacedTables| LoadError::Tables)?;
    let in_kernel = |problem| LoadError::Kernel { name: kernel.name().into(), problem };
    let image = Image::read(kernel, &mut placement).map_err(in_kernel)?;
    image.check(&description.command_line).map_err(in_kernel)?;

    let mut copies = image.copies();
    let initrd = initrd.map(|file| place_initrd(file, image.initrd_end(), &mut placement)).transpose()?;
    if let Some(place) = initrd {
        let (to, bytes) = (place.start, place.bytes);
        copies.push(FileCopy { file: FileRole::Initrd, offset: 0, to, bytes });
    }
    let handover = Handover { layout, initrd, rsdp: acpi.rsdp };
    let mut writes = vec![
        (GuestAddress(COMMAND_LINE), terminated(&description.command_line)),
        (acpi.at, acpi.bytes.to_vec()),
    ];
    let cpu = image.hand_over(&handover, &mut writes);
    Ok(LoadPlan { copies, writes, cpu })
}

/// What a kernel is told beside its command line.
struct Handover<'p> {
    layout: &'p MemoryLayout,
    initrd: Option<Region>,
    rsdp: GuestAddress,
}

/// A kernel, understood and placed.
enum Image {
    Pvh(elf::Elf),
    BzImage(Box<bzimage::BzImage>),
}

impl Image {
    fn read(kernel: &dyn File, placement: &mut Placement<'_>) -> Result<Self, KernelProblem> {
        if read_array(kernel, 0).is_ok_and(|magic: [u8; 4]| magic == elf::MAGIC) {
            return elf::Elf::read(kernel, placement).map(Self::Pvh);
        }
        if bzimage::is_bzimage(kernel) {
            return bzimage::BzImage::read(kernel, placement).map(Box::new).map(Self::BzImage);
        }
        Err(KernelProblem::NotAKernel)
    }

    /// Checks what the kernel says about command lines.
    fn check(&self, command_line: &CommandLine) -> Result<(), KernelProblem> {
        match self {
            Self::Pvh(_) => Ok(()),
            Self::BzImage(image) => image.check(command_line),
        }
    }

    fn copies(&self) -> Vec<FileCopy> {
        match self {
            Self::Pvh(elf) => elf.copies(),
            Self::BzImage(image) => vec![image.copy()],
        }
    }

    /// The address that no initial RAM disk may reach beyond.
    fn initrd_end(&self) -> u64 {
        match self {
            Self::Pvh(_) => u64::MAX,
            Self::BzImage(image) => image.initrd_end(),
        }
    }

    /// Writes what the kernel expects to find, and says how the CPU starts.
    fn hand_over(&self, handover: &Handover<'_>, writes: &mut Vec<(GuestAddress, Vec<u8>)>) -> CpuState {
        writes.push((GuestAddress(entry::GDT), entry::gdt()));
        match self {
            Self::Pvh(elf) => {
                writes.push((GuestAddress(BOOT_PARAMETERS), pvh::start_info(handover)));
                entry::protected_mode(elf.entry, BOOT_PARAMETERS)
            }
            Self::BzImage(image) => {
                writes.push((GuestAddress(BOOT_PARAMETERS), image.boot_params(handover)));
                writes.push((GuestAddress(entry::PAGE_TABLES), entry::identity_map()));
                entry::long_mode(image.entry(), BOOT_PARAMETERS)
            }
        }
    }
}

fn place_initrd(file: &dyn File, end: u64, placement: &mut Placement<'_>) -> Result<Region, LoadError> {
    let in_initrd = |problem| LoadError::Initrd { name: file.name().into(), problem };
    if file.bytes() == 0 {
        return Err(in_initrd(InitrdProblem::Empty));
    }
    placement.place_high(file.bytes(), end).map_err(in_initrd)
}

fn terminated(command_line: &CommandLine) -> Vec<u8> {
    let mut bytes = command_line.as_str().as_bytes().to_vec();
    bytes.push(0);
    bytes
}

#[cfg(test)]
mod tests;
