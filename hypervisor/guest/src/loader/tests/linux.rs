use super::{
    GuestAddress, guest, load, refusal,
    samples::bzimage::{CODE_AT, CODE_BYTES, sample, with},
    try_plan,
};
use crate::{
    cpu::{Attributes, General},
    file::Bytes,
    loader::plan,
};

#[test]
fn a_bzimage_finds_its_boot_params() {
    let (ram, cpu) = load(64, &sample(), Some(&[5; 5000]));
    assert_eq!(ram.bytes(0x100_0000, CODE_BYTES), [0x90; CODE_BYTES]);
    let page = cpu.registers.get(General::Rsi);
    assert_eq!(ram.bytes(page + 0x1fe, 2), [0x55, 0xaa], "the setup header is there");
    assert_eq!(ram.bytes(page + 0x202, 4), *b"HdrS");
    assert_eq!(ram.bytes(page + 0x1ef, 1), [0], "the sentinel says that the page was cleared");
    assert_eq!(ram.bytes(page + 0x210, 1), [0xff]);
    assert_eq!(ram.text(ram.u32(page + 0x228).into()), "console=ttyS0 quiet");
    assert_eq!(ram.u64(page + 0x70), 0xe_0040);
    assert_eq!(ram.u64(page + 0x250), 0);

    let (start, bytes) = (u64::from(ram.u32(page + 0x218)), ram.u32(page + 0x21c));
    assert_eq!((start % 4096, bytes, ram.bytes(start, 5000)), (0, 5000, [5; 5000].as_slice()));

    let entries: std::vec::Vec<_> = (0..u64::from(ram.bytes(page + 0x1e8, 1)[0]))
        .map(|index| page + 0x2d0 + index * 20)
        .map(|at| (ram.u64(at), ram.u64(at + 8), ram.u32(at + 16)))
        .collect();
    let expected = [(0, 0xa_0000, 1), (0xa_0000, 0x6_0000, 2), (0x10_0000, (64 << 20) - 0x10_0000, 1)];
    assert_eq!(entries, expected);
}

#[test]
fn it_starts_in_64_bit_mode_on_an_identity_map() {
    let (ram, cpu) = load(64, &sample(), None);
    assert_eq!(cpu.registers.rip, 0x100_0200);
    assert_eq!((cpu.segments.cs.selector, cpu.segments.ds.selector), (0x10, 0x18), "Linux's boot protocol");
    assert!(cpu.segments.cs.attributes.contains(Attributes::LONG));
    assert_eq!(
        (cpu.control.cr0, cpu.control.cr4, cpu.control.efer),
        (1 << 31 | 0x11, 1 << 5, 1 << 8 | 1 << 10)
    );
    // The processor's own walk, down to pages of 2 MiB.
    let entry = |table: u64, index: u64| {
        let entry = ram.u64((table & !0xfff) + index * 8);
        assert_eq!(entry & 0b11, 0b11, "present and writable");
        entry
    };
    for address in (0..4u64 << 30).step_by(2 << 20).chain([0xffff_ffff]) {
        let third = entry(cpu.control.cr3, address >> 39);
        let second = entry(third, address >> 30 & 511);
        let page = entry(second, address >> 21 & 511);
        assert_ne!(page & 1 << 7, 0);
        assert_eq!((page & !0x1f_ffff) | address & 0x1f_ffff, address);
    }
    assert_eq!(ram.u64(cpu.control.cr3 + 8), 0);
}

#[test]
fn setup_data_and_flags_of_the_file_do_not_get_through() {
    let (ram, cpu) = load(64, &with(0x250, [0xff; 8]), None);
    assert_eq!(ram.u64(cpu.registers.get(General::Rsi) + 0x250), 0);
    // A signature behind the image is not copied.
    let signed = [sample(), [0xee; 512].to_vec()].concat();
    let (ram, _) = load(64, &signed, None);
    assert_eq!(ram.bytes(0x100_0000 + CODE_BYTES as u64, 1), [0]);
}

#[test]
fn every_truncation_is_refused() {
    let image = sample();
    for length in 0..image.len() {
        let error = refusal(64, &image[..length], None);
        let expected = if length < 0x206 { "not a kernel" } else { "truncated" };
        assert!(error.contains(expected), "{length}: {error}");
    }
    assert_eq!(image.len(), CODE_AT + CODE_BYTES);
}

#[test]
fn kernels_that_cannot_boot_here_are_refused() {
    for (kernel, words) in [
        (with(0x206, 0x020b_u16.to_le_bytes()), "older than boot protocol 2.12"),
        (with(0x201, [0x61]), "too short"),
        (with(0x236, [0x3e]), "without a 64-bit entry"),
        (with(0x211, [0]), "zImage"),
        (with(0x1f4, 0u32.to_le_bytes()), "no code"),
        (with(0x1f4, u32::MAX.to_le_bytes()), "truncated"),
        (with(0x1f1, [200]), "truncated"),
        (with(0x1f1, [0]), "truncated"),
        (with(0x258, u64::MAX.to_le_bytes()), "no address"),
        (with(0x258, 0u64.to_le_bytes()), "no RAM"),
        (with(0x258, (1u64 << 32).to_le_bytes()), "no RAM"),
        (with(0x260, 0x800_0000_u32.to_le_bytes()), "needs 144 MiB, and the guest has 64 MiB"),
        (with(0x238, 5u32.to_le_bytes()), "at most 5 bytes, and the guest's has 19"),
    ] {
        let error = refusal(64, &kernel, None);
        assert!(error.starts_with("kernel `vmlinux`: ") && error.contains(words), "{words}: {error}");
    }
}

#[test]
fn a_kernel_that_loads_into_high_memory_is_refused() {
    for address in [4u64 << 30, 6 << 30] {
        let error = refusal(8 << 10, &with(0x258, address.to_le_bytes()), None);
        assert!(error.contains("loads above 3 GiB"), "{error}");
    }
}

#[test]
fn a_long_setup_header_is_cut_to_the_page_of_parameters() {
    let (ram, cpu) = load(64, &with(0x201, [0xff]), None);
    let page = cpu.registers.get(General::Rsi);
    assert_eq!(ram.u64(page + 0x2d0), 0, "the memory map follows it");
    assert_eq!(ram.u64(page + 0x2d8), 0xa_0000);
}

#[test]
fn an_initrd_stays_where_the_kernel_can_reach_it() {
    let kernel = with(0x22c, 0x1ff_ffff_u32.to_le_bytes());
    let plan_at = try_plan(64, &kernel, Some(&[5; 5000])).unwrap();
    assert_eq!(plan_at.copies[1].to, GuestAddress(0x200_0000 - 2 * 4096));
    let near = with(0x22c, 0u32.to_le_bytes());
    let error = refusal(64, &near, Some(&[5; 5000]));
    assert!(error.starts_with("initrd `initramfs`: too large"), "{error}");
}

#[test]
fn the_longest_command_line_fits() {
    let line = "x".repeat(2047);
    let description = guest(64, &line);
    let kernel = sample();
    let file = Bytes { name: "vmlinux", bytes: &kernel };
    let made = plan(&description, &description.layout().unwrap(), &file, None, super::TABLES).unwrap();
    let ram = super::Ram::filled(64 << 20, &made, &kernel, None);
    assert_eq!(ram.text(super::COMMAND_LINE), line);
}
