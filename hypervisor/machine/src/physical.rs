//! Reading physical memory as bytes: firmware tables are never Rust references.

/// Part of a read lies where no RAM or table can be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Unreadable {
    /// Physical address of the first byte asked for.
    pub address: u64,
}

/// Physical memory that can be read, whatever it holds.
pub trait PhysicalMemory {
    /// Copies `out.len()` bytes from physical address `address` on.
    ///
    /// # Errors
    /// [`Unreadable`] where any of them cannot be read; `out` is then unspecified.
    fn read(&self, address: u64, out: &mut [u8]) -> Result<(), Unreadable>;
}
