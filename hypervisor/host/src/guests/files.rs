//! Files in boot modules.

use godwit_guest::{
    bundle::FileRange,
    file::{File, Truncated},
    loader::FileRole,
};

use crate::machine::HostMemory;

/// A boot module as a file.
#[derive(Clone, Copy)]
pub struct ModuleFile<'a> {
    /// How it is read.
    pub memory: &'a dyn HostMemory,
    /// Which, by its place in the boot information.
    pub module: usize,
    /// Its length in bytes.
    pub bytes: u64,
}

impl File for ModuleFile<'_> {
    fn name(&self) -> &str {
        "the boot module"
    }

    fn bytes(&self) -> u64 {
        self.bytes
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), Truncated> {
        let end = offset.checked_add(out.len() as u64).ok_or(Truncated)?;
        if end > self.bytes {
            return Err(Truncated);
        }
        self.memory.read_module(self.module, offset, out).map_err(|_| Truncated)
    }
}

/// What a guest is started from.
#[derive(Clone, Debug)]
pub struct BundleFiles {
    /// The boot module, by its place in the boot information.
    pub module: usize,
    /// Its length in bytes.
    pub module_bytes: u64,
    /// The kernel.
    pub kernel: FileRange,
    /// The initial RAM disk.
    pub initrd: Option<FileRange>,
}

impl BundleFiles {
    /// The bundle that the files lie in.
    pub fn bundle<'a>(&self, memory: &'a dyn HostMemory) -> ModuleFile<'a> {
        ModuleFile { memory, module: self.module, bytes: self.module_bytes }
    }

    /// The file that plays `role`.
    pub fn range(&self, role: FileRole) -> Option<&FileRange> {
        match role {
            FileRole::Kernel => Some(&self.kernel),
            FileRole::Initrd => self.initrd.as_ref(),
        }
    }
}
