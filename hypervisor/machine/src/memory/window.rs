//! Reading firmware tables, which lie outside RAM as the allocator knows it, through one page that moves.

use spin::Mutex;
use x86_64::{
    PhysAddr, VirtAddr,
    structures::paging::{FrameAllocator, Size4KiB},
};

use super::{address_space::WINDOW, paging::ADDRESS_SPACE};
use crate::physical::{PhysicalMemory, Unreadable};

const PAGE_BYTES: u64 = 4096;

/// Physical memory below `limit`, read through the window. One exists while the boot CPU reads firmware tables.
pub struct Window<F> {
    limit: u64,
    state: Mutex<State<F>>,
}

struct State<F> {
    frames: F,
    /// The physical page in the window.
    shown: Option<u64>,
}

impl<F: FrameAllocator<Size4KiB>> Window<F> {
    /// A window on physical addresses below `2^bits`; `frames` gives the page tables it needs.
    pub fn new(bits: u8, frames: F) -> Self {
        Self { limit: 1 << bits.clamp(32, 52), state: Mutex::new(State { frames, shown: None }) }
    }
}

impl<F: FrameAllocator<Size4KiB>> PhysicalMemory for Window<F> {
    fn read(&self, address: u64, out: &mut [u8]) -> Result<(), Unreadable> {
        let refused = Unreadable { address };
        let end = address.checked_add(out.len() as u64).ok_or(refused)?;
        if end > self.limit {
            return Err(refused);
        }
        let mut state = self.state.lock();
        let mut at = address;
        let mut rest = out;
        while !rest.is_empty() {
            let page = at & !(PAGE_BYTES - 1);
            if state.shown != Some(page) {
                state.shown = None;
                let mut space = ADDRESS_SPACE.lock();
                let space = space.as_mut().ok_or(refused)?;
                space
                    .replace_read_only(VirtAddr::new(WINDOW), PhysAddr::new(page), &mut state.frames)
                    .map_err(|_| refused)?;
                state.shown = Some(page);
            }
            let inside = at - page;
            let count = rest.len().min((PAGE_BYTES - inside) as usize);
            let (piece, after) = rest.split_at_mut(count);
            // SAFETY: the window's page is mapped readable and shows `page`; `inside + count` stays within it. Bytes are
            // copied, never borrowed; the lock keeps the window where it is meanwhile.
            unsafe {
                core::ptr::copy_nonoverlapping((WINDOW + inside) as *const u8, piece.as_mut_ptr(), count);
            }
            at += count as u64;
            rest = after;
        }
        Ok(())
    }
}
