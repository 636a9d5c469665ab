//! Kernels as an operator gives them: ELF files with a PVH note, and Linux's bzImages.

use godwit_guest::{
    GuestAddress,
    file::Bytes,
    layout::MemoryLayout,
    loader::{FileRole, LoadPlan, PlacedTables, plan},
};

use super::bundle::description;
use crate::{Kind, Target};

/// Kernels, whatever they are.
pub(super) const TARGET: Target =
    Target { name: "loader", kind: Kind::Outside, run, corpus, max_bytes: 4096, executions: 400_000 };

/// Sizes of guests, in MiB.
const MEMORY_MIB: [u64; 4] = [64, 16, 4096, 3072];
const TABLES: PlacedTables<'static> =
    PlacedTables { at: GuestAddress(0xe_0000), bytes: &[0xac; 300], rsdp: GuestAddress(0xe_0040) };

fn run(bytes: &[u8]) {
    // Behind the kernel, so that its fields stay aligned.
    let Some((kernel, &[choice, initrd])) = bytes.split_last_chunk() else { return };
    let description = description("a", MEMORY_MIB[usize::from(choice % 4)] << 20);
    let Ok(layout) = description.layout() else { return };
    let initrd_bytes = vec![1; usize::from(initrd) * 64];
    let kernel_file = Bytes { name: "kernel", bytes: kernel };
    let initrd_file = Bytes { name: "initrd", bytes: &initrd_bytes };
    let initrd: Option<&dyn godwit_guest::file::File> = if initrd == 0 { None } else { Some(&initrd_file) };
    if let Ok(plan) = plan(&description, &layout, &kernel_file, initrd, TABLES) {
        check(&plan, &layout, kernel.len() as u64, initrd_bytes.len() as u64);
    }
}

/// Copies come from the files, everything lies in RAM, and nothing lies over anything else.
fn check(plan: &LoadPlan, layout: &MemoryLayout, kernel_bytes: u64, initrd_bytes: u64) {
    let mut ranges = Vec::new();
    for copy in &plan.copies {
        let file_bytes = if copy.file == FileRole::Kernel { kernel_bytes } else { initrd_bytes };
        assert!(copy.bytes > 0 && copy.offset.checked_add(copy.bytes).is_some_and(|end| end <= file_bytes));
        ranges.push((copy.to.0, copy.bytes));
    }
    ranges.extend(plan.writes.iter().map(|(at, bytes)| (at.0, bytes.len() as u64)));
    ranges.sort_unstable();
    for &(start, bytes) in &ranges {
        assert!(layout.regions().iter().any(|region| region.holds(start, bytes)), "{start:#x}, {bytes}");
    }
    for pair in ranges.windows(2) {
        assert!(pair[0].0 + pair[0].1 <= pair[1].0, "{ranges:x?}");
    }
}

fn put(bytes: &mut [u8], at: usize, field: &[u8]) {
    bytes[at..at + field.len()].copy_from_slice(field);
}

/// An ELF kernel with two segments and a PVH note.
fn elf() -> Vec<u8> {
    let mut file = vec![0; 0x300];
    put(&mut file, 0, b"\x7fELF\x02\x01\x01");
    put(&mut file, 16, &[2, 0, 62, 0, 1]);
    put(&mut file, 32, &64u64.to_le_bytes());
    put(&mut file, 52, &[64, 0, 56, 0, 3, 0]);
    let segments: [(u32, u64, u64, u64, u64); 3] =
        [(1, 0x200, 0x100_0000, 0x80, 0x1000), (1, 0x280, 0x120_0000, 0x40, 0x40), (4, 0x2c0, 0, 0x18, 0x18)];
    for (index, (kind, offset, address, file_bytes, memory_bytes)) in segments.into_iter().enumerate() {
        let at = 64 + index * 56;
        put(&mut file, at, &kind.to_le_bytes());
        for (place, field) in
            [(8, offset), (16, address), (24, address), (32, file_bytes), (40, memory_bytes), (48, 4)]
        {
            put(&mut file, at + place, &field.to_le_bytes());
        }
    }
    put(&mut file, 0x2c0, &[4, 0, 0, 0, 8, 0, 0, 0, 18, 0, 0, 0]);
    put(&mut file, 0x2cc, b"Xen\0");
    put(&mut file, 0x2d0, &0x100_0000u64.to_le_bytes());
    file
}

/// A bzImage of boot protocol 2.15 with a 64-bit entry.
fn bzimage() -> Vec<u8> {
    let mut file = vec![0; 0xa00];
    file[0x1f1] = 1;
    put(&mut file, 0x1f4, &0x60u32.to_le_bytes());
    put(&mut file, 0x1fe, &[0x55, 0xaa, 0xeb, 0x6a]);
    put(&mut file, 0x202, b"HdrS\x0f\x02");
    file[0x211] = 1;
    put(&mut file, 0x22c, &0x7fff_ffffu32.to_le_bytes());
    put(&mut file, 0x236, &[0x3f, 0]);
    put(&mut file, 0x238, &2047u32.to_le_bytes());
    put(&mut file, 0x258, &0x100_0000u64.to_le_bytes());
    put(&mut file, 0x260, &0x10_0000u32.to_le_bytes());
    file
}

fn corpus() -> Vec<Vec<u8>> {
    let with_choices = |kernel: &[u8], initrd| [kernel, &[0, initrd]].concat();
    let both = [elf(), bzimage()];
    both.iter().flat_map(|kernel| [with_choices(kernel, 0), with_choices(kernel, 9)]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_corpus_is_kernels() {
        for kernel in [elf(), bzimage()] {
            let description = description("a", 64 << 20);
            let layout = description.layout().expect("a size that there is");
            let file = Bytes { name: "kernel", bytes: &kernel };
            let plan = plan(&description, &layout, &file, None, TABLES).expect("it is a kernel");
            assert!(!plan.copies.is_empty());
        }
    }
}
