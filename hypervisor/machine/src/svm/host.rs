//! SVM on this host: the permission maps that all guests share, and new virtual CPUs.

use alloc::boxed::Box;

use godwit_frames::{FrameRun, Frames, Mobility, Order};
use godwit_guest::{
    baseline::Baseline,
    vcpu::{VcpuError, VirtualCpu},
};

use super::{
    capabilities::Capabilities,
    enable,
    permission_maps::{self, IO_MAP_BYTES},
    place::{self, FrameBlock, ThisCpu},
    vcpu::{Setup, Vcpu},
};
use crate::{cpu::processor::ThisProcessor, virtual_cpu::vendor::Ground};

/// The I/O permission map needs 3 frames in one piece, the MSR permission map 2.
const IO_MAP_ORDER: Option<Order> = Order::new(2);
const PAIR_ORDER: Option<Order> = Order::new(1);

/// SVM, as this host uses it.
pub struct Host {
    frames: &'static Frames<'static>,
    setup: Setup,
}

impl Host {
    /// Prepares what every guest needs.
    ///
    /// # Errors
    /// Why there can be no guests.
    pub fn new(ground: Ground) -> Result<Self, &'static str> {
        let Ground { frames, limits, format, mitigations, svm_without } = ground;
        let capabilities = Capabilities::read(&ThisProcessor).without(svm_without);
        if capabilities.address_spaces < 2 {
            return Err("SVM has no address space for guests here");
        }
        let io_map = map(frames, IO_MAP_ORDER, &[0xff; IO_MAP_BYTES])?;
        let msr_map = map(frames, PAIR_ORDER, &permission_maps::msr_map())?;
        Ok(Self { frames, setup: Setup { capabilities, limits, format, io_map, msr_map, mitigations } })
    }

    /// Enables SVM on the calling processor.
    ///
    /// # Errors
    /// Why it runs no guests.
    pub fn enable_this_cpu(&self) -> Result<(), &'static str> {
        let frames = pair(self.frames)?;
        enable::this_cpu(frames, &self.setup)
    }

    /// A new virtual CPU in its reset state, held to `baseline`.
    ///
    /// # Errors
    /// [`VcpuError`] with the reason.
    pub fn create(&'static self, baseline: Baseline) -> Result<Box<dyn VirtualCpu>, VcpuError> {
        if !enable::is_enabled() {
            return Err(VcpuError("SVM is not enabled on this host CPU"));
        }
        let block = FrameBlock::new(self.frames, pair(self.frames).map_err(VcpuError)?);
        Ok(Box::new(Vcpu::new(&self.setup, baseline, block, ThisCpu::new(&self.setup))))
    }
}

/// Two frames in one piece.
fn pair(frames: &Frames<'_>) -> Result<FrameRun, &'static str> {
    run(frames, PAIR_ORDER)
}

fn run(frames: &Frames<'_>, order: Option<Order>) -> Result<FrameRun, &'static str> {
    let order = order.ok_or("no frames have this order")?;
    frames.cpu().allocate(order, Mobility::Unmovable).map_err(|_| "no memory is left for it")
}

/// A map of `bytes` in frames of its own, kept for good; answers its physical address.
fn map(frames: &Frames<'_>, order: Option<Order>, bytes: &[u8]) -> Result<u64, &'static str> {
    let run = run(frames, order)?;
    place::fill(&run, bytes)?;
    Ok(run.start().address())
}
