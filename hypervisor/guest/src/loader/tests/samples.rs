//! Tiny kernels, and the memory that a plan fills.

pub(super) mod bzimage;
pub(super) mod elf;

use alloc::{string::String, vec, vec::Vec};

use crate::loader::{FileRole, LoadPlan};

/// A guest's memory from 0 on.
pub(super) struct Ram(Vec<u8>);

impl Ram {
    /// Carries `plan` out on zeros.
    pub(super) fn filled(bytes: u64, plan: &LoadPlan, kernel: &[u8], initrd: Option<&[u8]>) -> Self {
        let mut ram = vec![0; bytes as usize];
        for copy in &plan.copies {
            let file = match copy.file {
                FileRole::Kernel => kernel,
                FileRole::Initrd => initrd.unwrap(),
            };
            let (from, to, bytes) = (copy.offset as usize, copy.to.0 as usize, copy.bytes as usize);
            ram[to..to + bytes].copy_from_slice(&file[from..from + bytes]);
        }
        for (at, content) in &plan.writes {
            ram[at.0 as usize..][..content.len()].copy_from_slice(content);
        }
        Self(ram)
    }

    pub(super) fn bytes(&self, at: u64, count: usize) -> &[u8] {
        &self.0[at as usize..][..count]
    }

    pub(super) fn u32(&self, at: u64) -> u32 {
        u32::from_le_bytes(self.bytes(at, 4).try_into().unwrap())
    }

    pub(super) fn u64(&self, at: u64) -> u64 {
        u64::from_le_bytes(self.bytes(at, 8).try_into().unwrap())
    }

    /// The text at `at`, up to its NUL.
    pub(super) fn text(&self, at: u64) -> String {
        let bytes = self.0[at as usize..].iter().copied().take_while(|&byte| byte != 0);
        String::from_utf8(bytes.collect()).unwrap()
    }
}

fn put<const N: usize>(bytes: &mut [u8], at: usize, field: [u8; N]) {
    bytes[at..at + N].copy_from_slice(&field);
}
