//! Memory for a guest, in as few and as well aligned runs as there are.

use godwit_frames::{AllocateError, CpuFrames, Mobility, Order};
use godwit_guest::{GuestFrame, description::PagePolicy, layout::MemoryLayout};

use super::Ram;
use crate::description::Description;

/// Runs that one region of a guest's memory may consist of.
const MAX_RUNS: usize = 128;

/// The largest leaf that a guest with this policy is mapped with on this machine.
pub(super) fn largest_leaf(policy: PagePolicy, machine: &Description) -> Order {
    match policy {
        PagePolicy::Largest => machine.largest_leaf,
        PagePolicy::FourKib => Order::FRAME,
    }
}

/// Frames for all of a guest's RAM. What they held is still in them.
///
/// # Errors
/// [`AllocateError`]; nothing was taken.
pub(super) fn allocate(
    layout: &MemoryLayout,
    largest_leaf: Order,
    frames: &mut CpuFrames<'_, '_>,
) -> Result<Ram, AllocateError> {
    let mut ram = Ram::default();
    for region in layout.regions() {
        let wanted = region.bytes / Order::FRAME.bytes();
        // A run is aligned to the largest leaf that fits in the region at all.
        let preferred = [Order::HUGE, Order::LARGE, Order::FRAME]
            .into_iter()
            .find(|&order| order <= largest_leaf && order.frames() <= wanted)
            .unwrap_or(Order::FRAME);
        match frames.allocate_runs::<MAX_RUNS>(wanted, preferred, MAX_RUNS, Mobility::Movable) {
            Ok(runs) => {
                let mut start = region.start.frame();
                for run in runs {
                    let next = GuestFrame(start.0 + run.frames());
                    ram.push(start, run);
                    start = next;
                }
            }
            Err(error) => {
                ram.free(frames);
                return Err(error);
            }
        }
    }
    Ok(ram)
}
