use alloc::{vec, vec::Vec};

use super::{
    load, refusal,
    samples::elf::{Segment, note, notes, sample, segment},
    try_plan,
};
use crate::cpu::{Attributes, General};

/// The sample with its segments changed.
fn changed(change: impl Fn(&mut Vec<Segment>)) -> Vec<u8> {
    let mut image = sample();
    change(&mut image.segments);
    image.build()
}

/// The sample with one byte of its header changed.
fn patched(at: usize, byte: u8) -> Vec<u8> {
    let mut image = sample().build();
    image[at] = byte;
    image
}

#[test]
fn a_pvh_kernel_finds_its_start_info() {
    let (ram, cpu) = load(64, &sample().build(), Some(&[5; 5000]));
    assert_eq!(ram.bytes(0x10_0000, 300), [0x90; 300]);
    assert_eq!(ram.bytes(0x20_0000, 51), [[0x11; 50].as_slice(), &[0]].concat());

    assert_eq!(
        (cpu.registers.rip, cpu.control.cr0, cpu.control.cr4, cpu.control.efer),
        (0x10_0010, 0x11, 0, 0)
    );
    assert!(cpu.segments.cs.attributes.contains(Attributes::DEFAULT_32));
    assert!(!cpu.segments.cs.attributes.contains(Attributes::LONG));

    let info = cpu.registers.get(General::Rbx);
    assert_eq!((ram.u32(info), ram.u32(info + 4), ram.u32(info + 8)), (0x336e_c578, 1, 0));
    assert_eq!(ram.text(ram.u64(info + 24)), "console=ttyS0 quiet");
    assert_eq!(ram.u64(info + 32), 0xe_0040);
    let map = ram.u64(info + 40);
    let entries: Vec<_> = (0..u64::from(ram.u32(info + 48)))
        .map(|index| map + index * 24)
        .map(|at| (ram.u64(at), ram.u64(at + 8), ram.u32(at + 16)))
        .collect();
    let expected = [(0, 0xa_0000, 1), (0xa_0000, 0x6_0000, 2), (0x10_0000, (64 << 20) - 0x10_0000, 1)];
    assert_eq!(entries, expected);

    assert_eq!(ram.u32(info + 12), 1);
    let module = ram.u64(info + 16);
    let (start, bytes) = (ram.u64(module), ram.u64(module + 8));
    assert_eq!((start % 4096, bytes, ram.bytes(start, 5000)), (0, 5000, [5; 5000].as_slice()));
}

#[test]
fn without_an_initrd_there_is_no_module() {
    let (ram, cpu) = load(64, &sample().build(), None);
    let info = cpu.registers.get(General::Rbx);
    assert_eq!((ram.u32(info + 12), ram.u64(info + 16)), (0, 0));
}

#[test]
fn memory_beyond_the_devices_is_on_the_map() {
    let plan = try_plan(4096, &sample().build(), None).unwrap();
    let (_, info) = plan.writes.iter().find(|(at, _)| at.0 == super::BOOT_PARAMETERS).unwrap();
    assert_eq!(info[48..52], 4u32.to_le_bytes());
    let last = &info[0x60 + 3 * 24..];
    assert_eq!(
        (&last[..8], &last[8..16]),
        (&(4u64 << 30).to_le_bytes()[..], &(1u64 << 30).to_le_bytes()[..])
    );
}

#[test]
fn the_entry_is_found_however_the_notes_are_written() {
    let entry = 0x10_0010u32;
    let with =
        |content: Vec<u8>, alignment| changed(|segments| segments[2] = notes(content.clone(), alignment));
    let rip = |kernel: &[u8]| try_plan(64, kernel, None).unwrap().cpu.registers.rip;
    let four = note(b"Xen\0", 18, &entry.to_le_bytes(), 4);
    assert_eq!(rip(&with(four, 4)), 0x10_0010);
    let eight = [note(b"GNU\0", 5, &[1; 13], 8), note(b"Xen\0", 18, &u64::from(entry).to_le_bytes(), 8)];
    assert_eq!(rip(&with(eight.concat(), 8)), 0x10_0010);
    // Others of the same owner, and the same kind of another owner, are not it.
    let others = [note(b"Xen\0", 2, &[9; 4], 4), note(b"Abc\0", 18, &[9; 4], 4)].concat();
    let both = [others.clone(), note(b"Xen\0", 18, &entry.to_le_bytes(), 4)].concat();
    assert_eq!(rip(&with(both, 4)), 0x10_0010);
    assert!(refusal(64, &with(others, 4), None).contains("PVH note"));
    // Lengths that lead outside.
    for bad in [vec![0xff; 12], vec![0xff; 40], note(b"Xen\0", 18, &[1; 3], 4), vec![0; 11], Vec::new()] {
        assert!(refusal(64, &with(bad, 4), None).contains("PVH note"));
    }
}

#[test]
fn every_truncation_is_refused() {
    let image = sample().build();
    for length in 0..image.len() {
        let error = refusal(64, &image[..length], None);
        let expected = if length < 4 { "not a kernel" } else { "truncated" };
        assert!(error.contains(expected), "{length}: {error}");
    }
}

#[test]
fn files_for_other_machines_are_refused() {
    for (kernel, words) in [
        (patched(4, 1), "32-bit"),
        (patched(5, 2), "another processor"),
        (patched(18, 3), "another processor"),
        (patched(16, 3), "not linked to a fixed address"),
        (patched(54, 32), "wrong size"),
        (patched(57, 1), "more than 64 segments"),
        (patched(56, 0), "PVH note"),
        (changed(|segments| drop(segments.pop())), "PVH note"),
    ] {
        let error = refusal(64, &kernel, None);
        assert!(error.starts_with("kernel `vmlinux`: ") && error.contains(words), "{words}: {error}");
    }
}

#[test]
fn segments_that_cannot_be_placed_are_refused() {
    let at =
        |address, memory_bytes| changed(|segments| segments[1] = segment(address, &[1; 50], memory_bytes));
    for (kernel, words) in [
        (at(0x10_0000, 50), "another part of it lies"),
        (at(0xf_ffff, 50), "no RAM"),
        (at(0x10_012b, 50), "another part of it lies"),
        (at(0x1000, 50), "boot data"),
        (at(0x9fff, 50), "boot data"),
        (at(0x9_ffff, 50), "no RAM"),
        (at(0xb_0000, 50), "no RAM"),
        (at(u64::MAX, 50), "no address"),
        (at(u64::MAX - 50, 50), "no RAM"),
        (at(5 << 30, 50), "no RAM"),
        (at(0xfec0_0000, 50), "no RAM"),
        (at(0x20_0000, u64::MAX), "no address"),
        (at(0x20_0000, 49), "longer in the file"),
        (at(0x400_0000, 4096), "needs 66 MiB, and the guest has 64 MiB"),
        (at(0x20_0000, 1 << 30), "needs 1026 MiB, and the guest has 64 MiB"),
    ] {
        let error = refusal(64, &kernel, None);
        assert!(error.starts_with("kernel `vmlinux`: ") && error.contains(words), "{words}: {error}");
    }
    // Right behind the boot data, and empty ones anywhere.
    assert!(try_plan(64, &at(0xa000, 50), None).is_ok());
    assert!(try_plan(64, &changed(|segments| segments.push(segment(0, &[], 0))), None).is_ok());
}

#[test]
fn an_entry_outside_the_code_is_refused() {
    let with =
        |entry: u64| changed(|segments| segments[2] = notes(note(b"Xen\0", 18, &entry.to_le_bytes(), 4), 4));
    assert!(try_plan(64, &with(0x10_0000 + 299), None).is_ok());
    for entry in [0, 0xf_ffff, 0x10_0000 + 300, 0x20_0000 + 50, 0xffff_ffff] {
        assert!(refusal(64, &with(entry), None).contains("entry"), "{entry:#x}");
    }
    assert!(refusal(64, &with(1 << 32), None).contains("PVH note"));
}

#[test]
fn a_hostile_table_of_segments_is_refused() {
    for table in [u64::MAX, u64::MAX - 56, 1 << 40] {
        let mut kernel = sample().build();
        kernel[32..40].copy_from_slice(&table.to_le_bytes());
        let error = refusal(64, &kernel, None);
        assert!(error.contains("overflows") || error.contains("truncated"), "{error}");
    }
    let mut kernel = sample().build();
    // The notes' length in the file.
    kernel[64 + 2 * 56 + 32..][..8].copy_from_slice(&u64::MAX.to_le_bytes());
    assert!(refusal(64, &kernel, None).contains("longer than 64 KiB"));
    // A segment's place in the file.
    let mut kernel = sample().build();
    kernel[64 + 8..][..8].copy_from_slice(&u64::MAX.to_le_bytes());
    assert!(refusal(64, &kernel, None).contains("overflows"));
}
