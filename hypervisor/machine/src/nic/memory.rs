//! Memory that driver and device share.

/// A stretch of RAM that the device reads and writes by physical address, while the driver reaches it by offset.
///
/// Offsets are the driver's own arithmetic, never the device's word; one that lies outside the stretch reads as zero and
/// writes nothing.
pub trait DeviceMemory {
    /// Physical address of its first byte, a multiple of 4096.
    fn address(&self) -> u64;

    /// Its length in bytes.
    fn bytes(&self) -> u64;

    /// Reads 16 bits at a multiple of 2; what the device wrote before them is seen after.
    fn load_16(&self, offset: u64) -> u16;

    /// Reads 32 bits at a multiple of 4, likewise.
    fn load_32(&self, offset: u64) -> u32;

    /// Writes 16 bits at a multiple of 2; the device that sees them sees what was written before.
    fn store_16(&self, offset: u64, value: u16);

    /// Writes 64 bits at a multiple of 8, likewise.
    fn store_64(&self, offset: u64, value: u64);

    /// Copies `bytes` to `offset` on.
    fn write(&self, offset: u64, bytes: &[u8]);

    /// Shows `length` bytes from `offset` on to `look`, which nobody but the device writes meanwhile; answers whether
    /// there are that many.
    fn show(&self, offset: u64, length: u64, look: &mut dyn FnMut(&[u8])) -> bool;
}
