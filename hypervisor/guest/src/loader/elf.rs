//! ELF kernels with a PVH note (ELF-64 object file format 1.5; Xen `docs/misc/pvh.pandoc`).

use alloc::{vec, vec::Vec};

use super::{
    FileCopy, FileRole, KernelProblem,
    fields::{u16_at, u32_at, u64_at},
    placement::Placement,
};
use crate::{
    GuestAddress,
    file::{File, read_array},
};

/// What an ELF file begins with.
pub(super) const MAGIC: [u8; 4] = *b"\x7fELF";
const HEADER_BYTES: usize = 64;
/// 64-bit, of `e_ident[EI_CLASS]`.
const CLASS_64: u8 = 2;
/// Little-endian, of `e_ident[EI_DATA]`.
const DATA_LITTLE: u8 = 1;
/// `EM_X86_64`.
const MACHINE_X86_64: u16 = 62;
/// `ET_EXEC`.
const TYPE_EXECUTABLE: u16 = 2;

const SEGMENT_HEADER_BYTES: usize = 56;
/// Segments of a kernel at most: Linux has five.
const MAX_SEGMENTS: u16 = 64;
/// `PT_LOAD`.
const SEGMENT_LOAD: u32 = 1;
/// `PT_NOTE`.
const SEGMENT_NOTE: u32 = 4;

/// Bytes of a segment of notes at most: Linux has some 500.
const MAX_NOTES_BYTES: u64 = 64 << 10;
/// The owner of the PVH note, with its NUL.
const NOTE_OWNER: &[u8] = b"Xen\0";
/// `XEN_ELFNOTE_PHYS32_ENTRY`: its content is the entry's physical address.
const NOTE_PHYS32_ENTRY: u32 = 18;

/// An ELF kernel whose segments have their place.
pub(super) struct Elf {
    /// The entry's physical address.
    pub(super) entry: u32,
    segments: Vec<Segment>,
}

/// One segment of the file (`Elf64_Phdr`).
struct Segment {
    kind: u32,
    offset: u64,
    address: u64,
    file_bytes: u64,
    memory_bytes: u64,
    alignment: u64,
}

impl Elf {
    /// Reads the headers of `kernel` and takes its segments' places.
    pub(super) fn read(kernel: &dyn File, placement: &mut Placement<'_>) -> Result<Self, KernelProblem> {
        let segments = read_segments(kernel)?;
        let mut entry = None;
        for notes in segments.iter().filter(|segment| segment.kind == SEGMENT_NOTE) {
            entry = entry.or(read_notes(kernel, notes)?);
        }
        let entry = entry.ok_or(KernelProblem::Unsupported(
            "an ELF file without a PVH note: build Linux with CONFIG_PVH=y, or give its bzImage",
        ))?;
        let segments: Vec<_> = segments.into_iter().filter(Segment::is_loaded).collect();
        for segment in &segments {
            segment.check(kernel)?;
            placement.claim("a segment", segment.address, segment.memory_bytes)?;
        }
        let inside = |segment: &Segment| u64::from(entry).wrapping_sub(segment.address) < segment.file_bytes;
        if !segments.iter().any(inside) {
            return Err(KernelProblem::Damaged("its PVH entry lies in none of its segments"));
        }
        Ok(Self { entry, segments })
    }

    /// What of the file goes where.
    pub(super) fn copies(&self) -> Vec<FileCopy> {
        let filled = self.segments.iter().filter(|segment| segment.file_bytes > 0);
        let copy = |segment: &Segment| FileCopy {
            file: FileRole::Kernel,
            offset: segment.offset,
            to: GuestAddress(segment.address),
            bytes: segment.file_bytes,
        };
        filled.map(copy).collect()
    }
}

impl Segment {
    fn parse(header: &[u8; SEGMENT_HEADER_BYTES]) -> Self {
        Self {
            kind: u32_at(header, 0),
            offset: u64_at(header, 8),
            // Offset 16 holds the virtual address, which means nothing before paging is on.
            address: u64_at(header, 24),
            file_bytes: u64_at(header, 32),
            memory_bytes: u64_at(header, 40),
            alignment: u64_at(header, 48),
        }
    }

    fn is_loaded(&self) -> bool {
        self.kind == SEGMENT_LOAD && self.memory_bytes > 0
    }

    fn check(&self, kernel: &dyn File) -> Result<(), KernelProblem> {
        if self.file_bytes > self.memory_bytes {
            return Err(KernelProblem::Damaged("a segment is longer in the file than in memory"));
        }
        match self.offset.checked_add(self.file_bytes) {
            None => Err(KernelProblem::Damaged("a segment's place in the file overflows")),
            Some(end) if end > kernel.bytes() => Err(KernelProblem::Truncated { what: "a segment" }),
            Some(_) => Ok(()),
        }
    }
}

fn read_segments(kernel: &dyn File) -> Result<Vec<Segment>, KernelProblem> {
    let header: [u8; HEADER_BYTES] = read_array(kernel, 0).map_err(KernelProblem::cut("the ELF header"))?;
    let [_, _, _, _, class, data, ..] = header;
    if class != CLASS_64 {
        return Err(KernelProblem::Unsupported("a 32-bit ELF file: a 64-bit kernel is needed"));
    }
    if data != DATA_LITTLE || u16_at(&header, 18) != MACHINE_X86_64 {
        return Err(KernelProblem::Unsupported("an ELF file for another processor than x86-64"));
    }
    if u16_at(&header, 16) != TYPE_EXECUTABLE {
        return Err(KernelProblem::Unsupported("an ELF file that is not linked to a fixed address"));
    }
    let (table, entry_bytes, count) = (u64_at(&header, 32), u16_at(&header, 54), u16_at(&header, 56));
    if usize::from(entry_bytes) != SEGMENT_HEADER_BYTES {
        return Err(KernelProblem::Damaged("its segment headers have a wrong size"));
    }
    if count > MAX_SEGMENTS {
        return Err(KernelProblem::Unsupported("an ELF file with more than 64 segments"));
    }
    let mut segments = Vec::new();
    for index in 0..u64::from(count) {
        let offset = table
            .checked_add(index * SEGMENT_HEADER_BYTES as u64)
            .ok_or(KernelProblem::Damaged("the place of its segment headers overflows"))?;
        let header = read_array(kernel, offset).map_err(KernelProblem::cut("the segment headers"))?;
        segments.push(Segment::parse(&header));
    }
    Ok(segments)
}

/// Looks for the PVH entry in a segment of notes.
fn read_notes(kernel: &dyn File, segment: &Segment) -> Result<Option<u32>, KernelProblem> {
    let length = usize::try_from(segment.file_bytes.min(MAX_NOTES_BYTES + 1)).unwrap_or(usize::MAX);
    if length as u64 > MAX_NOTES_BYTES {
        return Err(KernelProblem::Damaged("its notes are longer than 64 KiB"));
    }
    // Checked before memory is taken for them.
    let end = segment.offset.checked_add(segment.file_bytes);
    if end.is_none_or(|end| end > kernel.bytes()) {
        return Err(KernelProblem::Truncated { what: "the notes" });
    }
    let mut bytes = vec![0; length];
    kernel.read(segment.offset, &mut bytes).map_err(KernelProblem::cut("the notes"))?;
    // Notes are padded to 4 bytes but in segments that say 8.
    let padding = if segment.alignment == 8 { 8 } else { 4 };
    Ok(find_entry(&bytes, padding))
}

/// The PVH entry among `notes`, each a header of three words, an owner and a content, both padded.
fn find_entry(mut notes: &[u8], padding: usize) -> Option<u32> {
    loop {
        let (header, rest) = notes.split_first_chunk::<12>()?;
        let (owner_bytes, content_bytes, kind) =
            (u32_at(header, 0) as usize, u32_at(header, 4) as usize, u32_at(header, 8));
        let owner = rest.get(..owner_bytes)?;
        // Padding counts from the note's start, which is behind a header of 12 bytes.
        let content_at = (12 + owner_bytes).next_multiple_of(padding) - 12;
        let content = rest.get(content_at..content_at.checked_add(content_bytes)?)?;
        if owner == NOTE_OWNER && kind == NOTE_PHYS32_ENTRY {
            // Linux writes 8 bytes, others 4: the address has 32 bits in any case.
            return match content.len() {
                4 => Some(u32_at(content, 0)),
                8 => u32::try_from(u64_at(content, 0)).ok(),
                _ => None,
            };
        }
        let next = (12 + content_at + content_bytes).next_multiple_of(padding) - 12;
        notes = rest.get(next..)?;
    }
}
