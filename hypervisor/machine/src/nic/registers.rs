//! A window of device registers.

/// Device registers by byte offset, each access of exactly the named width.
///
/// An access that does not lie inside the window reads as all ones and writes nothing, as on a bus where nobody answers.
pub trait Registers {
    /// Length of the window in bytes.
    fn bytes(&self) -> u32;

    /// Reads 8 bits.
    fn read_8(&self, offset: u32) -> u8;

    /// Reads 16 bits; `offset` is a multiple of 2.
    fn read_16(&self, offset: u32) -> u16;

    /// Reads 32 bits; `offset` is a multiple of 4.
    fn read_32(&self, offset: u32) -> u32;

    /// Writes 8 bits.
    fn write_8(&self, offset: u32, value: u8);

    /// Writes 16 bits; `offset` is a multiple of 2.
    fn write_16(&self, offset: u32, value: u16);

    /// Writes 32 bits; `offset` is a multiple of 4.
    fn write_32(&self, offset: u32, value: u32);
}

/// Writes an address as two halves, lower half first (virtio 1.2, 4.1.3.1: 64-bit fields are written as 32-bit ones).
pub(super) fn write_address(registers: &impl Registers, offset: u32, address: u64) {
    registers.write_32(offset, address as u32);
    registers.write_32(offset + 4, (address >> 32) as u32);
}
