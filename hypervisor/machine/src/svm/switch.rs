//! What a virtual CPU needs of the host CPU that runs it: the real one by assembly, a pretended one in tests.

use godwit_host::machine::CpuNumber;

use super::{
    asid::{Assignment, Residence},
    tsc_ratio::TscRatio,
    vmcb::Vmcb,
};
use crate::virtual_cpu::extended_state::Area;

/// What the processor neither loads nor stores by itself at entry and exit, and where the rest is. The assembly reads and writes
/// it by the offsets asserted in `stub`.
#[repr(C)]
#[derive(Clone, Debug, Default)]
pub struct Crossing {
    /// General registers by encoding number. RAX and RSP are in the control block: their places here are not used.
    pub general: [u64; 16],
    /// DR0 to DR3.
    pub debug_addresses: [u64; 4],
    /// The guest's XCR0.
    pub xcr0: u64,
    /// The guest's TSC_AUX.
    pub tsc_aux: u64,
    /// Its time stamp counter's rate over the processor's; used where the processor scales.
    pub tsc_ratio: TscRatio,
}

/// The host CPU under a virtual CPU. Every call acts for the CPU that makes it.
pub trait WorldSwitch: Send {
    /// Which CPU that is.
    fn this_cpu(&self) -> CpuNumber;

    /// Its time stamp counter as all CPUs agree on it.
    fn tsc(&self) -> u64;

    /// What that is ahead of the counter in the processor, which the guest's is an offset from.
    fn tsc_ahead(&self) -> u64;

    /// An address space of this CPU, or `None` where SVM is not enabled on it.
    fn assign(&self, last: Option<Residence>, stale: bool) -> Option<Assignment>;

    /// Says that the processor refused the entry that was assigned last, and may not have flushed what it was told to.
    fn distrust_flush(&self);

    /// Runs the guest until it stops. Host interrupts stay pending, except an NMI, which was served.
    fn enter(&self, vmcb: &mut Vmcb, extended_state: &mut Area, crossing: &mut Crossing);

    /// Serves the host interrupts that are pending.
    fn serve_interrupts(&self);

    /// Serves the machine check that ended the run.
    fn serve_machine_check(&self);
}
