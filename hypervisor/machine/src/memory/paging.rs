//! The host's page tables: rights for every section of the image, the direct map, device registers, stacks.

use arrayvec::ArrayVec;
use godwit_host::boot::memory_map::MAX_SPANS;
use spin::Mutex;
use x86_64::{
    PhysAddr, VirtAddr,
    registers::control::{Cr3, Cr3Flags},
    structures::paging::{
        FrameAllocator, Mapper, OffsetPageTable, Page, PageSize, PageTable, PageTableFlags, PhysFrame,
        Size1GiB, Size2MiB, Size4KiB, mapper::MapToError,
    },
};

use super::{
    address_space::{DEVICES, DEVICES_BYTES, DIRECT_MAP},
    direct_map, image,
    layout::{self, DirectMap, PhysicalRange},
};

const READ_ONLY: PageTableFlags = PageTableFlags::PRESENT.union(PageTableFlags::NO_EXECUTE);
const READ_WRITE: PageTableFlags = READ_ONLY.union(PageTableFlags::WRITABLE);
const READ_EXECUTE: PageTableFlags = PageTableFlags::PRESENT;
const DEVICE: PageTableFlags =
    READ_WRITE.union(PageTableFlags::NO_CACHE).union(PageTableFlags::WRITE_THROUGH);

/// Why something could not be mapped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MapError {
    /// No frame was left for a page table.
    OutOfFrames,
    /// The address is mapped already.
    Occupied,
    /// The device's registers do not fit what is left of the address space for them.
    OutOfAddresses,
    /// The address is beyond what the processor can name.
    BeyondProcessor,
    /// The address lies in RAM: no device is there.
    IsRam,
}

impl<S: PageSize> From<MapToError<S>> for MapError {
    fn from(error: MapToError<S>) -> Self {
        match error {
            MapToError::FrameAllocationFailed => Self::OutOfFrames,
            MapToError::ParentEntryHugePage | MapToError::PageAlreadyMapped(_) => Self::Occupied,
        }
    }
}

/// The host's own tables, in use on every CPU once [`AddressSpace::load`] has run there.
pub struct AddressSpace {
    root: PhysFrame,
    next_device: u64,
    /// First physical address that the processor cannot name.
    physical_end: u64,
    /// RAM, which is never mapped as a device.
    ram: ArrayVec<PhysicalRange, MAX_SPANS>,
}

/// The one address space. Every change goes through its lock.
pub static ADDRESS_SPACE: Mutex<Option<AddressSpace>> = Mutex::new(None);

impl AddressSpace {
    /// Builds tables that map the image with its rights and `ram` as `direct` says, on a processor with
    /// `physical_address_bits`.
    ///
    /// # Errors
    /// [`MapError`] where `frames` runs dry or `direct` names a page twice.
    ///
    /// # Safety
    /// The boot path's tables are in use, so that every frame that `frames` hands out lies below 4 GiB and is mapped at
    /// the direct map's place; those frames are RAM that nothing else uses, for ever.
    pub unsafe fn build(
        direct: DirectMap<'_>,
        ram: ArrayVec<PhysicalRange, MAX_SPANS>,
        physical_address_bits: u8,
        frames: &mut impl FrameAllocator<Size4KiB>,
    ) -> Result<Self, MapError> {
        let root = frames.allocate_frame().ok_or(MapError::OutOfFrames)?;
        // SAFETY: the frame was just handed out, is mapped at the direct map's place (caller), and is ours alone.
        unsafe { table_at(root).write(PageTable::new()) };
        let physical_end = 1 << physical_address_bits.min(52);
        let mut space = Self { root, next_device: DEVICES, physical_end, ram };
        for (span, flags) in
            [(image::text(), READ_EXECUTE), (image::rodata(), READ_ONLY), (image::data(), READ_WRITE)]
        {
            for offset in (0..span.bytes()).step_by(Size4KiB::SIZE as usize) {
                space.map::<Size4KiB>(span.start + offset, span.physical_start() + offset, flags, frames)?;
            }
        }
        for page in direct {
            let flags = if page.writable { READ_WRITE } else { READ_ONLY };
            let at = DIRECT_MAP + page.physical;
            match page.size {
                layout::PageSize::Frame => space.map::<Size4KiB>(at, page.physical, flags, frames)?,
                layout::PageSize::Large => space.map::<Size2MiB>(at, page.physical, flags, frames)?,
                layout::PageSize::Huge => space.map::<Size1GiB>(at, page.physical, flags, frames)?,
            }
        }
        Ok(space)
    }

    /// Switches this CPU to these tables.
    ///
    /// # Safety
    /// The running code, its stack and all it refers to are mapped by these tables at the addresses in use.
    pub unsafe fn load(&self) {
        // SAFETY: the caller's promise.
        unsafe { Cr3::write(self.root, Cr3Flags::empty()) };
    }

    /// Maps a device's registers, uncacheable, and returns where; they stay mapped.
    ///
    /// # Errors
    /// [`MapError`]; nothing usable was mapped.
    pub fn map_device(
        &mut self,
        start: PhysAddr,
        bytes: u64,
        frames: &mut impl FrameAllocator<Size4KiB>,
    ) -> Result<VirtAddr, MapError> {
        let large = start.is_aligned(Size2MiB::SIZE) && bytes.is_multiple_of(Size2MiB::SIZE);
        let page_bytes = if large { Size2MiB::SIZE } else { Size4KiB::SIZE };
        let inside = start.as_u64() % page_bytes;
        let first = start.as_u64() - inside;
        let length =
            (inside.checked_add(bytes).ok_or(MapError::OutOfAddresses)?).next_multiple_of(page_bytes);
        let end = first
            .checked_add(length)
            .filter(|&end| end <= self.physical_end)
            .ok_or(MapError::BeyondProcessor)?;
        if self.ram.iter().any(|range| range.start < end && first < range.end) {
            return Err(MapError::IsRam);
        }
        let at = self.next_device.next_multiple_of(page_bytes);
        if length > DEVICES + DEVICES_BYTES - at {
            return Err(MapError::OutOfAddresses);
        }
        self.next_device = at + length;
        for offset in (0..length).step_by(page_bytes as usize) {
            if large {
                self.map::<Size2MiB>(at + offset, first + offset, DEVICE, frames)?;
            } else {
                self.map::<Size4KiB>(at + offset, first + offset, DEVICE, frames)?;
            }
        }
        Ok(VirtAddr::new(at + inside))
    }

    /// Maps one frame of RAM at `at`, readable and writable.
    ///
    /// # Errors
    /// [`MapError`]; nothing was mapped.
    pub fn map_ram(
        &mut self,
        at: VirtAddr,
        frame: PhysAddr,
        frames: &mut impl FrameAllocator<Size4KiB>,
    ) -> Result<(), MapError> {
        self.map::<Size4KiB>(at.as_u64(), frame.as_u64(), READ_WRITE, frames)
    }

    /// Maps the frame that holds `address` at `at`, readable only, in place of what was there.
    ///
    /// # Errors
    /// [`MapError`]; nothing is mapped there then.
    pub fn replace_read_only(
        &mut self,
        at: VirtAddr,
        address: PhysAddr,
        frames: &mut impl FrameAllocator<Size4KiB>,
    ) -> Result<(), MapError> {
        let page = Page::<Size4KiB>::containing_address(at);
        if let Ok((_, flush)) = self.tables().unmap(page) {
            flush.flush();
        }
        let first = address.align_down(Size4KiB::SIZE).as_u64();
        self.map::<Size4KiB>(page.start_address().as_u64(), first, READ_ONLY, frames)
    }

    fn map<S: PageSize>(
        &mut self,
        at: u64,
        physical: u64,
        flags: PageTableFlags,
        frames: &mut impl FrameAllocator<Size4KiB>,
    ) -> Result<(), MapError>
    where
        for<'a> OffsetPageTable<'a>: Mapper<S>,
    {
        let page = Page::<S>::containing_address(VirtAddr::new(at));
        let frame = PhysFrame::<S>::containing_address(PhysAddr::new(physical));
        let parents = PageTableFlags::PRESENT | PageTableFlags::WRITABLE;
        // SAFETY: this module's callers give every frame one writable mapping at most: `build` maps the image's sections
        // once and the direct map with the image read-only, devices are not RAM, stacks are frames of their own that
        // only their CPU touches at this address.
        let flush = unsafe { self.tables().map_to_with_table_flags(page, frame, flags, parents, frames) }?;
        flush.flush();
        Ok(())
    }

    fn tables(&mut self) -> OffsetPageTable<'_> {
        // SAFETY: `root` and every table under it are frames given to `build` or `map` for good, mapped in the direct map
        // (in the boot path's map while `build` runs); `&mut self` under the one lock makes the reference the only one.
        unsafe { OffsetPageTable::new(&mut *table_at(self.root), VirtAddr::new(DIRECT_MAP)) }
    }
}

/// Where the table in `frame` can be reached.
fn table_at(frame: PhysFrame) -> *mut PageTable {
    direct_map::virtual_address(frame.start_address()).as_mut_ptr()
}
