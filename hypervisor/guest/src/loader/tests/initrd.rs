use alloc::vec;

use super::{
    GuestAddress, refusal,
    samples::elf::{sample, segment},
    try_plan,
};

const MIB: u64 = 1 << 20;

#[test]
fn it_lies_as_high_as_it_can() {
    let kernel = sample().build();
    for (memory_mib, end) in [(64, 64 * MIB), (3072, 3072 * MIB), (4096, 3072 * MIB)] {
        let plan = try_plan(memory_mib, &kernel, Some(&[1; 5000])).unwrap();
        assert_eq!(plan.copies.last().unwrap().to, GuestAddress(end - 8192), "{memory_mib} MiB");
    }
}

#[test]
fn it_goes_around_a_kernel_at_the_top() {
    let mut image = sample();
    image.segments[1] = segment(62 * MIB, &[1; 50], 2 * MIB);
    let plan = try_plan(64, &image.build(), Some(&vec![1; MIB as usize])).unwrap();
    assert_eq!(plan.copies.last().unwrap().to, GuestAddress(61 * MIB));
}

#[test]
fn all_room_beside_the_kernel_can_be_used_and_no_more() {
    let mut image = sample();
    image.segments[1] = segment(2 * MIB, &[1; 50], 5000);
    let kernel = image.build();
    // The kernel ends at 2 MiB + 5000 bytes: the next page is 2 MiB + 8192.
    let room = 8 * MIB - 2 * MIB - 8192;
    assert!(try_plan(8, &kernel, Some(&vec![1; room as usize])).is_ok());
    let error = refusal(8, &kernel, Some(&vec![1; room as usize + 1]));
    assert!(error.starts_with("initrd `initramfs`: too large: it has 6137 KiB"), "{error}");
    assert!(error.contains("is 6136 KiB; give the guest more memory"), "{error}");
}

#[test]
fn an_empty_one_is_refused() {
    assert_eq!(refusal(64, &sample().build(), Some(&[])), "initrd `initramfs`: empty");
}
