//! RAM by physical address.

use x86_64::{PhysAddr, VirtAddr};

use super::address_space::{BOOT_MAP_BYTES, DIRECT_MAP};
use crate::physical::{PhysicalMemory, Unreadable};

/// Where physical address `address` lies in the direct map. Only RAM is mapped there.
pub fn virtual_address(address: PhysAddr) -> VirtAddr {
    VirtAddr::new(DIRECT_MAP + address.as_u64())
}

/// Physical memory below 4 GiB, as the boot path's own tables map it: for reading what the loader left.
pub struct BootMap(());

impl BootMap {
    /// The boot path's map.
    ///
    /// # Safety
    /// The boot path's tables are in use for as long as the value lives.
    pub unsafe fn new() -> Self {
        Self(())
    }
}

impl PhysicalMemory for BootMap {
    fn read(&self, address: u64, out: &mut [u8]) -> Result<(), Unreadable> {
        let refused = Unreadable { address };
        let end = address.checked_add(out.len() as u64).ok_or(refused)?;
        if end > BOOT_MAP_BYTES {
            return Err(refused);
        }
        // SAFETY: `new`'s caller promises that the first 4 GiB are mapped at DIRECT_MAP; `end` is within them. The bytes
        // are copied, never borrowed; the loader may have named any of them, `out` itself included.
        unsafe {
            core::ptr::copy((DIRECT_MAP + address) as *const u8, out.as_mut_ptr(), out.len());
        }
        Ok(())
    }
}
