//! Reading physical memory as bytes: firmware tables are never Rust references.

/// One past the highest physical address of any x86-64 processor (SDM volume 3, 4.1.4: at most 52 bits).
pub const PHYSICAL_END: u64 = 1 << 52;

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
