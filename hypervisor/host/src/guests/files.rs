//! Files in boot modules.

use alloc::string::String;

use godwit_guest::file::{File, Truncated};

use crate::machine::HostMemory;

/// A boot module as a file.
#[derive(Clone, Copy)]
pub struct ModuleFile<'a> {
    memory: &'a dyn HostMemory,
    module: usize,
    offset: u64,
    bytes: u64,
    name: &'a str,
}

impl<'a> ModuleFile<'a> {
    /// Bytes `offset..offset + bytes` of a boot module.
    pub fn new(memory: &'a dyn HostMemory, module: usize, offset: u64, bytes: u64, name: &'a str) -> Self {
        Self { memory, module, offset, bytes, name }
    }
}

impl File for ModuleFile<'_> {
    fn name(&self) -> &str {
        self.name
    }

    fn bytes(&self) -> u64 {
        self.bytes
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), Truncated> {
        let end = offset.checked_add(out.len() as u64).ok_or(Truncated)?;
        if end > self.bytes {
            return Err(Truncated);
        }
        let at = self.offset.checked_add(offset).ok_or(Truncated)?;
        self.memory.read_module(self.module, at, out).map_err(|_| Truncated)
    }
}

/// Where a file lies in a boot module.
#[derive(Clone, Debug)]
pub struct FileInModule {
    /// What it is called.
    pub name: String,
    /// Its first byte.
    pub offset: u64,
    /// Its length.
    pub bytes: u64,
}

/// What a guest is started from.
#[derive(Clone, Debug)]
pub struct BundleFiles {
    /// The boot module.
    pub module: usize,
    /// The kernel.
    pub kernel: FileInModule,
    /// The initial RAM disk.
    pub initrd: Option<FileInModule>,
}

impl BundleFiles {
    /// One of the files, to be read.
    pub fn open<'a>(&'a self, memory: &'a dyn HostMemory, file: &'a FileInModule) -> ModuleFile<'a> {
        ModuleFile::new(memory, self.module, file.offset, file.bytes, &file.name)
    }
}
