//! Device registers where they are mapped.

use x86_64::VirtAddr;

use super::Registers;

/// A window of registers, mapped uncacheable.
pub struct MappedRegisters {
    at: VirtAddr,
    bytes: u32,
}

impl MappedRegisters {
    /// The window of `bytes` bytes at `at`.
    ///
    /// # Safety
    /// The window is mapped uncacheable there for good, is device registers, and reading and writing them as their
    /// specification says is what they are for.
    pub unsafe fn new(at: VirtAddr, bytes: u32) -> Self {
        Self { at, bytes }
    }

    /// Where the register of `T` at `offset` is, if it lies inside the window and is aligned.
    fn register<T>(&self, offset: u32) -> Option<*mut T> {
        let width = size_of::<T>() as u32;
        let at = self.at + u64::from(offset);
        let inside = offset.checked_add(width).is_some_and(|end| end <= self.bytes);
        (inside && at.is_aligned(u64::from(width))).then(|| at.as_mut_ptr())
    }
}

macro_rules! access {
    ($read:ident, $write:ident, $width:ty) => {
        fn $read(&self, offset: u32) -> $width {
            let Some(register) = self.register::<$width>(offset) else { return <$width>::MAX };
            // SAFETY: inside the window and aligned; `new`'s caller mapped it and knows it as registers.
            unsafe { register.read_volatile() }
        }

        fn $write(&self, offset: u32, value: $width) {
            if let Some(register) = self.register::<$width>(offset) {
                // SAFETY: as in reading.
                unsafe { register.write_volatile(value) };
            }
        }
    };
}

impl Registers for MappedRegisters {
    fn bytes(&self) -> u32 {
        self.bytes
    }

    access!(read_8, write_8, u8);
    access!(read_16, write_16, u16);
    access!(read_32, write_32, u32);
}
