//! stub
use godwit_frames::FrameRange;
#[derive(Clone, Copy)]
pub enum PageSize {
    Size4KiB,
    Size2MiB,
    Size1GiB,
}
#[derive(Clone, Copy)]
pub struct DirectPage {
    pub start: u64,
    pub size: PageSize,
    pub writable: bool,
}
pub fn plan(
    ram: impl Iterator<Item = FrameRange>,
    image: FrameRange,
    has_1gib: bool,
) -> impl Iterator<Item = DirectPage> {
    ram.flat_map(move |range| {
        let mut at = range.start.number();
        let end = at + range.frames;
        let (is, ie) = (image.start.number(), image.start.number() + image.frames);
        core::iter::from_fn(move || {
            if at >= end {
                return None;
            }
            let fits = |n: u64| at % n == 0 && at + n <= end && (at + n <= is || at >= ie);
            let (n, size) = if has_1gib && fits(1 << 18) {
                (1 << 18, PageSize::Size1GiB)
            } else if fits(512) {
                (512, PageSize::Size2MiB)
            } else {
                (1, PageSize::Size4KiB)
            };
            let page = DirectPage { start: at * 4096, size, writable: !(is..ie).contains(&at) };
            at += n;
            Some(page)
        })
    })
}
