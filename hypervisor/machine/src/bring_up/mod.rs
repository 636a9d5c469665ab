//! From the boot path's first Rust instruction to a machine that the host can run on.
//!
//! 1. [`early`]: console, descriptor tables, what the loader left.
//! 2. [`memory`]: memory map, page tables with rights, frame allocator, heap.
//! 3. On the boot processor's guarded stack, [`platform`]: firmware tables, interrupt controllers, clock, PCI, power.
//! 4. [`processors`]: every other processor in its own loop.

mod early;
mod memory;
mod platform;
mod processors;

use alloc::boxed::Box;
use core::arch::asm;

use godwit_frames::Frames;
use godwit_host::{
    boot::{BootInfo, MemoryMap},
    command_line::CommandLine,
};
use spin::Once;

use crate::{
    boot::pvh::start_info,
    cpu::stacks::Stacks,
    features::Features,
    hardware::Hardware,
    heap::Heap,
    memory::{direct_map::BootMap, image},
};

/// Bytes of the boot stack that must stay untouched. It has no guard page: what lies below it is the image's own, in tables
/// of 2 MiB pages.
const BOOT_STACK_RESERVE: u64 = 64 << 10;

/// A machine that is up, and what it was told at boot.
pub struct Up {
    /// The machine.
    pub machine: &'static Hardware,
    /// Its frames.
    pub frames: &'static Frames<'static>,
    /// What the boot path handed over.
    pub boot: &'static BootInfo,
    /// The memory map, normalized.
    pub memory_map: &'static MemoryMap,
    /// The command line, with what was wrong in it.
    pub command_line: &'static CommandLine,
}

/// What the image gives to a machine that comes up: where to go on.
pub struct Continue {
    /// The boot processor, once all is up.
    pub host: fn(Up) -> !,
    /// Every other processor.
    pub cpu: fn(&'static Hardware, &'static Frames<'static>) -> !,
}

/// What has been learnt before the stack is switched.
struct Ground {
    boot: BootInfo,
    memory_map: MemoryMap,
    command_line: CommandLine,
    features: Features,
    frames: &'static Frames<'static>,
    heap: &'static Heap,
    boot_tables: u64,
    start_page: Option<u64>,
    stacks: Stacks,
    next: Continue,
}

static GROUND: Once<Ground> = Once::new();

/// Brings the machine up from the PVH entry, whose start information lies at physical address `start_info`.
pub fn pvh(start_info: u64, heap: &'static Heap, next: Continue) -> ! {
    early::start();
    // SAFETY: the PVH entry's tables map the first 4 GiB, and `memory::take_over` below consumes the map before it
    // replaces them.
    let map = unsafe { BootMap::new() };
    let handover = match start_info::read(&map, start_info) {
        Ok(handover) => handover,
        Err(error) => early::give_up(format_args!("{error}")),
    };
    let ground = memory::take_over(map, handover, heap, next);
    let top = ground.stacks.main.as_u64();
    GROUND.call_once(|| ground);
    on_stack(top)
}

/// Goes on at [`on_own_stack`] with the stack that ends at `top`.
fn on_stack(top: u64) -> ! {
    // SAFETY: `top` is the end of the boot processor's own mapped main stack, 16-byte aligned, and nothing runs there yet;
    // nothing on the old stack is used again: what must live was moved into `GROUND`.
    unsafe {
        asm!(
            "mov rsp, {top}",
            "xor ebp, ebp",
            "call {next}",
            "ud2",
            top = in(reg) top,
            next = sym on_own_stack,
            options(noreturn)
        )
    }
}

extern "C" fn on_own_stack() -> ! {
    let Some(ground) = GROUND.get() else {
        early::give_up(format_args!("nothing was prepared for the boot processor"))
    };
    let (used, size) = (image::boot_stack_used(), image::boot_stack().bytes());
    log::debug!("the boot stack was used to {used} of {size} bytes");
    if used > size - BOOT_STACK_RESERVE {
        early::give_up(format_args!(
            "the boot stack overflowed into the image's variables: {used} of {size} bytes used"
        ));
    }
    let machine: &'static Hardware = Box::leak(Box::new(platform::find(ground)));
    processors::release(machine);
    (ground.next.host)(Up {
        machine,
        frames: ground.frames,
        boot: &ground.boot,
        memory_map: &ground.memory_map,
        command_line: &ground.command_line,
    })
}
