//! Raw regions to spans: sorted, whole frames, each frame of exactly one kind.

use arrayvec::ArrayVec;
use godwit_frames::{FRAME_BYTES, FrameRange, HostFrame};

use super::{MAX_NOTES, MAX_SPANS, MapNote, Span};
use crate::boot::{MAX_REGIONS, MemoryRegion, RegionKind};

/// Physical addresses have at most 52 bits (SDM vol. 3A 4.5, APM vol. 2 5.1).
const ADDRESS_LIMIT: u64 = 1 << 52;
/// Below this every PC firmware reports edges inside frames (the extended BIOS data area): nothing to say about.
const LEGACY_LIMIT: u64 = 1 << 20;

/// A region in whole frames: `start..end` by number, never empty.
#[derive(Clone, Copy)]
struct Claim {
    entry: usize,
    start: u64,
    end: u64,
    kind: RegionKind,
}

/// Collects notes and counts those that found no room.
#[derive(Default)]
pub(super) struct Notes {
    pub(super) kept: ArrayVec<MapNote, MAX_NOTES>,
    pub(super) more: usize,
}

impl Notes {
    fn add(&mut self, note: MapNote) {
        if self.kept.try_push(note).is_err() {
            self.more += 1;
        }
    }
}

/// How strongly a kind insists where two entries claim one frame.
fn caution(kind: RegionKind) -> u8 {
    match kind {
        RegionKind::Usable => 0,
        RegionKind::AcpiReclaimable => 1,
        RegionKind::AcpiNonVolatile => 2,
        RegionKind::Reserved => 3,
        RegionKind::Unusable => 4,
    }
}

/// Brings `regions` into spans and says what had to be corrected.
///
/// Sorts, merges what touches and is of one kind, and gives each frame that several entries claim to the most
/// cautious of them.
pub(super) fn spans(
    regions: &[MemoryRegion],
    left_out: usize,
    notes: &mut Notes,
) -> ArrayVec<Span, MAX_SPANS> {
    let left_out = left_out.saturating_add(regions.len().saturating_sub(MAX_REGIONS));
    if left_out > 0 {
        notes.add(MapNote::TooManyEntries { left_out });
    }
    let mut claims: ArrayVec<Claim, MAX_REGIONS> = ArrayVec::new();
    let mut previous_start = 0;
    for (entry, region) in regions.iter().take(MAX_REGIONS).enumerate() {
        if region.start < previous_start {
            notes.add(MapNote::OutOfOrder { entry, start: region.start });
        }
        previous_start = region.start;
        let Some(claim) = claim(entry, region, notes) else { continue };
        if let Some(other) = claims.iter().find(|other| other.start < claim.end && claim.start < other.end) {
            // Frames that share only an edge which both were fitted to are no contradiction of the firmware's.
            if overlaps_in_bytes(region, regions.get(other.entry)) {
                let start = claim.start.max(other.start) * FRAME_BYTES;
                notes.add(MapNote::Overlap { entry, with: other.entry, start });
            }
        }
        claims.push(claim);
    }
    sweep(&claims)
}

/// Clips one region to whole frames below the address limit; `None` where nothing is left of it.
fn claim(entry: usize, region: &MemoryRegion, notes: &mut Notes) -> Option<Claim> {
    let MemoryRegion { start, bytes, kind } = *region;
    if bytes == 0 {
        notes.add(MapNote::Empty { entry, start });
        return None;
    }
    let end = start.checked_add(bytes).filter(|&end| end <= ADDRESS_LIMIT);
    if end.is_none() {
        notes.add(MapNote::BeyondAddresses { entry, start, bytes });
    }
    let end = end.unwrap_or(ADDRESS_LIMIT);
    if !(start.is_multiple_of(FRAME_BYTES) && end.is_multiple_of(FRAME_BYTES)) && end > LEGACY_LIMIT {
        notes.add(MapNote::OddEdge { entry, start, bytes });
    }
    let (start, end) = if kind == RegionKind::Usable {
        (start.div_ceil(FRAME_BYTES), end / FRAME_BYTES)
    } else {
        (start / FRAME_BYTES, end.div_ceil(FRAME_BYTES))
    };
    (start < end).then_some(Claim { entry, start, end, kind })
}

fn overlaps_in_bytes(one: &MemoryRegion, other: Option<&MemoryRegion>) -> bool {
    other.is_some_and(|other| {
        one.start < other.start.saturating_add(other.bytes)
            && other.start < one.start.saturating_add(one.bytes)
    })
}

/// Walks the edges of all claims upward and lets the most cautious claim have each stretch between two edges.
fn sweep(claims: &[Claim]) -> ArrayVec<Span, MAX_SPANS> {
    let mut edges: ArrayVec<u64, { 2 * MAX_REGIONS }> = ArrayVec::new();
    for claim in claims.iter().take(MAX_REGIONS) {
        edges.push(claim.start);
        edges.push(claim.end);
    }
    edges.sort_unstable();
    let mut spans: ArrayVec<Span, MAX_SPANS> = ArrayVec::new();
    for (&start, &end) in edges.iter().zip(edges.iter().skip(1)) {
        if start == end {
            continue;
        }
        let holder =
            claims.iter().filter(|c| c.start <= start && end <= c.end).max_by_key(|c| caution(c.kind));
        let Some(kind) = holder.map(|claim| claim.kind) else { continue };
        match spans.last_mut() {
            Some(last) if last.kind == kind && last.range.end() == Some(start) => {
                last.range.frames += end - start;
            }
            _ => {
                // 2 * MAX_REGIONS edges bound fewer stretches than MAX_SPANS: the push always fits.
                let range = FrameRange::new(HostFrame::new(start), end - start);
                let _ = spans.try_push(Span { range, kind });
            }
        }
    }
    spans
}
