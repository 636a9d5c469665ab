//! Walking frame pointers, on stacks that we know.

use core::arch::asm;

use crate::{
    cpu::stacks::{self, Place},
    memory::image,
};

/// Frames shown at most.
const MAX_FRAMES: usize = 32;

/// Calls `see` with each return address from the frame at `rbp` outwards. Stops where the chain leaves the stack it
/// began on, turns back, or leaves the image's code.
pub(super) fn walk(rbp: u64, mut see: impl FnMut(u64)) {
    let Some(top) = stack_top(rbp) else { return };
    let mut frame = rbp;
    for _ in 0..MAX_FRAMES {
        if !frame.is_multiple_of(8) || frame.checked_add(16).is_none_or(|end| end > top) {
            return;
        }
        // SAFETY: `frame` is aligned, and `frame..frame + 16` lies in the mapped part of one stack: at or above `rbp`, which
        // `stack_top` found there, and below its end.
        let (next, return_address) =
            unsafe { ((frame as *const u64).read(), (frame as *const u64).add(1).read()) };
        if !image::text().contains(return_address) {
            return;
        }
        see(return_address);
        if next <= frame {
            return;
        }
        frame = next;
    }
}

/// The frame pointer of the function that calls this one.
#[inline(always)]
pub(super) fn frame_pointer() -> u64 {
    let rbp: u64;
    // SAFETY: copies a register.
    unsafe { asm!("mov {}, rbp", out(reg) rbp, options(nomem, nostack, preserves_flags)) };
    rbp
}

fn stack_top(address: u64) -> Option<u64> {
    let boot = image::boot_stack();
    if boot.contains(address) {
        return Some(boot.end);
    }
    match stacks::place(address) {
        Some(Place::Stack { top }) => Some(top),
        _ => None,
    }
}
