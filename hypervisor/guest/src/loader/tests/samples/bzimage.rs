//! A bzImage with nothing in it.

use alloc::{vec, vec::Vec};

use super::put;

/// Where the code of the sample lies in the file: behind three sectors of setup.
pub(crate) const CODE_AT: usize = 3 * 512;
/// Its length.
pub(crate) const CODE_BYTES: usize = 1600;

/// Two sectors of setup, and code for 16 MiB that unpacks into 1 MiB; protocol 2.15.
pub(crate) fn sample() -> Vec<u8> {
    let mut image = vec![0; CODE_AT];
    image.resize(CODE_AT + CODE_BYTES, 0x90);
    put(&mut image, 0x1f1, [2]);
    put(&mut image, 0x1f4, (CODE_BYTES as u32 / 16).to_le_bytes());
    put(&mut image, 0x1fe, [0x55, 0xaa, 0xeb, 0x6a]);
    put(&mut image, 0x202, *b"HdrS");
    put(&mut image, 0x206, 0x020f_u16.to_le_bytes());
    put(&mut image, 0x211, [1]);
    put(&mut image, 0x22c, 0x7fff_ffff_u32.to_le_bytes());
    put(&mut image, 0x230, 0x20_0000_u32.to_le_bytes());
    put(&mut image, 0x236, 0x3f_u16.to_le_bytes());
    put(&mut image, 0x238, 2047u32.to_le_bytes());
    put(&mut image, 0x258, 0x100_0000_u64.to_le_bytes());
    put(&mut image, 0x260, 0x10_0000_u32.to_le_bytes());
    image
}

/// The sample with one field changed.
pub(crate) fn with<const N: usize>(at: usize, field: [u8; N]) -> Vec<u8> {
    let mut image = sample();
    put(&mut image, at, field);
    image
}
