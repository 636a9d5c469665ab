//! Stacks with a guard page under each: main stack and interrupt stacks of every processor.

use godwit_host::machine::CpuNumber;
use x86_64::{
    VirtAddr,
    structures::paging::{FrameAllocator, Size4KiB},
};

use super::{MAX_CPUS, descriptors::INTERRUPT_STACKS, local};
use crate::memory::{
    address_space::STACKS,
    paging::{AddressSpace, MapError},
};

const PAGE_BYTES: u64 = 4096;
/// Address space for one stack: what lies below its mapped part is its guard.
const SLOT_BYTES: u64 = 128 << 10;
const MAIN_BYTES: u64 = 64 << 10;
const INTERRUPT_BYTES: u64 = 16 << 10;
/// The main stack and one for each interrupt stack slot, rounded up to a power of two.
const SLOTS_PER_CPU: u64 = 8;

/// The tops of one processor's stacks.
#[derive(Clone, Copy, Debug)]
pub struct Stacks {
    /// Where its loop runs.
    pub main: VirtAddr,
    /// By interrupt stack slot, counted from zero.
    pub interrupt: [VirtAddr; INTERRUPT_STACKS],
}

/// Which part of the stacks' address space an address lies in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    /// In the mapped part of a stack that ends at `top`.
    Stack {
        /// First address beyond the stack.
        top: u64,
    },
    /// In the guard under a stack of this processor.
    Guard {
        /// Whose stack it is.
        cpu: CpuNumber,
    },
}

/// Maps the stacks of processor `cpu`.
///
/// # Errors
/// [`MapError`] where `frames` runs dry.
pub fn map(
    space: &mut AddressSpace,
    cpu: CpuNumber,
    frames: &mut impl FrameAllocator<Size4KiB>,
) -> Result<Stacks, MapError> {
    let mut tops = [VirtAddr::zero(); 1 + INTERRUPT_STACKS];
    for (slot, top) in tops.iter_mut().enumerate() {
        let end = slot_start(cpu, slot as u64) + SLOT_BYTES;
        for at in (end - mapped_bytes(slot as u64)..end).step_by(PAGE_BYTES as usize) {
            let frame = frames.allocate_frame().ok_or(MapError::OutOfFrames)?;
            space.map_ram(VirtAddr::new(at), frame.start_address(), frames)?;
        }
        *top = VirtAddr::new(end);
    }
    let [main, interrupt @ ..] = tops;
    Ok(Stacks { main, interrupt })
}

/// Where `address` lies among the stacks, or `None` outside them.
pub fn place(address: u64) -> Option<Place> {
    let slot = address.checked_sub(STACKS)? / SLOT_BYTES;
    let cpu = u16::try_from(slot / SLOTS_PER_CPU).ok().filter(|&cpu| usize::from(cpu) < MAX_CPUS)?;
    // Only those of a processor that has a number are mapped.
    local::get(CpuNumber(cpu))?;
    let kind = slot % SLOTS_PER_CPU;
    if kind > INTERRUPT_STACKS as u64 {
        return None;
    }
    let top = STACKS + (slot + 1) * SLOT_BYTES;
    if address >= top - mapped_bytes(kind) {
        Some(Place::Stack { top })
    } else {
        Some(Place::Guard { cpu: CpuNumber(cpu) })
    }
}

fn slot_start(cpu: CpuNumber, slot: u64) -> u64 {
    STACKS + (u64::from(cpu.0) * SLOTS_PER_CPU + slot) * SLOT_BYTES
}

const fn mapped_bytes(slot: u64) -> u64 {
    if slot == 0 { MAIN_BYTES } else { INTERRUPT_BYTES }
}
