//! What a guest needs, as the source says it and as the destination reserves it.

use alloc::{format, string::String, vec::Vec};

use godwit_frames::{AllocateError, CpuFrames, FrameRun, Mobility, Order};
use godwit_guest::{
    GuestFrame,
    baseline::Baseline,
    description::{GuestDescription, PagePolicy},
};
use godwit_wire::{self as wire, LeafRun, MAX_LEAF_RUNS, Offer, RefuseCode, Region};

use crate::{
    Machine,
    guests::{Guest, Ram, fit},
    machine::HostMemory,
    network::PAGE_PORT,
    size::Size,
};

/// Pieces that a whole guest may be reserved in: each is kept in a list on the heap, which is the whole host's.
const MAX_SEGMENTS: usize = 8192;
/// Runs that one run of leaves may be reserved as.
const MAX_RUNS: usize = 128;

/// Describes a guest that is here.
pub(super) fn describe(machine: &dyn Machine, guest: &Guest) -> Offer {
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
    if !fit::is_own_rate(machine.description(), offer.tsc_hz) {
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
    // At once, in as few runs as there are.
    if take(leaves.start, leaves.leaves, order, frames, ram).is_ok() {
        return Ok(());
    }
    // Those may be too many for one request. In parts that have no more leaves than a request may have runs, whatever is
    // free is found.
    let mut done = 0;
    while done < leaves.leaves {
        let part = (leaves.leaves - done).min(MAX_RUNS as u32);
        let start = GuestFrame(leaves.start.0 + u64::from(done) * order.frames());
        take(start, part, order, frames, ram).map_err(|short| {
            let needed = match short {
                Short::Memory => format!("{} are needed, and less is", Size::from_frames(leaves.frames())),
                Short::Pieces => {
                    let size = Size::from_bytes(order.bytes());
                    format!("{} runs of {size} in one piece are needed, and fewer are", leaves.leaves)
                }
            };
            (RefuseCode::Memory, format!("{needed} free here"))
        })?;
        done += part;
    }
    Ok(())
}

/// What there is too little of.
enum Short {
    /// Free memory.
    Memory,
    /// Free memory in pieces as large as the leaves.
    Pieces,
}

/// Takes runs for `count` leaves of `order` from guest frame `start` on, each leaf within a run and aligned.
///
/// # Errors
/// [`Short`]; nothing was taken.
fn take(
    start: GuestFrame,
    count: u32,
    order: Order,
    frames: &mut CpuFrames<'_, '_>,
    ram: &mut Ram,
) -> Result<(), Short> {
    let wanted = u64::from(count) * order.frames();
    let runs =
        frames.allocate_runs::<MAX_RUNS>(wanted, order, MAX_RUNS, Mobility::Movable).map_err(|error| {
            match error {
                AllocateError::Scattered { had_runs: MAX_RUNS, .. } => Short::Pieces,
                _ => Short::Memory,
            }
        })?;
    let fits = |run: &FrameRun| {
        run.start().number().is_multiple_of(order.frames()) && run.frames().is_multiple_of(order.frames())
    };
    let all_fit = runs.iter().all(fits);
    let mut taken = Ram::default();
    let mut next = start;
    for run in runs {
        let end = GuestFrame(next.0 + run.frames());
        taken.push(next, run);
        next = end;
    }
    if all_fit {
        ram.append(taken);
        Ok(())
    } else {
        taken.free(frames);
        Err(Short::Pieces)
    }
}

#[cfg(test)]
mod tests;
