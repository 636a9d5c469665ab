//! From the firmware's memory map to the host's own page tables, frame allocator and heap.

use arrayvec::ArrayVec;
use godwit_frames::{FRAME_BYTES, FrameRange, Frames, HostFrame, Mobility, Order};
use godwit_host::{
    boot::{
        MemoryMap, RegionKind,
        memory_map::{MAX_SPANS, covering},
    },
    command_line::CommandLine,
    machine::CpuNumber,
};
use spin::Once;
use x86_64::{PhysAddr, registers::control::Cr3};

use super::{Continue, Ground, early};
use crate::{
    boot::pvh::start_info::Handover,
    cpu::{control, processor::ThisProcessor, stacks},
    features::Features,
    heap::{HEAP_BYTES, Heap},
    memory::{
        address_space::{BOOT_MAP_BYTES, DIRECT_MAP_BYTES},
        direct_map::{self, BootMap},
        image,
        layout::{DirectMap, PhysicalRange},
        mtrr,
        paging::{ADDRESS_SPACE, AddressSpace},
        table_frames::{EarlyFrames, TableFrames},
    },
};

/// Frames of usable RAM beside the image and boot modules without which nothing useful runs: heap, page tables, stacks for a
/// few processors, and room to work in.
const NEEDED_FRAMES: u64 = (16 << 20) / FRAME_BYTES;
/// Frame numbers below this are below 1 MiB: where a processor can be started.
const LOW_FRAMES: u64 = (1 << 20) / FRAME_BYTES;
const FRAMES_PER_GIB: u64 = 1 << 18;

/// Pieces of RAM of one memory type each: every edge adds one at most.
const MAX_PIECES: usize = MAX_SPANS + 2 * mtrr::MAX_RANGES;

static FRAMES: Once<Frames<'static>> = Once::new();

/// Takes the machine's memory over: from here on the host's own tables are in use.
pub(super) fn take_over(map: BootMap, handover: Handover, heap: &'static Heap, next: Continue) -> Ground {
    let Handover { info: boot, occupied, problems } = handover;
    let command_line = CommandLine::parse(&boot.command_line, boot.command_line_cut);
    log::set_max_level(command_line.options.log);
    for problem in &problems {
        log::warn!("{problem}");
    }
    let features = Features::read(&ThisProcessor);
    if !features.nx {
        early::give_up(format_args!(
            "this processor has no no-execute pages, or its firmware turned them off: enable NX (Execute Disable) in its setup"
        ));
    }
    control::protect(&features);

    let mut memory_map = MemoryMap::from_regions(&boot.regions, boot.regions_dropped);
    memory_map.cap(DIRECT_MAP_BYTES.min(1 << features.physical_address_bits) / FRAME_BYTES);
    memory_map.withhold(image::frames());
    for range in &occupied {
        memory_map.withhold(covering(range.start, range.bytes));
    }
    let start_page = memory_map.carve(1, 1, LOW_FRAMES).map(|range| range.start.address());
    // Firmware has been seen to write to what it calls usable below 1 MiB (start page excepted: it is rewritten before each use).
    memory_map.withhold(FrameRange::new(HostFrame::new(0), LOW_FRAMES));
    if let Err(error) = memory_map.require(NEEDED_FRAMES) {
        early::give_up(format_args!("{error}"));
    }

    let boot_tables = Cr3::read().0.start_address().as_u64();
    let span = managed_span(&memory_map);
    let metadata_words = Frames::metadata_words(span.frames);
    let metadata_frames = (metadata_words as u64 * 8).div_ceil(FRAME_BYTES);
    let table_frames = 32
        + 4 * (memory_map.spans().len() + 2 * mtrr::MAX_RANGES) as u64
        + memory_map.end_of_ram().div_ceil(FRAMES_PER_GIB);
    let needed = metadata_frames + table_frames;
    let Some(own) = memory_map.carve(needed, 1, BOOT_MAP_BYTES / FRAME_BYTES) else {
        early::give_up(format_args!(
            "{} KiB of RAM in one piece below 4 GiB are needed for page tables, and there is none; add memory there",
            needed * FRAME_BYTES / 1024
        ));
    };
    let first_table = own.start.number() + metadata_frames;
    // SAFETY: `carve` took the range out of usable RAM below 4 GiB for good; its first part goes to the metadata below.
    let mut tables = unsafe { EarlyFrames::new(first_table, own.start.number() + own.frames) };
    use_own_tables(map, &memory_map, &features, &mut tables);

    let frames = FRAMES.call_once(|| allocator(span, own.start, metadata_words));
    for &range in memory_map.usable() {
        release(frames, range);
    }
    let (next_table, end) = tables.left();
    release(frames, FrameRange::new(HostFrame::new(next_table), end - next_table));

    let mut table_frames = TableFrames::new(frames.cpu());
    fill_heap(&mut table_frames, heap);
    let stacks = {
        let mut space = ADDRESS_SPACE.lock();
        let stacks =
            space.as_mut().and_then(|space| stacks::map(space, CpuNumber(0), &mut table_frames).ok());
        stacks.unwrap_or_else(|| {
            early::give_up(format_args!("no memory is left for the boot processor's stacks"))
        })
    };
    table_frames.handle().drain();
    early::use_stacks(&stacks);
    Ground { boot, memory_map, command_line, features, frames, heap, boot_tables, start_page, stacks, next }
}

/// From the first usable frame to the last, with every hole between.
fn managed_span(map: &MemoryMap) -> FrameRange {
    let start = map.usable().first().map_or(0, |range| range.start.number());
    let end = map.usable().last().and_then(|range| range.end()).unwrap_or(start);
    FrameRange::new(HostFrame::new(start), end - start)
}

/// Consumes the boot path's map: its tables are gone afterwards.
fn use_own_tables(_map: BootMap, memory_map: &MemoryMap, features: &Features, tables: &mut EarlyFrames) {
    let ram: ArrayVec<PhysicalRange, MAX_SPANS> = memory_map
        .spans()
        .iter()
        .filter(|span| span.kind == RegionKind::Usable)
        .map(|span| bytes_of(span.range))
        .collect();
    let image = [bytes_of(image::frames())];
    let edges = if features.mtrr {
        mtrr::edges(&ThisProcessor, features.physical_address_bits)
    } else {
        mtrr::Edges::new()
    };
    let pieces: ArrayVec<PhysicalRange, MAX_PIECES> = mtrr::split(&ram, &edges);
    log::debug!("memory types change at {} addresses; RAM is mapped in {} pieces", edges.len(), pieces.len());
    let plan = match DirectMap::new(&pieces, &image, features.gigabyte_pages) {
        Ok(plan) => plan,
        Err(error) => early::give_up(format_args!("the direct map cannot be planned: {error}")),
    };
    // SAFETY: the boot path's tables are in use, and `tables` hands out RAM below 4 GiB that `carve` set apart.
    let space =
        match unsafe { AddressSpace::build(plan, ram.clone(), features.physical_address_bits, tables) } {
            Ok(space) => space,
            Err(error) => early::give_up(format_args!("page tables could not be built: {error:?}")),
        };
    // SAFETY: the image is mapped at the address it runs at, with the rights of its sections; the boot stack is part of it.
    unsafe { space.load() };
    *ADDRESS_SPACE.lock() = Some(space);
}

fn bytes_of(range: FrameRange) -> PhysicalRange {
    let start = range.start.address();
    PhysicalRange { start, end: start + range.bytes() }
}

fn allocator(span: FrameRange, metadata: HostFrame, words: usize) -> Frames<'static> {
    let start = direct_map::virtual_address(PhysAddr::new(metadata.address())).as_mut_ptr::<u64>();
    // SAFETY: the frames were carved out of usable RAM for this, lie in the direct map, and nobody else uses them; they are
    // zeroed before the slice is made, and it lives as long as the host.
    let slice = unsafe {
        core::ptr::write_bytes(start, 0, words);
        core::slice::from_raw_parts_mut(start, words)
    };
    match Frames::new(span, slice) {
        Ok(frames) => frames,
        Err(error) => early::give_up(format_args!("the frame allocator refuses the memory map: {error}")),
    }
}

fn release(frames: &Frames<'_>, range: FrameRange) {
    if range.frames == 0 {
        return;
    }
    if let Err(error) = frames.release(range) {
        log::error!("{} KiB at {:#x} stay unused: {error}", range.bytes() / 1024, range.start.address());
    }
}

fn fill_heap(frames: &mut TableFrames<'static, 'static>, heap: &Heap) {
    let order = Order::all().find(|order| order.bytes() >= HEAP_BYTES as u64).unwrap_or(Order::HUGE);
    let Ok(run) = frames.handle().allocate(order, Mobility::Unmovable) else {
        early::give_up(format_args!(
            "{} KiB in one piece are needed for the heap, and there is none",
            HEAP_BYTES / 1024
        ));
    };
    let start = direct_map::virtual_address(PhysAddr::new(run.start().address()));
    // SAFETY: the run is the heap's for good (it is never freed), mapped in the direct map; this runs once.
    unsafe { heap.fill(start.as_mut_ptr(), HEAP_BYTES) };
}
