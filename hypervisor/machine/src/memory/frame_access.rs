//! Allocated frames and boot modules, as the host reads and writes them.

use core::sync::atomic::{AtomicU64, Ordering};

use alloc::vec::Vec;

use godwit_frames::{FRAME_BYTES, FrameRun};
use godwit_host::{
    boot::{BootInfo, MemoryMap, RegionKind},
    machine::{HostMemory, OutsideRun},
};
use x86_64::PhysAddr;

use super::{direct_map, layout::PhysicalRange};

/// The direct map, as far as a frame run or a boot module gives access to it.
pub struct DirectMemory {
    /// Boot modules in their order; `None` for one that does not lie in RAM.
    modules: Vec<Option<PhysicalRange>>,
}

impl DirectMemory {
    /// The memory of a machine that was booted with `boot` and whose RAM is as `memory` says.
    pub fn new(boot: &BootInfo, memory: &MemoryMap) -> Self {
        let in_ram = |range: &PhysicalRange| {
            memory.spans().iter().any(|span| {
                let start = span.range.start.address();
                span.kind == RegionKind::Usable
                    && start <= range.start
                    && range.end <= start + span.range.bytes()
            })
        };
        let range_of = |start: u64, bytes: u64| {
            start.checked_add(bytes).map(|end| PhysicalRange { start, end }).filter(in_ram)
        };
        Self { modules: boot.modules.iter().map(|module| range_of(module.start, module.bytes)).collect() }
    }
}

/// Where byte `offset` of the run is, given that `bytes` bytes follow it inside the run.
fn inside(run: &FrameRun, offset: u64, bytes: u64) -> Result<u64, OutsideRun> {
    let end = offset.checked_add(bytes).ok_or(OutsideRun)?;
    if end > run.frames() * FRAME_BYTES {
        return Err(OutsideRun);
    }
    Ok(direct_map::virtual_address(PhysAddr::new(run.start().address())).as_u64() + offset)
}

fn word(run: &FrameRun, offset: u64) -> Result<&AtomicU64, OutsideRun> {
    if !offset.is_multiple_of(8) {
        return Err(OutsideRun);
    }
    let at = inside(run, offset, 8)?;
    // SAFETY: the run is RAM that its owner alone may touch, mapped in the direct map for ever; `at` is aligned and inside
    // it. The processor may change the word meanwhile (it walks page tables): every access is atomic.
    Ok(unsafe { AtomicU64::from_ptr(at as *mut u64) })
}

impl HostMemory for DirectMemory {
    fn read(&self, run: &FrameRun, offset: u64, out: &mut [u8]) -> Result<(), OutsideRun> {
        let from = inside(run, offset, out.len() as u64)?;
        // SAFETY: the bytes lie in a run that its owner showed, RAM in the direct map. `out` is Rust's own memory, which is
        // never part of a run; a guest that writes meanwhile makes the copy torn, not unsound: no reference is made.
        unsafe { core::ptr::copy_nonoverlapping(from as *const u8, out.as_mut_ptr(), out.len()) };
        Ok(())
    }

    fn write(&self, run: &FrameRun, offset: u64, bytes: &[u8]) -> Result<(), OutsideRun> {
        let to = inside(run, offset, bytes.len() as u64)?;
        // SAFETY: as in `read`, the other way round.
        unsafe { core::ptr::copy_nonoverlapping(bytes.as_ptr(), to as *mut u8, bytes.len()) };
        Ok(())
    }

    fn zero(&self, run: &FrameRun, offset: u64, bytes: u64) -> Result<(), OutsideRun> {
        let to = inside(run, offset, bytes)?;
        // SAFETY: as in `write`; a run's bytes fit the address space, so the length fits a usize.
        unsafe { core::ptr::write_bytes(to as *mut u8, 0, bytes as usize) };
        Ok(())
    }

    fn load(&self, run: &FrameRun, offset: u64) -> Result<u64, OutsideRun> {
        Ok(word(run, offset)?.load(Ordering::Acquire))
    }

    fn store(&self, run: &FrameRun, offset: u64, value: u64) -> Result<(), OutsideRun> {
        word(run, offset)?.store(value, Ordering::Release);
        Ok(())
    }

    fn clear(&self, run: &FrameRun, offset: u64, mask: u64) -> Result<u64, OutsideRun> {
        Ok(word(run, offset)?.fetch_and(!mask, Ordering::AcqRel))
    }

    fn read_module(&self, module: usize, offset: u64, out: &mut [u8]) -> Result<(), OutsideRun> {
        let range = self.modules.get(module).and_then(Option::as_ref).ok_or(OutsideRun)?;
        let end = offset.checked_add(out.len() as u64).ok_or(OutsideRun)?;
        if end > range.end - range.start {
            return Err(OutsideRun);
        }
        let from = direct_map::virtual_address(PhysAddr::new(range.start)).as_u64() + offset;
        // SAFETY: `new` kept only modules in RAM, all of which the direct map shows; modules are kept out of the allocator,
        // so nobody writes there.
        unsafe { core::ptr::copy_nonoverlapping(from as *const u8, out.as_mut_ptr(), out.len()) };
        Ok(())
    }
}
