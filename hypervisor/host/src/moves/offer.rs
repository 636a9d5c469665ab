//! What a guest needs, as the source says it and as the destination reserves it.

use alloc::{format, string::String, vec::Vec};

use godwit_frames::{CpuFrames, Mobility, Order};
use godwit_guest::{
    GuestFrame,
    baseline::Baseline,
    description::{GuestDescription, PagePolicy},
};
use godwit_wire::{self as wire, LeafRun, MAX_LEAF_RUNS, Offer, RefuseCode, Region};

use crate::{
    Machine,
    guests::{Guest, Ram},
    machine::HostMemory,
    network::PAGE_PORT,
    size::Size,
};

/// Time stamp counters that differ by less than so many parts in a million count as equal.
const TSC_TOLERANCE_PPM: u64 = 200;
/// Pieces that a whole guest may be reserved in: each is kept in a list on the heap, which is the whole host's.
const MAX_SEGMENTS: usize = 8192;
/// Runs that one run of leaves may be reserved as.
const MAX_RUNS: usize = 128;

/// Describes a guest that is here.
pub(super) fn describe(machine: &dyn Machine, guest: &mut Guest) -> Offer {
    let regions = guest.ram.segments().iter().map(|segment| (segment.start.0, segment.end()));
    Offer {
        guest: wire::Name::new(guest.description.name.as_str()),
        description: postcard::to_allocvec(&guest.description).unwrap_or_default(),
        regions: joined(regions),
        leaves: runs_of(guest, machine.memory()),
        baseline: wire::Baseline { name: wire::Name::new(guest.baseline.name()), version: 1 },
        tsc_hz: machine.description().tsc_hz,
        frames_to_send: guest.ram.frames(),
        page_policy: match guest.description.pages {
            PagePolicy::Largest => wire::PagePolicy::Largest,
            PagePolicy::FourKib => wire::PagePolicy::Small,
        },
        acknowledge_port: PAGE_PORT,
    }
}

/// Ranges of frames that touch, as one region each.
fn joined(ranges: impl Iterator<Item = (u64, u64)>) -> Vec<Region> {
    let mut regions: Vec<Region> = Vec::new();
    for (start, end) in ranges {
        match regions.last_mut() {
            Some(last) if last.end().0 == start => last.frames += end - start,
            _ => regions.push(Region { start: GuestFrame(start), frames: end - start }),
        }
    }
    regions
}

/// Leaves of one order that follow each other, as one run each; one run more than an offer takes where there are too many.
fn runs_of(guest: &Guest, memory: &dyn HostMemory) -> Vec<LeafRun> {
    let mut runs: Vec<LeafRun> = Vec::new();
    guest.each_leaf(memory, |leaf| {
        let order = leaf.order.get();
        let has_room = runs.len() <= MAX_LEAF_RUNS;
        match runs.last_mut() {
            Some(last) if last.order == order && last.start.0 + last.frames() == leaf.guest_frame => {
                last.leaves += 1;
            }
            _ if !has_room => {}
            _ => runs.push(LeafRun { start: GuestFrame(leaf.guest_frame), order, leaves: 1 }),
        }
    });
    runs
}

/// Why this host does not take a guest.
pub(super) type Refusal = (RefuseCode, String);

/// Reads an offer and checks that this host can run the guest at all.
///
/// # Errors
/// [`Refusal`].
pub(super) fn read(machine: &dyn Machine, offer: &Offer) -> Result<(GuestDescription, Baseline), Refusal> {
    let description: GuestDescription = postcard::from_bytes(&offer.description)
        .map_err(|_| (RefuseCode::Description, String::from("its description cannot be understood")))?;
    let layout = description.layout().map_err(|error| (RefuseCode::Description, format!("{error}")))?;
    let regions = layout.regions().iter().map(|region| (region.start.frame().0, region.end() >> 12));
    if joined(regions) != joined(offer.regions.iter().map(|region| (region.start.0, region.end().0))) {
        return Err((RefuseCode::Description, "its memory is not laid out as its description says".into()));
    }
    let baseline = Baseline::from_name(offer.baseline.name.as_str()).ok_or_else(|| {
        (RefuseCode::Baseline, format!("this host does not know baseline {}", offer.baseline.name.as_str()))
    })?;
    let own_hz = machine.description().tsc_hz;
    let difference = u128::from(own_hz.abs_diff(offer.tsc_hz)) * 1_000_000;
    if difference >= u128::from(TSC_TOLERANCE_PPM) * u128::from(own_hz.max(1)) {
        return Err((
            RefuseCode::TscFrequency,
            format!(
                "its time stamp counter counts {} Hz, this host's {own_hz} Hz; where both are the same, declare it with \
                 godwit.tsc_hz= on both hosts",
                offer.tsc_hz
            ),
        ));
    }
    Ok((description, baseline))
}

/// Reserves frames in which every leaf of the guest is again a leaf of the same order.
///
/// # Errors
/// [`Refusal`]; nothing was taken.
pub(super) fn reserve(offer: &Offer, frames: &mut CpuFrames<'_, '_>) -> Result<Ram, Refusal> {
    let mut ram = Ram::default();
    // The largest leaves first: small ones fit what is left, not the other way round.
    let mut wanted: Vec<&LeafRun> = offer.leaves.iter().collect();
    wanted.sort_by_key(|run| core::cmp::Reverse(run.order));
    for leaves in wanted {
        let reserved = reserve_leaves(leaves, frames, &mut ram);
        let is_scattered = ram.segments().len() > MAX_SEGMENTS;
        let scattered =
            || (RefuseCode::Memory, format!("free memory here is in more than {MAX_SEGMENTS} pieces"));
        if let Err(refusal) = reserved.and_then(|()| if is_scattered { Err(scattered()) } else { Ok(()) }) {
            ram.free(frames);
            return Err(refusal);
        }
    }
    ram.sort();
    Ok(ram)
}

fn reserve_leaves(leaves: &LeafRun, frames: &mut CpuFrames<'_, '_>, ram: &mut Ram) -> Result<(), Refusal> {
    let order = Order::new(leaves.order).unwrap_or(Order::FRAME);
    let size = Size::from_bytes(order.bytes());
    let too_little = || {
        let short =
            format!("{} runs of {size} in one piece are needed, and fewer are free here", leaves.leaves);
        (RefuseCode::Memory, short)
    };
    let runs = frames
        .allocate_runs::<MAX_RUNS>(leaves.frames(), order, MAX_RUNS, Mobility::Movable)
        .map_err(|_| {
            (
                RefuseCode::Memory,
                format!("{} are needed, and less is free here", Size::from_frames(leaves.frames())),
            )
        })?;
    let fits =
        |start: u64, count: u64| start.is_multiple_of(order.frames()) && count.is_multiple_of(order.frames());
    let had: u64 = runs
        .iter()
        .filter(|run| fits(run.start().number(), run.frames()))
        .map(|run| run.frames() / order.frames())
        .sum();
    let mut start = leaves.start;
    for run in runs {
        let next = GuestFrame(start.0 + run.frames());
        ram.push(start, run);
        start = next;
    }
    if had < u64::from(leaves.leaves) { Err(too_little()) } else { Ok(()) }
}
