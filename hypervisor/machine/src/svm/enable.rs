//! SVM on each processor: the registers that turn it on, and what each keeps for the world switch.

use core::sync::atomic::{AtomicU64, Ordering};

use godwit_frames::FrameRun;
use spin::Mutex;
use x86_64::registers::{
    control::{Efer, EferFlags},
    model_specific::Msr,
};

use super::{
    asid::{AddressSpaces, Assignment, Residence},
    capabilities::Capabilities,
    stub,
    tsc_ratio::TscRatio,
    vcpu::Setup,
};
use crate::{
    cpu::{MAX_CPUS, control, local, processor::ThisProcessor},
    features,
    virtual_cpu::limits::Limits,
};

/// Where the processor keeps the host's state while a guest runs (APM vol. 2, 15.30.4).
const VM_HSAVE_PA: u32 = 0xc001_0117;
const TSC_AUX: u32 = 0xc000_0103;
/// Applied to what guests read of the time stamp counter, not to what the host reads (APM vol. 2, 15.30.5).
const TSC_RATIO: u32 = 0xc000_0104;
/// A frame's bytes: the host save area is the first frame, what VMSAVE stores the second.
const FRAME_BYTES: u64 = godwit_frames::FRAME_BYTES;
/// No value of TSC_AUX, which has 32 bits, nor of TSC_RATIO, which has 40.
const UNKNOWN: u64 = u64::MAX;

/// What one processor keeps. Only it changes it.
struct PerCpu {
    spaces: Mutex<Option<AddressSpaces>>,
    /// Physical address of what VMSAVE stored of the host; 0 before SVM is enabled.
    host_state: AtomicU64,
    /// TSC_AUX as it is now.
    tsc_aux: AtomicU64,
    /// TSC_RATIO as it is now.
    tsc_ratio: AtomicU64,
}

static PER_CPU: [PerCpu; MAX_CPUS] = [const {
    PerCpu {
        spaces: Mutex::new(None),
        host_state: AtomicU64::new(0),
        tsc_aux: AtomicU64::new(UNKNOWN),
        tsc_ratio: AtomicU64::new(UNKNOWN),
    }
}; MAX_CPUS];

fn this() -> Option<&'static PerCpu> {
    PER_CPU.get(usize::from(local::this().number().0))
}

/// Enables SVM on the calling processor, once its tables and its GS base are loaded for good: what VMSAVE stores of them
/// now is what every exit loads again. `frames` are two frames, the processor's for good.
///
/// # Errors
/// Why it cannot be enabled.
pub(super) fn this_cpu(frames: FrameRun, setup: &Setup) -> Result<(), &'static str> {
    if features::is_svm_disabled(&ThisProcessor) {
        return Err("the firmware disabled SVM on this processor alone");
    }
    let cpu = this().ok_or("it has no number")?;
    let host_save_area = frames.start().address();
    let host_state = host_save_area + FRAME_BYTES;
    control::enable_extended_state(&setup.format);
    // SAFETY: the processor has SVM and nothing disables it. The host save area is a frame that nobody else uses, for ever:
    // `frames` is never freed.
    unsafe {
        Efer::update(|efer| efer.insert(EferFlags::SECURE_VIRTUAL_MACHINE_ENABLE));
        Msr::new(VM_HSAVE_PA).write(host_save_area);
        stub::save_host_state(host_state);
    }
    *cpu.spaces.lock() = Some(AddressSpaces::new(setup.capabilities.address_spaces));
    cpu.host_state.store(host_state, Ordering::Release);
    Ok(())
}

/// Whether SVM is enabled on the calling processor.
pub(super) fn is_enabled() -> bool {
    host_state().is_some()
}

/// What VMSAVE stored of the calling processor, by physical address.
pub(super) fn host_state() -> Option<u64> {
    this().map(|cpu| cpu.host_state.load(Ordering::Acquire)).filter(|&address| address != 0)
}

/// An address space of the calling processor, as [`AddressSpaces::assign`].
pub(super) fn assign(last: Option<Residence>, stale: bool, flush_by_asid: bool) -> Option<Assignment> {
    let number = local::this().number();
    let mut spaces = this()?.spaces.lock();
    Some(spaces.as_mut()?.assign(last, number, stale, flush_by_asid))
}

/// As [`AddressSpaces::start_anew`], for the calling processor.
pub(super) fn start_anew() {
    let Some(cpu) = this() else { return };
    if let Some(spaces) = cpu.spaces.lock().as_mut() {
        spaces.start_anew();
    }
}

/// Gives a guest its TSC_AUX, which the host does not use.
pub(super) fn set_tsc_aux(limits: &Limits, value: u64) {
    let Some(cpu) = this().filter(|_| limits.tsc_aux) else { return };
    if cpu.tsc_aux.load(Ordering::Relaxed) != value {
        // SAFETY: the register exists, and `Vcpu` takes no value of more than 32 bits for it. Nothing in the host reads it.
        unsafe { Msr::new(TSC_AUX).write(value) };
        cpu.tsc_aux.store(value, Ordering::Relaxed);
    }
}

/// Gives a guest its time stamp counter's rate, where the processor can.
pub(super) fn set_tsc_ratio(capabilities: &Capabilities, ratio: TscRatio) {
    let Some(cpu) = this().filter(|_| capabilities.tsc_scaling) else { return };
    if cpu.tsc_ratio.load(Ordering::Relaxed) != ratio.bits() {
        // SAFETY: CPUID reports the register, and a ratio sets none of its reserved bits. The host's own counter is not scaled.
        unsafe { Msr::new(TSC_RATIO).write(ratio.bits()) };
        cpu.tsc_ratio.store(ratio.bits(), Ordering::Relaxed);
    }
}
