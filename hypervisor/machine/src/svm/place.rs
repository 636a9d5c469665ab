//! Where a virtual CPU's block lies, and the host CPU that runs it.

use core::{
    ops::{Deref, DerefMut},
    ptr::NonNull,
};

use godwit_frames::{FRAME_BYTES, FrameRun, Frames};
use godwit_host::machine::CpuNumber;
use x86_64::{PhysAddr, instructions::interrupts};

use super::{
    asid::{Assignment, Residence},
    enable, stub,
    switch::{Crossing, WorldSwitch},
    vcpu::{BLOCK_FRAMES, Block, Setup},
    vmcb::Vmcb,
};
use crate::{cpu::local, memory::direct_map, time::tsc, virtual_cpu::extended_state::Area};

/// A block in frames of its own, which go back to the allocator with it.
pub(super) struct FrameBlock {
    frames: &'static Frames<'static>,
    /// `None` only while it is being dropped.
    run: Option<FrameRun>,
    block: NonNull<Block>,
}

// SAFETY: the block owns its frames as a `Box` owns its memory; nothing in it belongs to the CPU that made it.
unsafe impl Send for FrameBlock {}

impl FrameBlock {
    /// A block in the frames of `run`, which came from `frames` and has [`BLOCK_FRAMES`] at least.
    pub(super) fn new(frames: &'static Frames<'static>, run: FrameRun) -> Self {
        debug_assert!(run.frames() >= BLOCK_FRAMES);
        let at = direct_map::virtual_address(PhysAddr::new(run.start().address())).as_mut_ptr::<Block>();
        // SAFETY: the run is RAM that nobody else has, mapped for ever in the direct map at an address that is as aligned
        // as its frames; it is long enough.
        let block = unsafe {
            at.write(Block::new());
            NonNull::new_unchecked(at)
        };
        Self { frames, run: Some(run), block }
    }
}

impl Deref for FrameBlock {
    type Target = Block;

    fn deref(&self) -> &Block {
        // SAFETY: `new` wrote a block there; the frames are this value's own.
        unsafe { self.block.as_ref() }
    }
}

impl DerefMut for FrameBlock {
    fn deref_mut(&mut self) -> &mut Block {
        // SAFETY: as in `deref`. The processor touches the block only in `stub::enter`, which has it borrowed.
        unsafe { self.block.as_mut() }
    }
}

impl Drop for FrameBlock {
    fn drop(&mut self) {
        if let Some(run) = self.run.take()
            && self.frames.cpu().free(run).is_err()
        {
            log::error!(
                "the allocator did not take a virtual CPU's frames back: they are lost until the next boot"
            );
        }
    }
}

/// Fills the start of `run` with `bytes`.
///
/// # Errors
/// They do not fit.
pub(super) fn fill(run: &FrameRun, bytes: &[u8]) -> Result<(), &'static str> {
    if bytes.len() as u64 > run.frames() * FRAME_BYTES {
        return Err("a permission map does not fit its frames");
    }
    let at = direct_map::virtual_address(PhysAddr::new(run.start().address())).as_mut_ptr::<u8>();
    // SAFETY: the run is RAM in the direct map that its owner showed, and long enough; `bytes` is Rust's own memory.
    unsafe { core::ptr::copy_nonoverlapping(bytes.as_ptr(), at, bytes.len()) };
    Ok(())
}

/// The host CPU that calls.
pub(super) struct ThisCpu {
    setup: &'static Setup,
}

impl ThisCpu {
    /// Any host CPU, for virtual CPUs whose blocks are [`FrameBlock`]s.
    pub(super) fn new(setup: &'static Setup) -> Self {
        Self { setup }
    }
}

impl WorldSwitch for ThisCpu {
    fn this_cpu(&self) -> CpuNumber {
        local::this().number()
    }

    fn tsc(&self) -> u64 {
        tsc::counter()
    }

    fn tsc_ahead(&self) -> u64 {
        local::this().tsc_offset()
    }

    fn assign(&self, last: Option<Residence>, stale: bool) -> Option<Assignment> {
        enable::assign(last, stale, self.setup.capabilities.flush_by_asid)
    }

    fn distrust_flush(&self) {
        enable::start_anew();
    }

    fn enter(&self, vmcb: &mut Vmcb, extended_state: &mut Area, crossing: &mut Crossing) {
        let Some(host_state) = enable::host_state() else { return };
        enable::set_tsc_aux(&self.setup.limits, crossing.tsc_aux);
        enable::set_tsc_ratio(&self.setup.capabilities, crossing.tsc_ratio);
        // SAFETY: `vmcb` is part of a `FrameBlock` (`new`'s only use), so it lies in the direct map, and the maps it names are
        // kept for good. SVM is enabled here, and the saved host state is this CPU's. `Vcpu` checked the extended state and
        // XCR0 against the format, or the processor stored them. Interrupts are off, as in all host code.
        unsafe { stub::enter(vmcb, extended_state, crossing, host_state, self.setup) };
    }

    fn serve_interrupts(&self) {
        // Enabling takes the pending ones before it returns: a NOP follows STI, which holds them off for one instruction.
        interrupts::enable();
        interrupts::disable();
    }

    fn serve_machine_check(&self) {
        stub::raise_machine_check();
    }
}
