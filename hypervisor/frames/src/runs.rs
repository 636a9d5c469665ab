//! Lists of runs: what a guest's memory is made of.

use arrayvec::ArrayVec;

use crate::block::Mobility;
use crate::frames::{Frames, MAX_ZONES};
use crate::lock::Guard;
use crate::order::Order;
use crate::run::FrameRun;
use crate::zone::{Fit, Wish, Zone};

/// All zones of an allocator, locked; always in the same order, so that nobody waits in a circle.
type LockedZones<'f, 'm> = ArrayVec<Guard<'f, Zone<'m>>, MAX_ZONES>;

/// As much as could be had.
pub(crate) struct Short {
    pub(crate) had_frames: u64,
    pub(crate) had_runs: usize,
}

/// Takes `frames` frames in at most `max_runs` runs, or nothing.
///
/// The best alignment comes first; where it would need too many runs, the next. The last one, a single
/// frame, takes the largest spans as they are, and no choice needs fewer runs than that.
pub(crate) fn allocate_runs<const N: usize>(
    shared: &Frames<'_>,
    frames: u64,
    preferred: Order,
    max_runs: usize,
    mobility: Mobility,
) -> Result<ArrayVec<FrameRun, N>, Short> {
    let mut zones: LockedZones<'_, '_> = shared.zones.iter().map(|zone| zone.state.lock()).collect();
    let mut short = Short { had_frames: 0, had_runs: 0 };
    for (index, _) in alignments(preferred).enumerate() {
        let mut spans = ArrayVec::<Span, N>::new();
        let orders = alignments(preferred).skip(index);
        let left = gather(&mut zones, frames, orders, max_runs, mobility, &mut spans);
        if left == 0 {
            let owned = |span: Span| FrameRun::made_by(shared.number, span.start, span.frames, mobility);
            return Ok(spans.into_iter().map(owned).collect());
        }
        short = Short { had_frames: frames - left, had_runs: spans.len() };
        for span in spans {
            zones[span.zone].give_range(span.start, span.frames);
        }
    }
    Err(short)
}

/// Frames that were taken from one zone.
struct Span {
    zone: usize,
    start: u64,
    frames: u64,
}

/// The orders to align to, best first: the one preferred, then the leaves of nested paging below it.
fn alignments(preferred: Order) -> impl Iterator<Item = Order> {
    let below = [Order::LARGE, Order::FRAME].into_iter().filter(move |&order| order < preferred);
    core::iter::once(preferred).chain(below)
}

/// Takes spans until all frames are had, or runs, or memory, are used up; returns how many frames are missing.
fn gather<const N: usize>(
    zones: &mut LockedZones<'_, '_>,
    frames: u64,
    orders: impl Iterator<Item = Order>,
    max_runs: usize,
    mobility: Mobility,
    spans: &mut ArrayVec<Span, N>,
) -> u64 {
    let mut left = frames;
    for order in orders {
        while left >= order.frames() {
            let wish = Wish { frames: left, align: order.frames(), mobility, mixing: true };
            let Some((zone, fit)) = best(zones, wish) else { break };
            let full = spans.len() == max_runs.min(N);
            match spans.last_mut() {
                Some(last) if last.zone == zone && last.start + last.frames == fit.start => {
                    last.frames += fit.frames;
                }
                _ if full => return left,
                _ => spans.push(Span { zone, start: fit.start, frames: fit.frames }),
            }
            zones[zone].take_range(fit.start, fit.frames, mobility);
            left -= fit.frames;
        }
    }
    left
}

/// The best place of all zones. Blocks of the other class are used only where no other place holds all.
fn best(zones: &LockedZones<'_, '_>, wish: Wish) -> Option<(usize, Fit)> {
    let own = Wish { mixing: false, ..wish };
    best_of(zones, &own).filter(|(_, fit)| fit.frames == wish.frames).or_else(|| best_of(zones, &wish))
}

fn best_of(zones: &LockedZones<'_, '_>, wish: &Wish) -> Option<(usize, Fit)> {
    let fits = zones.iter().enumerate().filter_map(|(index, zone)| Some((index, zone.best_span(wish)?)));
    fits.reduce(|best, next| if next.1.beats(&best.1, wish) { next } else { best })
}
