//! The plan of the direct map: which pages map all RAM once, with the largest pages that fit.
//!
//! The direct map covers usable RAM and nothing else, so that no large page crosses from RAM into device
//! memory (SDM volume 3, 12.11.9: a large page over two memory types is undefined). The image's own frames
//! are in it read-only: the image is writable at no second address. Every page of it is no-execute.
#![forbid(unsafe_code)]

use core::fmt;

#[cfg(test)]
mod tests;

/// A range of physical memory in bytes, `start` counted, `end` not.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PhysicalRange {
    /// Address of the first byte.
    pub start: u64,
    /// Address after the last byte.
    pub end: u64,
}

/// The sizes of a page.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum PageSize {
    /// 4 KiB.
    Frame,
    /// 2 MiB.
    Large,
    /// 1 GiB, where the processor has such pages.
    Huge,
}

impl PageSize {
    /// Length in bytes.
    pub const fn bytes(self) -> u64 {
        match self {
            Self::Frame => 1 << 12,
            Self::Large => 1 << 21,
            Self::Huge => 1 << 30,
        }
    }
}

/// One page of the direct map. It lies at the map's base plus `physical`; the base is aligned to 1 GiB.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DirectPage {
    /// Physical address, aligned to the page's size.
    pub physical: u64,
    /// Its size.
    pub size: PageSize,
    /// Whether it may be written: all but the image's.
    pub writable: bool,
}

/// Why ranges make no plan.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LayoutError {
    /// A range does not begin and end on a frame.
    NotWholeFrames(PhysicalRange),
    /// A range is empty or ends before it starts.
    Empty(PhysicalRange),
    /// A range starts before the one listed before it ends.
    OutOfOrder(PhysicalRange),
}

/// The pages of the direct map, in ascending order of address, made one at a time.
#[derive(Clone, Debug)]
pub struct DirectMap<'a> {
    usable: &'a [PhysicalRange],
    image: &'a [PhysicalRange],
    largest: PageSize,
    /// Everything below is planned.
    next: u64,
}

impl<'a> DirectMap<'a> {
    /// Plans pages for all of `usable`, which are read-only where `image` covers them; what of `image` lies
    /// outside `usable` is not mapped. `gigabyte_pages` says whether the processor has 1 GiB pages.
    ///
    /// Ranges that touch should be one range: no page crosses from one into the next.
    ///
    /// # Errors
    /// [`LayoutError`] unless both lists are of whole frames, in ascending order and free of overlaps.
    pub fn new(
        usable: &'a [PhysicalRange],
        image: &'a [PhysicalRange],
        gigabyte_pages: bool,
    ) -> Result<Self, LayoutError> {
        check(usable)?;
        check(image)?;
        let largest = if gigabyte_pages { PageSize::Huge } else { PageSize::Large };
        Ok(Self { usable, image, largest, next: 0 })
    }
}

impl Iterator for DirectMap<'_> {
    type Item = DirectPage;

    fn next(&mut self) -> Option<DirectPage> {
        self.usable = after(self.usable, self.next);
        self.image = after(self.image, self.next);
        let range = self.usable.first()?;
        let physical = self.next.max(range.start);
        // The image's next range, once the pages before it have passed the ranges below it.
        let image = after(self.image, physical).first();
        let (end, writable) = match image {
            Some(image) if image.start <= physical => (image.end.min(range.end), false),
            Some(image) => (image.start.min(range.end), true),
            None => (range.end, true),
        };
        let size = [PageSize::Huge, PageSize::Large]
            .into_iter()
            .filter(|&size| size <= self.largest)
            .find(|size| physical.is_multiple_of(size.bytes()) && end - physical >= size.bytes())
            .unwrap_or(PageSize::Frame);
        self.next = physical + size.bytes();
        Some(DirectPage { physical, size, writable })
    }
}

/// The ranges that reach beyond `address`.
fn after(ranges: &[PhysicalRange], address: u64) -> &[PhysicalRange] {
    let passed = ranges.iter().take_while(|range| range.end <= address).count();
    ranges.get(passed..).unwrap_or_default()
}

fn check(ranges: &[PhysicalRange]) -> Result<(), LayoutError> {
    let mut end = 0;
    for &range in ranges {
        let frame = PageSize::Frame.bytes();
        if !range.start.is_multiple_of(frame) || !range.end.is_multiple_of(frame) {
            return Err(LayoutError::NotWholeFrames(range));
        }
        if range.start >= range.end {
            return Err(LayoutError::Empty(range));
        }
        if range.start < end {
            return Err(LayoutError::OutOfOrder(range));
        }
        end = range.end;
    }
    Ok(())
}

impl fmt::Display for LayoutError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (range, wrong) = match self {
            Self::NotWholeFrames(range) => (range, "is not made of whole 4 KiB frames"),
            Self::Empty(range) => (range, "is empty"),
            Self::OutOfOrder(range) => (range, "starts before the range listed before it ends"),
        };
        write!(f, "memory from {:#x} to {:#x} {wrong}", range.start, range.end)
    }
}

impl core::error::Error for LayoutError {}
