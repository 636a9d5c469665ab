//! ELF files, segment by segment.

use alloc::{vec, vec::Vec};

use super::put;

/// A segment header and the segment's content.
#[derive(Clone)]
pub(crate) struct Segment {
    pub(crate) kind: u32,
    pub(crate) address: u64,
    pub(crate) content: Vec<u8>,
    pub(crate) memory_bytes: u64,
    pub(crate) alignment: u64,
}

/// An ELF file by its segments, whose contents follow the headers in their order.
#[derive(Clone)]
pub(crate) struct Image {
    pub(crate) segments: Vec<Segment>,
}

pub(crate) fn segment(address: u64, content: &[u8], memory_bytes: u64) -> Segment {
    Segment { kind: 1, address, content: content.to_vec(), memory_bytes, alignment: 4096 }
}

pub(crate) fn note(owner: &[u8], kind: u32, content: &[u8], padding: usize) -> Vec<u8> {
    let mut note = Vec::new();
    for word in [owner.len() as u32, content.len() as u32, kind] {
        note.extend_from_slice(&word.to_le_bytes());
    }
    note.extend_from_slice(owner);
    note.resize(note.len().next_multiple_of(padding), 0);
    note.extend_from_slice(content);
    note.resize(note.len().next_multiple_of(padding), 0);
    note
}

pub(crate) fn notes(content: Vec<u8>, alignment: u64) -> Segment {
    let memory_bytes = content.len() as u64;
    Segment { kind: 4, address: 0, content, memory_bytes, alignment }
}

/// Code at 1 MiB, data with room behind it at 2 MiB, and the entry 16 bytes into the code.
pub(crate) fn sample() -> Image {
    let entry = note(b"Xen\0", 18, &0x10_0010u64.to_le_bytes(), 4);
    let notes = notes([note(b"GNU\0", 3, &[7; 20], 4), entry].concat(), 4);
    let segments = vec![segment(0x10_0000, &[0x90; 300], 300), segment(0x20_0000, &[0x11; 50], 5000), notes];
    Image { segments }
}

impl Image {
    pub(crate) fn build(&self) -> Vec<u8> {
        let mut file = vec![0; 64 + 56 * self.segments.len()];
        put(&mut file, 0, *b"\x7fELF\x02\x01\x01");
        put(&mut file, 16, 2u16.to_le_bytes());
        put(&mut file, 18, 62u16.to_le_bytes());
        put(&mut file, 32, 64u64.to_le_bytes());
        put(&mut file, 54, 56u16.to_le_bytes());
        put(&mut file, 56, (self.segments.len() as u16).to_le_bytes());
        for (index, segment) in self.segments.iter().enumerate() {
            let at = 64 + 56 * index;
            let offset = file.len() as u64;
            put(&mut file, at, segment.kind.to_le_bytes());
            put(&mut file, at + 8, offset.to_le_bytes());
            put(&mut file, at + 16, 0xffff_ffff_8000_0000u64.to_le_bytes());
            put(&mut file, at + 24, segment.address.to_le_bytes());
            put(&mut file, at + 32, (segment.content.len() as u64).to_le_bytes());
            put(&mut file, at + 40, segment.memory_bytes.to_le_bytes());
            put(&mut file, at + 48, segment.alignment.to_le_bytes());
            file.extend_from_slice(&segment.content);
        }
        file
    }
}
